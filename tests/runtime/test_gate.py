"""Gates: what a verdict does, in chains of them; what they hear of the end; and what no gate may do."""

from __future__ import annotations

import threading

import pytest

from pytest_streamrt import Signal
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    InferenceCompleted,
    ItemCompleted,
    Message,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    ReasoningDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.runtime.gate import Emit, Gate, GateFailed, Hold, Pass, Stop, check_gates
from pytest_streamrt.runtime.gate_chain import GateChain
from tests.runtime.gates import Rule, Sentences, only_text, said, through

# --- verdicts


def test_without_gates_everything_goes_on():
    events = [*said("a", "b"), Usage(1, 2)]

    assert through([], *events) == events


def test_pass_lets_the_very_event_go_on():
    events = [
        *said("a"),
        ReasoningDelta("t"),
        ItemCompleted(Reasoning("t", encrypted="e")),
        ToolCallStarted("1", "f"),
        ToolCallDelta("1", "{}"),
        ItemCompleted(FunctionCall("1", "f", "{}")),
        Citation("u"),
        ProviderEvent("openai.chat", "delta", {}),
    ]

    assert [id(event) for event in through([Rule(lambda _: Pass)], *events)] == [id(event) for event in events]


def test_hold_keeps_an_event_until_its_strand_passes():
    chain = GateChain([Sentences()])

    assert chain.take(TextDelta("One")) == []
    assert chain.take(TextDelta(" and")) == []
    assert chain.take(TextDelta(" two.")) == [TextDelta("One"), TextDelta(" and"), TextDelta(" two.")]
    assert chain.take(TextDelta("Three")) == []
    assert chain.take(ItemCompleted(ModelMessage("One and two.Three"))) == [
        TextDelta("Three"),
        ItemCompleted(ModelMessage("One and two.Three")),
    ]


def test_no_strand_waits_for_what_is_held_of_another():
    chain = GateChain([Sentences()])

    chain.take(TextDelta("One"))
    chain.take(TextDelta("Uno", choice=1))

    assert chain.take(ReasoningDelta("x")) == [ReasoningDelta("x")]
    assert chain.take(Citation("u")) == [Citation("u")]
    assert chain.take(TextDelta(".")) == [TextDelta("One"), TextDelta(".")]
    assert chain.flush("completed") == [TextDelta("Uno", choice=1)]


def test_a_gate_sees_what_is_held_of_the_strand():
    seen = []

    def rule(event):
        seen.append("".join(each.text for each in gate.held))
        return Hold

    gate = Rule(rule)
    through([gate], TextDelta("a"), TextDelta("x", choice=1), TextDelta("b"), TextDelta("c"))

    assert seen == ["", "", "a", "ab"]


def test_emit_replaces_an_event_and_what_is_held_of_its_strand():
    verdicts = iter([Hold, Hold, Emit(TextDelta("***")), Pass])

    assert through([Rule(lambda _: next(verdicts))], *said("sec", "re", "t")) == [
        TextDelta("***"),
        ItemCompleted(ModelMessage("***")),
    ]


def test_emit_of_nothing_drops():
    assert through([Rule(lambda event: Emit() if event.type == "text.delta" else Pass)], *said("a", "b")) == []


def test_stop_lets_nothing_more_go_on():
    chain = GateChain([Rule(lambda event: Stop("no b") if "b" in event.text else Pass, name="censor")])

    assert chain.take(TextDelta("a")) == [TextDelta("a")]
    assert chain.stopped is None
    assert chain.take(TextDelta("b")) == []
    assert chain.stopped == ("censor", "no b")
    assert chain.take(TextDelta("a")) == []
    assert chain.flush("aborted") == []


def test_a_gate_is_named_after_its_class():
    class NoMore(Gate):
        def check(self, event):
            return Stop("enough")

    chain = GateChain([NoMore()])
    chain.take(TextDelta("a"))

    assert chain.stopped == ("NoMore", "enough")


def test_more_than_max_held_stops_however_it_is_cut():
    class Keeper(Gate):
        max_held = 5

        def check(self, event):
            return Hold

    for pieces in (["abcde", "f"], ["a", "b", "c", "d", "e", "f"], ["abcdef"]):
        chain = GateChain([Keeper()])
        for piece in pieces[:-1]:
            chain.take(TextDelta(piece))
        assert chain.stopped is None
        assert chain.take(TextDelta(pieces[-1])) == []
        assert chain.stopped == ("Keeper", "it held back more characters than max_held=5")


def test_what_was_let_go_is_held_no_more():
    class Few(Sentences):
        max_held = 5

    assert len(through([Few()], *map(TextDelta, ["abcd", "."] * 10))) == 20


# --- what gates are asked about


@pytest.mark.parametrize(
    "event", [Usage(1, 2), Status("in_progress"), Signal("x"), ItemCompleted(Message("hi"))], ids=lambda e: e.type
)
def test_gates_are_asked_about_what_the_model_says_alone(event):
    gate = Rule(lambda _: Stop("no"))

    assert through([gate], event) == [event]
    assert gate.asked == []


def test_the_second_gate_is_asked_about_what_the_first_lets_on():
    first = Rule(lambda event: Emit(TextDelta("b"), Signal("seen")) if event.type == "text.delta" else Pass)
    second = Rule(lambda _: Pass)

    assert through([first, second], *said("a")) == [TextDelta("b"), Signal("seen"), ItemCompleted(ModelMessage("b"))]
    assert second.asked == [TextDelta("b"), ItemCompleted(ModelMessage("b"))]


def test_what_went_on_before_a_later_gate_stops_is_heard():
    first = Rule(lambda _: Emit(TextDelta("a"), TextDelta("b"), TextDelta("c")))
    chain = GateChain([first, Rule(lambda event: Stop("b") if event.text == "b" else Pass)])

    assert chain.take(TextDelta("x")) == [TextDelta("a")]
    assert chain.stopped == ("Rule", "b")


def test_each_inference_has_a_gate_of_its_own():
    class Once(Gate):
        heard = 0

        def check(self, event):
            self.heard += 1
            return Pass if self.heard == 1 else Emit()

    gate = Once()

    assert through([gate], TextDelta("a"), TextDelta("b")) == [TextDelta("a")]
    assert through([gate], TextDelta("a"), TextDelta("b")) == [TextDelta("a")]
    assert gate.heard == 0


# --- the end


def test_at_completion_what_is_held_goes_on_by_default():
    assert through([Sentences()], TextDelta("a"), TextDelta("b")) == [TextDelta("a"), TextDelta("b")]
    assert through([Sentences()], TextDelta("a"), end="failed") == []
    assert through([Sentences()], TextDelta("a"), end="aborted") == []


def test_what_a_flush_emits_goes_through_the_later_gates():
    first = Rule(only_text(Hold), flush=lambda end: [TextDelta(end)])
    second = Rule(lambda event: Emit(TextDelta(event.text.upper())))

    assert through([first, second], TextDelta("a")) == [TextDelta("COMPLETED")]
    assert through([first, second], TextDelta("a"), end="failed") == [TextDelta("FAILED")]


def test_after_an_abort_nothing_is_emitted_though_the_gates_hear_of_it():
    ends = []
    gate = Rule(only_text(Hold), flush=lambda end: ends.append(end) or [TextDelta("late")])

    assert through([gate, gate], TextDelta("a"), end="aborted") == []
    assert ends == ["aborted", "aborted"]


def test_each_gate_hears_of_the_end_once():
    ends = []
    quiet = Rule(lambda _: Pass, flush=ends.append)
    stopping = Rule(lambda _: Stop("no"), flush=ends.append)
    chain = GateChain([Rule(only_text(Hold)), stopping, quiet])
    chain.take(TextDelta("a"))

    assert chain.flush("completed") == []
    assert chain.stopped == ("Rule", "no")
    assert chain.flush("aborted") == []
    assert chain.flush("aborted") == []
    assert ends == ["aborted", "aborted"]


# --- what no gate may do


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda _: None, r"check\(\) returned None; it returns Pass, Hold, Emit"),
        (lambda _: Stop, r"check\(\) returned the class Stop"),
        (lambda _: True, r"check\(\) returned bool"),
        (lambda _: Emit("text"), "takes events, one by one, and not str"),
        (lambda _: Emit([TextDelta("a")]), "takes events, one by one, and not list"),
        (lambda _: Emit(InferenceCompleted()), r"cannot emit inference.completed; .* Stop\(reason\)"),
        (lambda event: event.nothing, r"check\(\) of a text.delta raised AttributeError"),
    ],
)
def test_what_no_gate_may_do_fails(rule, says):
    chain = GateChain([Rule(rule, name="mine")])

    with pytest.raises(GateFailed, match=says) as failure:
        chain.take(TextDelta("secret"))

    assert failure.value.gate == "mine"
    assert failure.value.kind == "model"
    assert str(failure.value).startswith("the gate 'mine': ")
    assert "secret" not in str(failure.value)
    assert chain.take(TextDelta("a")) == []
    assert chain.flush("failed") == []


def test_what_a_gate_raised_is_the_cause():
    def rule(_):
        raise KeyError("secret")

    with pytest.raises(GateFailed) as failure:
        through([Rule(rule)], TextDelta("a"))

    assert isinstance(failure.value.__cause__, KeyError)


def test_a_check_is_not_async():
    class Slow(Gate):
        async def check(self, event):
            return Pass

    with pytest.raises(GateFailed, match="is async; a gate decides without waiting"):
        through([Slow()], TextDelta("a"))


def test_a_flush_that_raises_fails_what_would_have_completed():
    def flush(end):
        raise ValueError(end)

    chain = GateChain([Rule(lambda _: Pass, flush=flush)])

    with pytest.raises(GateFailed, match=r"flush\(\) raised ValueError"):
        chain.flush("completed")
    assert chain.flush("failed") == []


@pytest.mark.parametrize("end", ["aborted", "failed"])
def test_a_flush_that_raises_after_the_end_is_on_the_record(end):
    def flush(end):
        raise ValueError(end)

    chain = GateChain([Rule(lambda _: Pass, flush=flush, name="a"), Rule(lambda _: Pass, flush=flush, name="b")])

    assert chain.flush(end) == []
    assert [error.gate for error in chain.errors] == ["a", "b"]


def test_wrong_gates_are_refused():
    class Locked(Sentences):
        def __init__(self):
            self.lock = threading.Lock()

    with pytest.raises(TypeError, match=r"Sentences'> is no gate. Write Sentences\(…\)"):
        check_gates([Sentences])
    with pytest.raises(TypeError, match="3 is no gate"):
        check_gates([3])
    with pytest.raises(TypeError, match=r"'Locked' cannot be copied for each inference: .*Override its fresh\(\)"):
        check_gates([Locked()])
    assert len(check_gates([Sentences(), Sentences()])) == 2


def test_verdicts_are_readable():
    assert repr([Pass, Hold, Stop("x")]) == "[Pass, Hold, Stop(reason='x')]"
    assert repr(Emit(TextDelta("a"))) == "Emit(events=(TextDelta(text='a'),))"


def test_a_flush_may_be_a_generator_and_is_not_async():
    class Late(Sentences):
        def flush(self, end):
            yield TextDelta("late")
            raise KeyError

    class Slow(Sentences):
        async def flush(self, end):
            return []

    with pytest.raises(GateFailed, match=r"flush\(\) raised KeyError"):
        through([Late()])
    with pytest.raises(GateFailed, match=r"flush\(\) is async"):
        through([Slow()])
