"""What else a script can say: choices, calls by turns, citations, notes, reasons to end, sealed thoughts; in each dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import ScriptError, fold, script
from pytest_streamrt.events import Citation, FunctionCall, Reasoning, Status
from pytest_streamrt.providers import DIALECTS, Quirks, decode, dialect, encode, encode_whole
from tests.providers.streams import HAS_CHOICES, NO_NOTES, assert_legal, assert_sound, items
from tests.strategies import chunked, examples, json_values, plain_texts, sizes

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)
QUIRKS = [
    Quirks(),
    Quirks(newline="\r\n", comments=("PROCESSING",)),
    Quirks(obfuscation=False, pings=False, padding=False, done=False),
    *(
        Quirks.of(provider)
        for provider in ("azure", "cerebras", "deepseek", "groq", "llama.cpp", "mistral", "openrouter", "vllm", "xai")
    ),
]


def events_of(s, dialect, quirks=None):
    events = decode(encode(s, dialect, quirks), dialect)
    assert_legal(events)
    assert_sound(events)
    assert fold(events).contradictions == []
    return events


# --- calls by turns


@EVERY_DIALECT
@given(
    arguments=st.lists(st.dictionaries(plain_texts, json_values, max_size=3), min_size=2, max_size=4),
    cuts=sizes,
    sizes=sizes,
)
@examples(30)
def test_calls_by_turns_are_those_calls_however_the_stream_is_cut(dialect, arguments, cuts, sizes):
    calls = []
    for n, each in enumerate(arguments):
        text = json.dumps(each)
        calls.append(script.tool_call(f"f{n}", text, pieces=chunked(text, cuts)))
    s = script("a", script.interleave(*calls), "b")

    folded = fold(decode(chunked(b"".join(encode(s, dialect)), sizes), dialect))

    told = sorted(folded.tool_calls, key=lambda call: call.name)
    assert [json.loads(call.arguments) for call in told] == arguments
    assert [call.name for call in told] == [f"f{n}" for n in range(len(arguments))]
    assert folded.text == "ab"
    assert folded.contradictions == []
    assert sum(isinstance(item, FunctionCall) for item in folded.items) == len(arguments)


# --- choices


@pytest.mark.parametrize("name", sorted(HAS_CHOICES))
@pytest.mark.parametrize("quirks", QUIRKS, ids=repr)
def test_choices_are_told_apart(name, quirks):
    s = script(
        "a",
        script.choice(1, "x", script.reasoning("why", "?"), script.tool_call("f", {"n": 1})),
        "b",
        script.choice(1, "y", script.finish("length")),
        script.usage(3, 4),
    )

    folded = fold(events_of(s, name, quirks))

    assert (folded.text, folded.text_of(1)) == ("ab", "xy")
    assert [(call.name, call.choice) for call in folded.tool_calls] == [("f", 1)]
    assert [item.text for item in folded.items if isinstance(item, Reasoning) and item.choice == 1] == ["why?"]


@pytest.mark.parametrize("name", sorted(set(DIALECTS) - HAS_CHOICES))
def test_a_dialect_without_choices_says_so_before_anything_is_written(name):
    s = script("a", script.choice(1, "b"))

    for write in (encode, encode_whole):
        with pytest.raises(ScriptError, match=rf"{name} has one choice only.*openai\.chat and gemini\.generate have"):
            write(s, name)


# --- citations and notes


@EVERY_DIALECT
def test_a_citation_is_one(dialect):
    s = script("It is so. ", script.citation("http://x.test", "X", text="so"), "Yes.")

    events = events_of(s, dialect)

    assert [(event.url, event.title) for event in events if isinstance(event, Citation)] == [("http://x.test", "X")]
    assert fold(events).text == "It is so. Yes."
    assert [item.text for item in items(events)] == ["It is so. Yes."]


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - NO_NOTES))
@pytest.mark.parametrize("name", ["Searching…", "web_search_call.searching"])
def test_a_note_is_a_status(dialect, name):
    events = events_of(script("a", script.status(name), "b"), dialect)

    texts = [event for event in events if event.type in ("text.delta", "status") and event.type != "inference.started"]
    assert name in [event.name for event in texts if isinstance(event, Status)]
    assert fold(events).text == "ab"


@pytest.mark.parametrize("dialect", NO_NOTES)
def test_where_there_are_no_notes_they_are_left_out(dialect):
    s = script("a", script.status("searching"), "b")

    assert encode(s, dialect, Quirks(comments=("x",))) == encode(script("a", "b"), dialect)


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - NO_NOTES))
def test_comments_before_the_answer_are_notes(dialect):
    events = events_of(script("a"), dialect, Quirks(comments=("PROCESSING",)))

    assert events[1] == Status("PROCESSING")


# --- why it ends

ENDS = {
    "openai.chat": {"length": "length", "content_filter": "content_filter", "other": "other"},
    "openai.responses": {"length": "max_output_tokens", "content_filter": "content_filter", "other": "other"},
    "anthropic.messages": {"length": "max_tokens", "content_filter": "refusal", "pause_turn": "pause_turn"},
    "gemini.generate": {"length": "MAX_TOKENS", "content_filter": "SAFETY", "OTHER": "OTHER"},
}


@EVERY_DIALECT
def test_the_reason_to_end_is_said_in_the_provider_s_words(dialect):
    for reason, word in ENDS[dialect].items():
        assert fold(events_of(script("a", script.finish(reason)), dialect)).finish_reason == word


@EVERY_DIALECT
def test_without_a_reason_it_is_what_the_provider_says_by_itself(dialect):
    plain = {"openai.responses": "completed", "anthropic.messages": "end_turn", "gemini.generate": "STOP"}
    calls = {"openai.chat": "tool_calls", "anthropic.messages": "tool_use"}
    usual = plain.get(dialect, "stop")

    assert fold(events_of(script("a"), dialect)).finish_reason == usual
    assert fold(events_of(script(script.tool_call("f", {})), dialect)).finish_reason == calls.get(dialect, usual)


# --- sealed thoughts


@EVERY_DIALECT
def test_a_signature_and_what_is_redacted_come_through(dialect):
    s = script(script.reasoning("Let ", "me.", signature="c2ln"), script.reasoning(redacted="eA=="), "a")

    events = events_of(s, dialect, Quirks.of("openrouter") if dialect == "openai.chat" else None)

    told = repr(items(events)) + repr([event.data for event in events if event.type == "provider.event"])
    assert "c2ln" in told
    assert "eA==" in told
    assert fold(events).reasoning == "Let me."
    assert fold(events).text == "a"


# --- quirks


@EVERY_DIALECT
@pytest.mark.parametrize("quirks", QUIRKS, ids=repr)
def test_the_habits_of_a_server_do_not_change_what_is_said(dialect, quirks):
    s = script(
        script.reasoning("Hm, ", "well."),
        "Let me look. ",
        script.tool_call("f", '{"x":1}', pieces=['{"x"', ":1}"]),
        script.tool_call("g", "{}"),
        "é🙂",
        script.usage(3, 4),
    )

    folded = fold(events_of(s, dialect, quirks))

    assert (folded.text, folded.reasoning) == ("Let me look. é🙂", "Hm, well.")
    assert [(call.name, call.arguments) for call in folded.tool_calls] == [("f", '{"x":1}'), ("g", "{}")]
    assert (folded.usage.input_tokens, folded.usage.output_tokens) == (3, 4)


@EVERY_DIALECT
def test_lines_end_as_asked(dialect):
    data = b"".join(encode(script("a"), dialect, Quirks(newline="\r\n")))

    assert data.count(b"\r\n") == data.count(b"\n")
    assert b"\r" not in b"".join(encode(script("a"), dialect, Quirks(newline="\n")))


def test_an_unknown_provider_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match="no provider 'openia' is known; there are: anthropic, azure, .*, xai"):
        Quirks.of("openia")


# --- not streamed


@EVERY_DIALECT
def test_an_answer_in_one_piece_says_the_same(dialect):
    s = script(
        script.reasoning("Hm."),
        "a",
        script.citation("http://x.test", "X"),
        script.tool_call("f", '{"x":1}'),
        script.usage(3, 4),
        script.finish("length"),
    )

    events = decoder_of(dialect).whole(encode_whole(s, dialect))

    assert_legal(events)
    whole, streamed = fold(events), fold(events_of(s, dialect))
    assert (whole.text, whole.reasoning, whole.usage) == (streamed.text, streamed.reasoning, streamed.usage)
    assert [(c.name, c.arguments) for c in whole.tool_calls] == [(c.name, c.arguments) for c in streamed.tool_calls]
    assert whole.finish_reason == streamed.finish_reason
    assert [event.url for event in events if isinstance(event, Citation)] == ["http://x.test"]


def decoder_of(name):
    return dialect(name).decoder()


@EVERY_DIALECT
@pytest.mark.parametrize("end", [script.stall(), script.disconnect(), script.error("x"), script.error(500)], ids=repr)
def test_what_breaks_off_is_no_answer_in_one_piece(dialect, end):
    with pytest.raises(ScriptError, match="is no answer: the provider gives none, or an HTTP error"):
        encode_whole(script("a", end) if not isinstance(getattr(end, "code", None), int) else script(end), dialect)
