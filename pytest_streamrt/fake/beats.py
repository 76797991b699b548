"""From a script to what a model in process emits, and when; and how that is bent where the script says `misbehave`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pytest_streamrt.cassette.played import NEVER
from pytest_streamrt.errors import ScriptError
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import Event, InferenceFailure, TextDelta
from pytest_streamrt.script.build import Script
from pytest_streamrt.script.faults import Corrupt, Duplicate, HttpPart, Law, Misbehave, Truncate
from pytest_streamrt.script.parts import Fault, Pause, Stall
from pytest_streamrt.script.play import Player

__all__ = ["Beat", "beats_of", "check_for_model", "laws_of"]

_LAST_OF_THE_BMP: Final = "\uffff"


@dataclass(frozen=True)
class Beat:
    """What is emitted at one moment.

    Attributes:
        at: when, in nanoseconds after the model was asked, or `NEVER`.
        events: in order.
        deltas: how many of the script's deltas are out with it.
        turn: whether others act before it.
    """

    at: int
    events: tuple[Event, ...] = ()
    deltas: int = 0
    turn: bool = False


def check_for_model(script: Script) -> None:
    """Refuse a script that has something in it which is of the wire alone.

    Raises:
        ScriptError: it has.
    """
    for part in script.parts:
        if isinstance(part, HttpPart) or (isinstance(part, Fault) and part.byte is not None):
            what = "how an answer is sent over HTTP" if isinstance(part, HttpPart) else "bytes on the wire"
            msg = f"FakeModel: {part!r} is about {what}, and a model in process has none. Play it with fake_provider"
            raise ScriptError(msg)


def laws_of(script: Script) -> list[Law]:
    """The laws that its source breaks."""
    return [part.law for part in script.parts if isinstance(part, Misbehave)]


def beats_of(script: Script) -> list[Beat]:
    """The script as a model emits it.

    Raises:
        ScriptError: it is to break a law that nothing in it could break.
    """
    beats = _said(script)
    for law in laws_of(script):
        beats = _LAWS.get(law, _as_it_is)(beats)
    return beats


def _said(script: Script) -> list[Beat]:
    player = Player()
    beats: list[Beat] = []
    at = 0
    damaged = False
    for step in script.steps():
        at += step.delay
        part = step.part
        if damaged and not isinstance(part, Stall | Truncate):
            return [*beats, _unreadable(at)]
        match part:
            case Stall():
                return [*beats, Beat(NEVER)]
            case Truncate():
                return beats
            case Corrupt():
                damaged = True
            case Duplicate():
                last = next((beat for beat in reversed(beats) if beat.deltas), None)
                beats.append(Beat(at, tuple(e for e in last.events if e.type in DELTAS) if last else ()))
            case HttpPart() | Misbehave():
                pass
            case _:
                # Whoever decides on a delta acts before anything else is said, and before what breaks the stream off.
                events = tuple(player.events(step))
                beats.append(Beat(at, events, int(step.piece is not None), turn=not isinstance(part, Pause)))
                if part.ends:
                    return beats
    # Whoever decides on the last delta acts before the end.
    return [*beats, _unreadable(at) if damaged else Beat(at, tuple(player.end()), turn=True)]


def _unreadable(at: int) -> Beat:
    return Beat(at, (InferenceFailure("provider", "scripted damage: the next event cannot be read"),), turn=True)


def _as_it_is(beats: list[Beat]) -> list[Beat]:
    return beats


def _two_terminals(beats: list[Beat]) -> list[Beat]:
    return [replace(beat, events=(*beat.events, *_terminals(beat))) for beat in beats]


def _no_terminal(beats: list[Beat]) -> list[Beat]:
    return [replace(beat, events=tuple(e for e in beat.events if e.type not in TERMINALS)) for beat in beats]


def _terminals(beat: Beat) -> list[Event]:
    return [event for event in beat.events if event.type in TERMINALS]


def _numbered(shift: int) -> Callable[[list[Beat]], list[Beat]]:
    """Every event with its number, those from the middle on with one that is wrong by that much."""

    def number(beats: list[Beat]) -> list[Beat]:
        half = sum(len(beat.events) for beat in beats) // 2
        n = 0
        result = []
        for beat in beats:
            events = []
            for event in beat.events:
                n += 1
                events.append(replace(event, seq=n + shift if n > half else n))
            result.append(replace(beat, events=tuple(events)))
        return result

    return number


def _reordered(beats: list[Beat]) -> list[Beat]:
    for i in range(len(beats) - 2, -1, -1):
        one, other = beats[i], beats[i + 1]
        if one.deltas and other.deltas and [e.type for e in one.events] == [e.type for e in other.events]:
            swapped = [replace(one, events=other.events), replace(other, events=one.events)]
            return [*beats[:i], *swapped, *beats[i + 2 :]]
    msg = "misbehave('reordered'): no two deltas of one kind come one after the other"
    raise ScriptError(msg)


def _split(beats: list[Beat]) -> list[Beat]:
    """Characters beyond U+FFFF in halves, as JavaScript's strings have them."""
    result = [replace(beat, events=tuple(half for event in beat.events for half in _halves(event))) for beat in beats]
    if result == beats:
        msg = "misbehave('split utf8'): of a model's deltas, only characters beyond U+FFFF can be cut in half, such as '🙂'"
        raise ScriptError(msg)
    return result


def _halves(event: Event) -> list[Event]:
    if not isinstance(event, TextDelta):
        return [event]
    at = next((i for i, character in enumerate(event.text) if character > _LAST_OF_THE_BMP), None)
    if at is None:
        return [event]
    units = event.text[at].encode("utf-16-le")
    first, second = (units[i : i + 2].decode("utf-16-le", "surrogatepass") for i in (0, 2))
    return [replace(event, text=event.text[:at] + first), replace(event, text=second + event.text[at + 1 :])]


_LAWS: Final[Mapping[Law, Callable[[list[Beat]], list[Beat]]]] = {
    "two terminals": _two_terminals,
    "no terminal": _no_terminal,
    "duplicate sequence": _numbered(-1),
    "missing sequence": _numbered(1),
    "reordered": _reordered,
    "split utf8": _split,
}
