"""What items say of which gates have let a part go on, or changed it: what its deltas said, and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import Signal, fold
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    ItemCompleted,
    ModelMessage,
    Reasoning,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.runtime.gate import Emit, Hold, Pass
from pytest_streamrt.runtime.gate_chain import GateChain
from tests.runtime.gates import Rule, Sentences, said, through
from tests.strategies import examples, texts


def test_an_item_of_which_nothing_went_on_is_not_heard_of():
    drop = Rule(lambda event: Emit() if event.type in {"text.delta", "reasoning.delta", "tool_call.started"} else Pass)
    events = [
        *said("a"),
        ReasoningDelta("t", summary=True),
        ItemCompleted(Reasoning("", "t")),
        ToolCallStarted("1", "f"),
        ToolCallDelta("1", "{}"),
        ItemCompleted(FunctionCall("1", "f", "{}")),
    ]

    assert through([drop], *events) == []


def test_an_item_that_came_without_deltas_does_not_pass_by_the_gates():
    gate = Rule(lambda _: Pass)
    items = [ModelMessage("a", "r", 1), Reasoning("t", "s"), FunctionCall("1", "f", "{}", 2)]

    heard = through([gate], *map(ItemCompleted, items))

    assert [event.item for event in heard if isinstance(event, ItemCompleted)] == items
    assert fold(heard).contradictions == []
    assert gate.asked == heard
    assert [event.type for event in heard[:2]] == ["text.delta", "refusal.delta"]


def test_what_an_item_says_beyond_its_deltas_does_not_go_on():
    events = [TextDelta("a"), ItemCompleted(ModelMessage("a and more"))]

    assert through([Rule(lambda _: Pass)], *events) == [TextDelta("a"), ItemCompleted(ModelMessage("a"))]


def test_the_encrypted_form_of_a_reasoning_goes_with_the_whole_of_it_alone():
    first = Rule(lambda event: Emit() if getattr(event, "text", "") == "b" else Pass)
    events = [ReasoningDelta("a"), ReasoningDelta("b"), ItemCompleted(Reasoning("ab", encrypted="e"))]

    assert through([first], *events) == [ReasoningDelta("a"), ItemCompleted(Reasoning("a"))]
    only_encrypted = ItemCompleted(Reasoning(encrypted="e"))
    assert through([first], only_encrypted) == [only_encrypted]


def test_a_character_parted_by_deltas_is_whole_in_its_item():
    whole = ItemCompleted(ModelMessage("🙂"))

    assert through([Rule(lambda _: Pass)], TextDelta("\ud83d"), TextDelta("\ude42"), whole)[-1] is whole


def test_a_message_does_not_overtake_what_is_held_of_the_one_before():
    chain = GateChain([Sentences()])

    assert chain.take(TextDelta("One", "m1")) == []
    assert chain.take(TextDelta("Two.", "m2")) == [TextDelta("One", "m1"), TextDelta("Two.", "m2")]


def test_interleaved_items_keep_their_own_text():
    gate = Rule(lambda event: Emit() if getattr(event, "text", "") == "x" else Pass)
    events = [
        TextDelta("a", item="1"),
        TextDelta("x", item="2"),
        TextDelta("b", item="2"),
        TextDelta("x", item="1"),
        ItemCompleted(ModelMessage("xb")),
        ItemCompleted(ModelMessage("ax")),
    ]

    heard = through([gate], *events)

    assert heard[-2:] == [ItemCompleted(ModelMessage("b")), ItemCompleted(ModelMessage("a"))]


PARTS = st.lists(
    st.tuples(st.sampled_from(["text", "refusal", "reasoning", "summary", "call"]), st.integers(0, 1), texts),
    max_size=8,
)
VERDICTS = ["pass", "pass", "hold", "drop", "upper", "double", "signal"]


def spoken(parts):
    """What a model would say: each part in two deltas, its item, and some other events between."""
    for n, (kind, choice, text) in enumerate(parts):
        pieces = [text[: len(text) // 2], text[len(text) // 2 :]]
        if kind == "call":
            yield ToolCallStarted(str(n), "f", choice)
            yield from (ToolCallDelta(str(n), piece, choice) for piece in pieces)
            yield ItemCompleted(FunctionCall(str(n), "f", text, choice))
        elif kind in ("text", "refusal"):
            delta = TextDelta if kind == "text" else RefusalDelta
            yield from (delta(piece, choice=choice, item=str(n)) for piece in pieces)
            yield Citation("u", choice=choice)
            yield ItemCompleted(ModelMessage(*((text, "") if kind == "text" else ("", text)), choice))
        else:
            yield from (ReasoningDelta(piece, choice=choice, summary=kind == "summary") for piece in pieces)
            yield ItemCompleted(Reasoning(*((text, "") if kind == "reasoning" else ("", text)), choice=choice))
        yield Usage(n, n)


def judge(verdicts):
    """A gate that follows a list of verdicts, over and over."""
    asked = iter(range(10**6))

    def rule(event):
        from dataclasses import replace

        verdict = verdicts[next(asked) % len(verdicts)]
        own = {"text", "arguments"} & set(vars(event))
        if verdict in ("upper", "double") and own:
            field = own.pop()
            changed = replace(event, **{field: getattr(event, field).upper()})
            return Emit(changed, changed) if verdict == "double" else Emit(changed)
        return {"hold": Hold, "drop": Emit(), "signal": Emit(Signal("s"), event)}.get(verdict, Pass)

    return Rule(rule)


@given(PARTS, st.lists(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=7), min_size=1, max_size=3))
@examples(300)
def test_items_say_what_their_deltas_say_whatever_the_gates_do(parts, rules):
    gates = [judge(rule) for rule in rules]

    heard = through(gates, *spoken(parts))

    assert fold(heard).contradictions == []
    for gate in gates:
        assert fold(gate.asked).contradictions == []
    assert [event for event in heard if isinstance(event, Usage)] == [Usage(n, n) for n in range(len(parts))]


@given(PARTS, st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 3))
@examples(200)
def test_gates_that_only_hold_and_pass_change_nothing_but_times(parts, holds, n):
    def gate():
        asked = iter(range(10**6))
        return Rule(lambda _: Hold if holds[next(asked) % len(holds)] else Pass)

    events = list(spoken(parts))

    heard = through([gate() for _ in range(n)], *events)

    assert sorted(map(repr, heard)) == sorted(map(repr, events))
    assert fold(heard).text == fold(events).text
    assert fold(heard).reasoning == fold(events).reasoning
