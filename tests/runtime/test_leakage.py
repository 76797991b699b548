"""The leakage gate: what it shows of any text in any cut, when it shows it, and what it does with other events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import fold, script
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    ItemCompleted,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.providers import decode, encode
from pytest_streamrt.runtime.gate_chain import GateChain
from pytest_streamrt.runtime.leakage import TOOL_SYNTAX, LeakageGate
from tests.strategies import cut_text, examples, sizes

THINK = [("<think>", "</think>")]


def reference(text, pairs, show_after=None):
    """What is shown of a whole text, read from its beginning: (what it shows, the hidden characters' places)."""
    waiting, section, depth = show_after is not None, None, 0
    shown, at = "", 0
    while at < len(text):
        if section is None:
            markers = [begin for begin, _ in pairs] + ([show_after] if waiting else [])
        else:
            markers = [section[0], section[1]] if section[1] is not None else []
        here = max((marker for marker in markers if text[at:].startswith(marker)), key=len, default=None)
        if here is None:
            shown += text[at] if section is None and not waiting else ""
            at += 1
            continue
        at += len(here)
        if section is None:
            section = next((pair for pair in pairs if pair[0] == here), None)
            depth = 1
            waiting = waiting and here != show_after
        else:
            depth += -1 if here == section[1] else 1
            if depth == 0:
                section = None
                waiting = waiting and here != show_after
    return shown


def gate_for(pairs, show_after=None):
    return LeakageGate(pairs, show_after=show_after, hide_tool_syntax=False)


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def shown_by(gate, *pieces):
    """The text that is let go at each delta, and then at the end."""
    chain = GateChain([gate])
    return [*(text_of(chain.take(TextDelta(piece))) for piece in pieces), text_of(chain.flush("completed"))]


def common_start(texts):
    least, greatest = min(texts), max(texts)  # what these two have in common, all have
    n = next((n for n, (a, b) in enumerate(zip(least, greatest, strict=False)) if a != b), len(least))
    return least[:n]


# Markers that begin alike, hold each other, repeat themselves, end as they begin, or do not end.
TABLES = [
    (THINK, None),
    ([("<think>", "</think>"), ("<tool_call>", "</tool_call>")], None),
    ([("<a<b>c", "d"), ("<b>", "</b>")], None),
    ([("<t", "/t>"), ("<tt>", "</tt>"), ("<ttt", None)], None),
    ([("aab", "baa")], None),
    ([("$$", "$$")], None),
    ([("x", "xy")], None),
    ([("xy", "x")], None),
    (THINK, "Final Answer:"),
    (THINK, "</think>"),
    ([("aab", "aa")], "ab"),
    ([("[", None)], "A"),
    ([], "aab"),
]
tables = st.sampled_from(TABLES)


@st.composite
def cases(draw):
    """A table of markers, a text full of them and of parts of them, and a way to cut it."""
    pairs, show_after = draw(tables)
    markers = [marker for pair in pairs for marker in pair if marker] + ([show_after] if show_after else [])
    parts = [marker[i:j] for marker in markers for i in range(len(marker)) for j in (i + 1, len(marker))]
    tokens = st.sampled_from(markers) | st.sampled_from(parts) | st.sampled_from(["z", " ", "é", "🙂"])
    text = "".join(draw(st.lists(tokens, max_size=16)))
    return pairs, show_after, markers, cut_text(text, draw(sizes))


@given(cases())
@examples(400)
def test_any_text_in_any_cut_shows_the_same(case):
    pairs, show_after, _, pieces = case

    assert "".join(shown_by(gate_for(pairs, show_after), *pieces)) == reference("".join(pieces), pairs, show_after)


@given(cases())
@examples(400)
def test_what_is_shown_is_all_that_is_certain_and_nothing_else(case):
    pairs, show_after, markers, pieces = case
    endings = ["", *(marker[i:] for marker in markers for i in range(len(marker)))]
    longest = max(map(len, markers))
    whole = reference("".join(pieces), pairs, show_after)
    said = shown = ""

    for piece, now in zip(pieces, shown_by(gate_for(pairs, show_after), *pieces), strict=False):
        said += piece
        shown += now
        assert whole.startswith(shown)
        assert len(reference(said, pairs, show_after)) - len(shown) <= longest - 1
        # Whatever the text goes on with, this is shown; and nothing more is, because it depends on how it goes on.
        assert shown == common_start([reference(said + end, pairs, show_after) for end in endings])


@given(st.lists(st.sampled_from(["secret", "<think>", " ", "</thi", "<tool_call>"]), max_size=6), sizes, st.booleans())
@examples(300)
def test_no_part_of_a_hidden_section_is_emitted(inner, sizes, ends):
    hidden = "".join(inner)
    depth = 1 + hidden.count("<think>")
    text = f"Hello <think>{hidden}" + ("</think>" * depth + "world" if ends else "")
    chain = GateChain([LeakageGate()])
    events = [TextDelta(piece) for piece in cut_text(text, sizes)] + [ItemCompleted(ModelMessage(text))]

    heard = [out for event in events for out in chain.take(event)] + chain.flush("completed")

    assert text_of(heard) == ("Hello world" if ends else "Hello ")
    assert heard[-1] == ItemCompleted(ModelMessage(text_of(heard)))
    assert fold(heard).contradictions == []


# --- by example


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["<thi", "nk>plan B</th", "ink>Hello"], ["", "", "Hello", ""]),
        (["a<", "b"], ["a", "<b", ""]),
        (["a<thi"], ["a", "<thi"]),
        (["a<<think>b"], ["a<", ""]),
        (["a<think>b"], ["a", ""]),
        (["a<think>b</think"], ["a", ""]),
        (["a</think>b"], ["a</think>b", ""]),
        (["<think>a<think>b</think>c</think>d"], ["d", ""]),
        (["<think>a<tool_call>b</think>c"], ["c", ""]),
        (["a<tool_call>{}</tool_call>b"], ["ab", ""]),
        (["a[TOOL", "_CALLS][{}] and so on"], ["a", "", ""]),
        (["a", "", "b"], ["a", "", "b", ""]),
    ],
)
def test_what_is_let_go_when(pieces, shown):
    assert shown_by(LeakageGate(THINK), *pieces) == shown


@pytest.mark.parametrize(("begin", "end"), TOOL_SYNTAX)
def test_raw_tool_calls_are_hidden(begin, end):
    text = f"a{begin}f(1){end or ''}"

    assert "".join(shown_by(LeakageGate(), *text)) == "a"
    assert "".join(shown_by(LeakageGate(hide_tool_syntax=False), *text)) == text


@pytest.mark.parametrize(
    ("show_after", "text", "shown"),
    [
        ("Final Answer:", "Thought: no. Final Answer: 42", " 42"),
        ("Final Answer:", "Thought: no. Final Answer", ""),
        ("Final Answer:", "Final Answer: 42. Final Answer: 43", " 42. Final Answer: 43"),
        ("Final Answer:", "<think>Final Answer: 41</think>Final Answer: 42", " 42"),
        ("Final Answer:", "Final Answer: <think>no</think>42", " 42"),
        ("</think>", "plan B</think>Hello", "Hello"),
        ("</think>", "<think>plan B</think>Hello", "Hello"),
        ("</think>", "<think>plan <think>C</think> B</think>Hello", "Hello"),
        ("</think>", "plan B", ""),
    ],
)
def test_only_what_follows_a_marker_is_shown(show_after, text, shown):
    assert "".join(shown_by(LeakageGate(show_after=show_after), *text)) == shown


# --- events


def through(gate, *events, end="completed"):
    chain = GateChain([gate])
    return [out for event in events for out in chain.take(event)] + chain.flush(end)


def test_deltas_keep_their_item_and_choice():
    heard = through(
        LeakageGate(),
        TextDelta("a<thi", "m1", 0),
        TextDelta("b<think>", "m2", 1),
        TextDelta("s", "m1", 0),
        TextDelta("hidden</think>c<", "m2", 1),
    )

    assert heard == [
        TextDelta("a", "m1", 0),
        TextDelta("b", "m2", 1),
        TextDelta("<this", "m1", 0),
        TextDelta("c", "m2", 1),
        TextDelta("<", "m2", 1),
    ]


def test_a_delta_that_is_shown_whole_is_the_very_event():
    event = TextDelta("a")

    assert through(LeakageGate(), event)[0] is event


def test_what_was_no_marker_is_let_go_before_its_item():
    assert through(LeakageGate(), TextDelta("a <"), ItemCompleted(ModelMessage("a <"))) == [
        TextDelta("a "),
        TextDelta("<"),
        ItemCompleted(ModelMessage("a <")),
    ]


def test_a_message_ends_what_is_hidden_in_it():
    events = [TextDelta("<think>a"), ItemCompleted(ModelMessage("<think>a")), TextDelta("b")]

    assert through(LeakageGate(), *events) == [TextDelta("b")]


def test_an_item_that_ends_lets_nothing_of_another_go():
    heard = through(
        LeakageGate(),
        TextDelta("one", "m1"),
        TextDelta("<thi", "m2"),
        ItemCompleted(ModelMessage("one")),
        TextDelta("nk>two", "m2"),
        ItemCompleted(ModelMessage("<think>two")),
    )

    assert heard == [TextDelta("one", "m1"), ItemCompleted(ModelMessage("one"))]


@pytest.mark.parametrize("end", ["aborted", "failed"])
def test_what_may_still_become_a_marker_stays_back_when_the_answer_is_cut_short(end):
    assert through(LeakageGate(), TextDelta("a <thi"), end=end) == [TextDelta("a ")]


def test_reasoning_stays_back_unless_it_may_go():
    events = [
        ReasoningDelta("a"),
        ItemCompleted(Reasoning("a", encrypted="e")),
        ItemCompleted(Reasoning(encrypted="e")),
    ]

    assert through(LeakageGate(), *events) == []
    assert through(LeakageGate(hide_reasoning=False), *events) == events


def test_what_no_dialect_could_map_stays_back_unless_it_may_go():
    event = ProviderEvent("openai.chat", "delta", {"thoughts": "plan B"})

    assert through(LeakageGate(), event) == []
    assert through(LeakageGate(hide_provider_events=False), event) == [event]


def test_tool_calls_that_come_as_such_go_on():
    events = [
        ToolCallStarted("1", "f"),
        ToolCallDelta("1", '{"a": "<think>"}'),
        ItemCompleted(FunctionCall("1", "f", '{"a": "<think>"}')),
    ]

    assert through(LeakageGate(), *events) == events


def test_refusals_hide_the_same_sections_and_wait_for_no_answer():
    gate = LeakageGate(show_after="Final Answer:")
    events = [RefusalDelta("I <think>a</think>ca"), RefusalDelta("n't"), ItemCompleted(ModelMessage("", "I can't"))]

    assert through(gate, *events) == [
        RefusalDelta("I ca"),
        RefusalDelta("n't"),
        ItemCompleted(ModelMessage("", "I can't")),
    ]


def test_a_citation_goes_on_where_text_would():
    cited = Citation("u")

    assert through(LeakageGate(), cited, TextDelta("<think>"), cited, TextDelta("</think>"), cited) == [cited, cited]
    assert through(LeakageGate(show_after="A:"), cited, TextDelta("A:"), cited) == [cited]


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
def test_what_a_provider_sends_whole_at_the_end_leaks_nothing(dialect):
    answer = script("Hi <thi", "nk>plan B</th", "ink>there", script.reasoning("plan A"))
    chain = GateChain([LeakageGate()])

    heard = [out for event in decode(encode(answer, dialect), dialect) for out in chain.take(event)]

    assert text_of(heard) == "Hi there"
    assert "plan" not in repr(heard)


def test_a_long_text_is_read_in_linear_time():
    text = "a < b [ c " * 100_000

    assert "".join(shown_by(LeakageGate(), text)) == text


# --- wrong use


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"hide": ("<think>", "</think>")}, TypeError, r"it is a list of pairs, such as \[\('<think>'"),
        ({"hide": "<think>"}, TypeError, "it is a list of pairs"),
        ({"hide": [("a", "b", "c")]}, TypeError, "it is a list of pairs"),
        ({"hide": [("a", 1)]}, TypeError, "is no pair of markers"),
        ({"hide": [("", "b")]}, ValueError, "an empty marker"),
        ({"hide": [("a", "")]}, ValueError, "write None"),
        ({"hide": [("a", "b"), ("a", "c")]}, ValueError, "'a' begins two kinds of section"),
        ({"show_after": "<think>"}, ValueError, "it is a marker that does not begin a hidden section"),
        ({"show_after": ""}, ValueError, "it is a marker"),
    ],
)
def test_wrong_markers_are_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        LeakageGate(**arguments)


def test_a_pair_of_one_s_own_takes_the_place_of_a_known_one():
    gate = LeakageGate([("[TOOL_CALLS]", "[END]")])

    assert shown_by(gate, "a[TOOL_CALLS]b[END]c") == ["ac", ""]
