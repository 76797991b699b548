"""What no script can say: each mistake is refused where it is made, with a message that names it."""

from __future__ import annotations

from math import inf, nan

import pytest

from pytest_streamrt import ScriptError, StreamrtError, script

MISTAKES = [
    pytest.param(lambda: script(""), r'"" is no delta; pause\(seconds\) lets time pass', id="an empty string"),
    pytest.param(lambda: script("a", 1), r"1 is neither a string nor a part such as tool_call", id="a number"),
    pytest.param(lambda: script(None), "None is neither a string nor a part", id="None"),
    pytest.param(lambda: script(["a"]), r"\['a'\] is neither a string nor a part", id="a list"),
    pytest.param(lambda: script(b"a"), "b'a' is neither a string nor a part", id="bytes"),
    pytest.param(lambda: script(script.stall), "is neither a string nor a part", id="a part not called"),
    pytest.param(
        lambda: script(script.stall(), "a"),
        r"'a' comes after Stall\(\), which ends the stream: it would never be played",
        id="after a stall",
    ),
    pytest.param(
        lambda: script(script.disconnect(), script.stall()), r"Stall\(\) comes after Disconnect\(\)", id="after an end"
    ),
    pytest.param(
        lambda: script(script.error(429), script.usage(1, 2)), "UsagePart.* comes after ErrorPart", id="after an error"
    ),
    pytest.param(
        lambda: script("a", script.disconnect(after=1)),
        r"Disconnect\(\) says where in a recording it strikes; in a script a fault stands where it is to strike",
        id="a fault of a recording",
    ),
    pytest.param(lambda: script.stall(after=-1), "stall: after is a whole number from 0 on, not -1", id="after=-1"),
    pytest.param(lambda: script.error(429, exchange=0), "exchange is a whole number from 1 on, not 0", id="exchange=0"),
    pytest.param(lambda: script.error("429"), r"an HTTP status is a number: error\(429\)", id="a status in quotes"),
    pytest.param(
        lambda: script.error(200), r"error\(200\): an HTTP status that is an error is a", id="a status of none"
    ),
    pytest.param(lambda: script.error(True), r"error\(True\): an HTTP status that is an error is a", id="no status"),
    pytest.param(lambda: script.error(None), r"error\(None\): an HTTP status that is an error is a", id="None"),
    pytest.param(lambda: script("a").prefix("1"), r"prefix\('1'\): this script has 1 delta", id="a prefix in quotes"),
    pytest.param(lambda: script("a").prefix(2), r"prefix\(2\): this script has 1 delta", id="a prefix beyond it"),
    pytest.param(
        lambda: script.from_events("a"), "from_events: it takes events, as .* not .a.", id="a text for events"
    ),
    pytest.param(
        lambda: script.from_events([{"type": "text.delta"}]), "not {'type': 'text.delta'}", id="JSON for events"
    ),
    pytest.param(lambda: script("a", every=1, tps=1), "every=1 and tps=1 both say how fast", id="every and tps"),
    pytest.param(lambda: script("a", every=0, tps=1), "every=0 and tps=1 both say how fast", id="every=0 and tps"),
    pytest.param(lambda: script("a", tps=0), "tps=0 deltas a second is no speed", id="tps=0"),
    pytest.param(lambda: script("a", tps=-1), "tps=-1 deltas a second is no speed", id="a negative tps"),
    pytest.param(lambda: script("a", tps=nan), "tps=nan deltas a second is no speed", id="tps=nan"),
    pytest.param(
        lambda: script("a", every=-0.1), "every is a number of seconds from 0 on, not -0.1", id="a negative every"
    ),
    pytest.param(lambda: script("a", every=inf), "every is a number of seconds from 0 on, not inf", id="every=inf"),
    pytest.param(lambda: script("a", every=nan), "every is a number of seconds from 0 on, not nan", id="every=nan"),
    pytest.param(lambda: script("a", ttft=-1), "ttft is a number of seconds from 0 on, not -1", id="a negative ttft"),
    pytest.param(lambda: script("a", ttft=inf), "ttft is a number of seconds from 0 on, not inf", id="ttft=inf"),
    pytest.param(lambda: script("a", jitter=-0.1), "jitter=-0.1 is a share of the delay, from 0 to 1", id="jitter<0"),
    pytest.param(lambda: script("a", jitter=1.1), "jitter=1.1 is a share of the delay, from 0 to 1", id="jitter>1"),
    pytest.param(lambda: script("a", jitter=nan), "jitter=nan is a share of the delay", id="jitter=nan"),
    pytest.param(
        lambda: script.pause(-1), "pause: its length is a number of seconds from 0 on, not -1", id="a negative pause"
    ),
    pytest.param(
        lambda: script.pause(nan), "pause: its length is a number of seconds from 0 on, not nan", id="a pause of nan"
    ),
    pytest.param(lambda: script.reasoning(), r"reasoning: give one non-empty string for each delta", id="no reasoning"),
    pytest.param(lambda: script.reasoning("a", ""), r"reasoning: .*not \('a', ''\)", id="empty reasoning"),
    pytest.param(lambda: script.reasoning(1), r"reasoning: .*not \(1,\)", id="reasoning of a number"),
    pytest.param(lambda: script.refusal(), r"refusal: give one non-empty string for each delta", id="no refusal"),
    pytest.param(lambda: script.refusal(""), r"refusal: .*not \('',\)", id="an empty refusal"),
    pytest.param(lambda: script.tool_call("", {}), "a tool's name is a string, not ''", id="a tool without a name"),
    pytest.param(lambda: script.tool_call(None, {}), "a tool's name is a string, not None", id="a tool named None"),
    pytest.param(
        lambda: script.tool_call("f", {"x": object()}),
        r"tool_call\('f'\): these arguments cannot be JSON: .*not JSON serializable",
        id="arguments that are no JSON",
    ),
    pytest.param(
        lambda: script.tool_call("f", 7), r"tool_call\('f'\): the arguments are a mapping, .* not 7", id="a 7"
    ),
    pytest.param(lambda: script.tool_call("f", None), "the arguments are a mapping, .* not None", id="arguments None"),
    pytest.param(
        lambda: script.tool_call("f", {"x": 1}, pieces=['{"x"']),
        r"""tool_call\('f'\): the pieces say '{"x"', the arguments '{"x":1}'""",
        id="pieces that say something else",
    ),
]


@pytest.mark.parametrize(("make", "message"), MISTAKES)
def test_a_mistake_is_refused_and_named(make, message):
    with pytest.raises(ScriptError, match=message):
        make()


def test_a_mistake_can_be_caught_as_the_packages_own_or_as_a_value_error():
    for base in (StreamrtError, ValueError):
        with pytest.raises(base):
            script("")


def test_an_endless_pause_is_refused():
    with pytest.raises(ScriptError, match="pause"):
        list(script(script.pause(inf), "a").steps())


@pytest.mark.parametrize("number", [nan, inf])
def test_arguments_with_a_number_that_is_no_json_are_refused(number):
    with pytest.raises(ScriptError, match="cannot be JSON"):
        script.tool_call("f", {"x": number})


def test_a_tool_call_cut_into_no_pieces_is_refused():
    with pytest.raises(ScriptError, match="pieces"):
        script.tool_call("f", "", pieces=[])


@pytest.mark.parametrize("option", ["every", "ttft", "tps", "jitter"])
def test_a_time_that_is_no_number_is_refused(option):
    with pytest.raises(ScriptError, match=option):
        script("a", **{option: "0.05"})


def test_a_pause_that_is_no_number_is_refused():
    with pytest.raises(ScriptError, match="pause"):
        script.pause("1")


@pytest.mark.parametrize("tokens", [(-1, 2), (1, -2)])
def test_fewer_tokens_than_none_are_refused(tokens):
    with pytest.raises(ScriptError, match="usage"):
        script.usage(*tokens)


def test_redacted_reasoning_has_no_pieces_and_no_signature():
    for make in (
        lambda: script.reasoning("a", redacted="x"),
        lambda: script.reasoning(redacted="x", signature="s"),
        lambda: script.reasoning(redacted=""),
    ):
        with pytest.raises(ScriptError, match="what is redacted has neither pieces nor a signature"):
            make()
