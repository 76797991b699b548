"""The laws of the runtime, checked against a transcript: a function for each, and the report of them all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall
from pytest_streamrt.events.order import DELTAS, TERMINALS, State, next_state
from pytest_streamrt.events.types import DeltasDropped, Event, InferenceAborted, ItemCompleted, Mark, Status, ToolResult
from pytest_streamrt.runtime.environment import Environment
from pytest_streamrt.runtime.inference import Inference
from pytest_streamrt.runtime.mailbox import Mailbox, merged
from pytest_streamrt.wording import counted

__all__ = ["LawReport", "check_laws"]

Logged = tuple[object, Event]
"""An event, and who numbered it."""


@dataclass
class LawReport:
    """What `assert_lawful` found.

    Attributes:
        checked: the numbers of the laws that were checked.
        unchecked: the laws that were not, and why.
        broken: one entry for each breach: the law's number, and what breaks it.
    """

    checked: list[int] = field(default_factory=list)
    unchecked: dict[int, str] = field(default_factory=dict)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = []
        for law in dict.fromkeys(law for law, _ in self.broken):
            breaches = [what for of, what in self.broken if of == law]
            lines.append(f"law {law} is broken: {LAWS[law]}")
            lines += [f"    {what}" for what in breaches[:_TOLD]]
            if len(breaches) > _TOLD:
                lines.append(f"    … and {len(breaches) - _TOLD} more")
            if law in _LOOK_AT:
                lines.append(f"    Look at: {_LOOK_AT[law]}")
        lines += [f"law {law} was checked and holds" for law in self.checked if all(law != b for b, _ in self.broken)]
        lines += [f"law {law} could not be checked: {why}" for law, why in self.unchecked.items()]
        return "\n".join(lines)


LAWS: Final[Mapping[int, str]] = {
    1: "seq runs 1..n without a gap, and inference_seq likewise within its inference",
    2: "each inference has exactly one inference.started and one terminal event, and nothing of it comes after",
    3: "a participant hears a contiguous slice of the one order; only deltas are dropped or merged, on the record",
    4: "what causes an event comes before it, and whoever acted had been handed its cause",
    5: "the deltas of an item, joined, are the item's text, or the partial of the abort",
    6: "upstream is closed before abort() returns, or its refusal is on the record",
    7: "on_internal_event fires exactly when the source is the participant itself",
    8: "every tool call has exactly one result, or is reported cancelled",
    9: "a participant that fails changes nobody else's transcript",
    10: "the same script gives the same transcript on every run",
    11: "no inbox holds more deltas than its capacity, and those on their way",
}


_TOLD: Final = 5  # breaches of one law that the report tells

_LOOK_AT: Final[Mapping[int, str]] = {
    1: "who logs these events: each origin numbers its own, and transcript.log() is for one that does",
    2: "who reads that stream, and leaves it unclosed (async with, aclosing(…)); or a model that goes on after its end",
    3: "the inbox of that participant, and what its handlers wait for",
    4: "the handler that emits it: in what it acts on, and in tasks it has started",
    5: "the model or the decode function that says it: its deltas and its item are two tellings of one thing",
    8: "that tool, and how its call ended: a status tool.failed or tool.not_stopped is beside it in the transcript",
    11: "the participant that is behind, and what its handlers wait for",
}


def check_laws(logged: Sequence[Logged], skip: Collection[int]) -> LawReport:
    """Check every law there is evidence for, but those to be skipped."""
    __tracebackhide__ = True
    if not isinstance(skip, Collection):
        msg = f"assert_lawful(skip=…): it is a list of laws, such as skip=[8], not {skip!r}"
        raise TypeError(msg)
    unknown = set(skip) - set(LAWS)
    if unknown:
        msg = f"assert_lawful(skip=…): there are laws 1 to {max(LAWS)}, and no {sorted(unknown)}"
        raise ValueError(msg)
    report = LawReport()
    for law in LAWS:
        if law in skip:
            report.unchecked[law] = "skipped by request"
        elif law not in _CHECKS:
            report.unchecked[law] = _NO_EVIDENCE[law]
        elif not logged:
            report.unchecked[law] = "the transcript is empty"
        elif law in _OF_DELIVERIES and not any(_rooms(logged)):
            report.unchecked[law] = "no environment wrote to the transcript, and so nothing was delivered"
        elif law == _OF_ABORTS and not any(_waited_for(logged)):
            report.unchecked[law] = "no abort in an environment has returned"
        elif law == _OF_TOOLS and not any(_with_tools(logged)):
            report.unchecked[law] = "no agent that inferred has tools"
        else:
            report.checked.append(law)
            report.broken += [(law, what) for what in _CHECKS[law](logged)]
    return report


def _numbered(logged: Sequence[Logged]) -> Iterator[str]:
    last: dict[int, int] = defaultdict(int)
    last_within: dict[tuple[int, str], int] = defaultdict(int)
    for origin, event in logged:
        if isinstance(event, Mark | DeltasDropped):  # on the record, but not in the order
            continue
        order = id(origin)
        if event.seq != last[order] + 1:
            yield f"seq {last[order] + 1} was to come, and {event!r} came"
        last[order] = event.seq
        if event.inference is not None and event.inference_seq:
            within = order, event.inference
            if event.inference_seq != last_within[within] + 1:
                yield f"inference_seq {last_within[within] + 1} of {event.inference} was to come, and {event!r} came"
            last_within[within] = event.inference_seq


def _ordered(logged: Sequence[Logged]) -> Iterator[str]:
    states: dict[tuple[int, str], State] = {}
    for origin, event in logged:
        if event.inference is None or not event.inference_seq:
            continue
        within = id(origin), event.inference
        state = states.get(within, "idle")
        after = next_state(state, event.type)
        if after is None:
            yield f"{event.type} comes while {event.inference} is {state}: {event!r}"
        else:
            states[within] = after
    for (_, inference), state in states.items():
        if state == "running":
            yield f"{inference} has no terminal event"


def _caused(logged: Sequence[Logged]) -> Iterator[str]:
    for _, event in logged:
        if event.cause is not None and event.cause >= event.seq:
            yield f"{event!r} is caused by seq {event.cause}, which does not come before it"
    for room in _rooms(logged):
        heard: dict[int, set[int]] = {id(stay): {event.seq for event in stay.heard or ()} for stay in room._stays}
        for event, stay in room._order.acts:
            if event.cause is not None and event.cause not in heard.get(id(stay), ()):
                yield f"{stay.name!r} has not been handed seq {event.cause}, and yet acted on it: {event!r}"


def _waited_for(logged: Sequence[Logged]) -> Iterator[tuple[Environment, Inference]]:
    """The inferences that somebody has aborted, and waited until the abort returned."""
    for room in _rooms(logged):
        yield from ((room, inference) for inference in room.inferences.values() if inference._stopped)


def _closed_in_time(logged: Sequence[Logged]) -> Iterator[str]:
    for room, inference in _waited_for(logged):
        refused = any(
            origin is room
            and isinstance(event, Status)
            and event.name == "upstream.not_closed"
            and event.data["inference"] == inference.id
            for origin, event in logged
        )
        if not all(inference._stopped) and not refused:
            yield f"abort() of {inference.id} has returned while its model's stream was open, and that is not on the record"


def _told_apart(logged: Sequence[Logged]) -> Iterator[str]:
    for room in _rooms(logged):
        for stay in room._stays:
            if stay.deaf:
                continue
            own = [event for event in stay.heard or () if room._order.sources[event.seq - 1] is stay.owner]
            called = set(stay.called)
            yield from (
                f"{stay.name!r} has emitted {e!r}, and heard it as another's" for e in own if e.seq not in called
            )
            foreign = called - {event.seq for event in own}
            yield from (f"{stay.name!r} heard seq {seq} as its own, and has not emitted it" for seq in sorted(foreign))


def _joined(logged: Sequence[Logged]) -> Iterator[str]:
    folds: dict[tuple[int, str], Fold] = {}
    for origin, event in logged:
        if event.inference is None or not event.inference_seq:
            continue
        said = folds.setdefault((id(origin), event.inference), Fold())
        if isinstance(event, InferenceAborted) and event.partial != said.text:
            yield f"{event.inference}: the deltas say {said.text!r}, the partial of the abort {event.partial!r}"
        said.add(event)
    for (_, inference), said in folds.items():
        yield from (f"{inference}: {what}" for what in said.contradictions)


def _rooms(logged: Sequence[Logged]) -> list[Environment]:
    return [
        origin for origin in {id(origin): origin for origin, _ in logged}.values() if isinstance(origin, Environment)
    ]


def _heard(logged: Sequence[Logged]) -> Iterator[str]:
    for room in _rooms(logged):
        of_room = [event for origin, event in logged if origin is room]
        order = [event for event in of_room if not isinstance(event, DeltasDropped)]
        gaps = Counter((e.participant, e.first_seq, e.last_seq) for e in of_room if isinstance(e, DeltasDropped))
        for stay in room._stays:
            yield from _slice(stay, order, gaps)
        yield from (f"{p!r} was to miss seq {first} to {last}, and did not" for p, first, last in gaps.elements())


def _slice(stay: Mailbox, order: list[Event], gaps: Counter[tuple[str, int, int]]) -> Iterator[str]:
    """What one participant heard, against the order; takes the gaps that are accounted for out of those on the record."""
    heard = stay.heard
    if not heard:
        return
    began = heard[0].seq
    if heard[0].type != "participant.joined" or heard[0].source != stay.name:
        yield f"{stay.name!r} hears {heard[0]!r} before it has joined"
    next_seq = began
    for event in heard if heard != order[began - 1 : began - 1 + len(heard)] else ():
        first = getattr(event, "first_seq", None) or event.seq
        if first < next_seq:
            yield f"{stay.name!r} hears {event!r} after seq {next_seq - 1}"
        elif first > next_seq:
            lost = [missed for missed in order[next_seq - 1 : first - 1] if missed.type not in DELTAS]
            gap = stay.name, next_seq, first - 1
            if lost:
                yield f"{stay.name!r} never hears {lost[0]!r}"
            elif not gaps[gap]:
                yield f"{stay.name!r} does not hear seq {next_seq} to {first - 1}, and that is not on the record"
            else:
                gaps[gap] -= 1
        pieces = order[first - 1 : event.seq]
        if pieces != [event] and (len(pieces) == 1 or merged(pieces) != event):
            yield f"{stay.name!r} hears {event!r}, which is not what was emitted: {pieces!r}"
        next_seq = event.seq + 1
    if stay.until is not None and stay.idle and not stay.cut and heard[-1].seq != stay.until:
        yield f"{stay.name!r} hears {heard[-1]!r} last, and not seq {stay.until}, the last while it was there"


def _with_tools(logged: Sequence[Logged]) -> Iterator[tuple[Environment, str]]:
    """The inferences of agents that have tools, as far as they have ended."""
    for origin, event in logged:
        if not isinstance(origin, Environment) or event.type not in TERMINALS or event.inference is None:
            continue
        if origin.inferences[event.inference].agent.tools:
            yield origin, event.inference


def _answered(logged: Sequence[Logged]) -> Iterator[str]:
    for room, inference in _with_tools(logged):
        calls: Counter[tuple[int, str]] = Counter()  # by round and id: another round may use the id again
        results: Counter[tuple[int, str]] = Counter()
        for origin, event in logged:
            if origin is not room or event.inference != inference:
                continue
            if isinstance(event, ItemCompleted) and isinstance(event.item, FunctionCall):
                calls[event.round, event.item.id] += 1
            elif isinstance(event, ToolResult):
                results[event.round, event.id] += 1
        for (round, id), made in calls.items():
            if results[round, id] != made:
                yield f"{inference}: the call {id!r} of round {round} has {counted(results[round, id], 'result')}, and was made {counted(made, 'time')}"


def _bounded(logged: Sequence[Logged]) -> Iterator[str]:
    for stay in (stay for room in _rooms(logged) for stay in room._stays):
        if stay.overrun is not None:
            yield f"the inbox of {stay.name!r}, {stay.inbox!r}, was full, and yet a stream went on to {stay.overrun!r}"
        if stay.inbox.policy == "drop_oldest" and stay.inbox.capacity is not None and stay.most > stay.inbox.capacity:
            yield f"the inbox of {stay.name!r}, {stay.inbox!r}, held {counted(stay.most, 'delta')}"


_OF_DELIVERIES: Final = frozenset({3, 7, 11})
_OF_ABORTS: Final = 6
_OF_TOOLS: Final = 8

_CHECKS: Final[Mapping[int, Callable[[Sequence[Logged]], Iterator[str]]]] = {
    1: _numbered,
    2: _ordered,
    3: _heard,
    4: _caused,
    5: _joined,
    6: _closed_in_time,
    7: _told_apart,
    8: _answered,
    11: _bounded,
}

_NO_EVIDENCE: Final[Mapping[int, str]] = {
    9: "it compares two runs",
    10: "it compares two runs",
}
