"""Gates: they see what an agent's model says before the room does, and decide whether it goes on."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, Self

from pytest_streamrt.errors import StreamrtError
from pytest_streamrt.events.types import Event

__all__ = [
    "Emit",
    "End",
    "Gate",
    "GateFailed",
    "Hold",
    "Pass",
    "PlainVerdict",
    "Stop",
    "Verdict",
    "check_gates",
    "name_of_gate",
]

End = Literal["completed", "aborted", "failed"]
"""How an inference ends."""


class PlainVerdict(Enum):
    """The verdicts that carry nothing."""

    PASS = auto()
    HOLD = auto()

    def __repr__(self) -> str:
        return self.name.title()


Pass: Final = PlainVerdict.PASS
"""The verdict that lets an event go on, after what is held back of its strand."""

Hold: Final = PlainVerdict.HOLD
"""The verdict that keeps an event back, in `Gate.held`, until something is decided about its strand."""


@dataclass(frozen=True, init=False)
class Emit:
    """The verdict that replaces an event, and what is held back of its strand. ``Emit()`` takes them away."""

    events: tuple[Event, ...]

    def __init__(self, *events: Event) -> None:
        object.__setattr__(self, "events", events)


@dataclass(frozen=True)
class Stop:
    """The verdict that aborts the inference, by the gate's name and for this reason. The event does not go on."""

    reason: str


Verdict = Literal[PlainVerdict.PASS, PlainVerdict.HOLD] | Emit | Stop
"""What `Gate.check` returns."""


class GateFailed(StreamrtError):
    """A gate raised, or did what no gate may. It is what fails the inference, with the kind "model".

    The message does not repeat what the gate said or saw: the room hears it, and the gate may be there to hide just that.

    Attributes:
        gate: the gate's name.
    """

    kind: Final = "model"

    def __init__(self, message: str, *, gate: str) -> None:
        super().__init__(message)
        self.gate = gate


class Gate(ABC):
    """Decides, event by event, what of a model's answer the room hears.

    It is asked about what the model says: deltas, tool calls, citations, finished items, and what a dialect could not
    map. What it decides concerns one strand of the answer: the messages of a choice, its reasoning, or a tool call. So
    nothing overtakes what is held back of its own strand, and no other strand waits for it. A finished item says what its
    deltas said that went on; one of which nothing did is not heard of.

    Each inference has a copy of its own, so what a gate remembers on ``self`` is about one inference. The events are not
    stamped yet: they have neither number, nor time, nor source.
    """

    name: str = ""
    """Who aborts the inference when it says `Stop`; by default the name of its class."""

    max_held: int = 10_000
    """How many characters it may hold back, whatever they are cut into; one more, and it stops the inference."""

    held: Sequence[Event] = ()
    """In `check`, what is held back of the strand that the event is of; in `flush`, all that is held back."""

    @abstractmethod
    def check(self, event: Event) -> Verdict:
        """Decide about an event: `Pass`, `Hold`, ``Emit(*events)`` or ``Stop(reason)``. Not async: the room waits for it.

        Of the events in an `Emit`, those that a model could have said go through the gates after this one.
        """

    def flush(self, end: End) -> Iterable[Event] | None:
        """The inference ends: give what is to go on before its terminal event.

        By default all that is held back, if the inference has completed, and else nothing. Where it is "aborted", what
        this returns is not emitted, because nothing is, after an abort.
        """
        return self.held if end == "completed" else None

    def fresh(self) -> Self:
        """A copy for one inference. Override it where a deep copy is not what you want."""
        return copy.deepcopy(self)


def check_gates(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates of an environment, each of which can be copied for an inference.

    Raises:
        TypeError: one is no gate, or cannot be copied.
    """
    __tracebackhide__ = True
    if not isinstance(gates, Iterable):
        msg = f"gates is a list of gates, such as [LeakageGate()], not {gates!r}"
        raise TypeError(msg)
    checked = tuple(gates)
    for gate in checked:
        if not isinstance(gate, Gate):
            hint = f". Write {gate.__name__}(…)" if isinstance(gate, type) and issubclass(gate, Gate) else ""
            msg = f"gates={list(checked)!r}: {gate!r} is no gate{hint}"
            raise TypeError(msg)
        try:
            gate.fresh()
        except Exception as error:
            msg = (
                f"the gate {name_of_gate(gate)!r} cannot be copied for each inference: {error}. Override its fresh(), "
                "and return a new gate there"
            )
            raise TypeError(msg) from error
    return checked


def name_of_gate(gate: Gate) -> str:
    """What the record calls it."""
    return gate.name or type(gate).__name__
