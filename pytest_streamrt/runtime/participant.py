"""Whoever is in the room: what a participant can hear and do. Agents add a model to it, in `agent`."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput, Message, ModelMessage, Reasoning
from pytest_streamrt.events.types import Event, Signal
from pytest_streamrt.runtime.handlers import warn_of_misspelt
from pytest_streamrt.runtime.inbox import Inbox

if TYPE_CHECKING:
    from pytest_streamrt.runtime.environment import Environment
    from pytest_streamrt.runtime.inference import Inference
    from pytest_streamrt.runtime.mailbox import Mailbox

__all__ = ["Observer", "Participant", "check_admissible", "check_signal"]


class Participant:
    """Somebody in the room. Subclass it and define the handlers you need; the rest do nothing.

    Handlers run one at a time, in the room's order, in a task of the participant's own. What happens while one runs
    waits in the participant's inbox.

    An event comes from the participant itself (*internal*) or from another (*external*), never both. A finished item
    arrives twice, on purpose: as the event `item.completed` with all others, and in the handler of its kind.

    Defining a method whose name is nearly a handler's (``on_external_mesage``) gives a `StreamrtWarning`: nothing calls it.

    Args:
        name: what the room and its transcript call it.
        inbox: how many deltas may wait for it, and what gives way to more; ``Inbox.block(64)`` by default.

    Raises:
        TypeError: the name is no text, or the inbox no `Inbox`.
        ValueError: the name is empty.
    """

    _default_inbox: ClassVar[Inbox] = Inbox.block(64)

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        warn_of_misspelt(cls, [name for name in vars(Participant) if name.startswith("on_")])

    def __init__(self, name: str, inbox: Inbox | None = None) -> None:
        __tracebackhide__ = True
        if not isinstance(name, str):
            msg = f"a participant's name is text, not {name!r}"
            raise TypeError(msg)
        if not name:
            msg = "a participant needs a name: it is what transcripts call it"
            raise ValueError(msg)
        if not isinstance(inbox, Inbox | None):
            msg = f"{type(self).__name__}({name!r}): the inbox is an Inbox, not {inbox!r}. Write Inbox.block(64)"
            raise TypeError(msg)
        self.name = name
        self._inbox = inbox if inbox is not None else self._default_inbox
        self._environment: Environment | None = None
        self._mailbox: Mailbox  # of its stay in the room, which opens it

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def environment(self) -> Environment:
        """The room it is in.

        Raises:
            RuntimeError: it is in none.
        """
        __tracebackhide__ = True
        if self._environment is None:
            msg = f"{self!r} is in no environment: use `async with Environment({self.name}, …)`"
            raise RuntimeError(msg)
        return self._environment

    async def abort(self, inference: Inference | str, reason: str = "") -> None:
        """Stop an inference, one's own or another's. Returns when the model's stream is closed.

        Args:
            inference: the inference, or its id, as events carry it.
            reason: why, for the record.

        Raises:
            TypeError: it is neither, as where the event belongs to no inference.
            LookupError: there is no inference of that id in the room.
        """
        __tracebackhide__ = True
        if isinstance(inference, str):
            try:
                inference = self.environment.inferences[inference]
            except KeyError:
                known = ", ".join(self.environment.inferences) or "none so far"
                msg = f"{self.name}.abort: no inference {inference!r} in this room; there are: {known}"
                raise LookupError(msg) from None
        elif not callable(getattr(inference, "abort", None)):
            msg = f"{self.name}.abort: it takes an inference or its id, not {inference!r}"
            if inference is None:
                msg += ". Likely it is the `inference` of an event that belongs to none, such as a signal: ask event.type first"
            raise TypeError(msg)
        await inference.abort(reason, by=self.name)

    def emit(self, signal: Signal) -> None:
        """Let the room know something.

        Raises:
            TypeError: it is no `Signal`.
            RuntimeError: this is not the thread of the room's event loop, which would not hear of it.
        """
        __tracebackhide__ = True
        room = self.environment
        room._refuse(signal)
        room._emit(signal, self)

    async def on_joined(self) -> None:
        """It has joined the room."""

    async def on_left(self) -> None:
        """It has left the room; the last it hears."""

    async def on_participant_joined(self, participant: Participant) -> None:
        """Another has joined the room."""

    async def on_participant_left(self, participant: Participant) -> None:
        """Another has left the room."""

    async def on_participant_error(self, source: Participant, error: str) -> None:
        """A handler of another has raised `error`; the other has left the room."""

    async def on_internal_event(self, event: Event) -> None:
        """It has emitted an event."""

    async def on_external_event(self, source: Participant, event: Event) -> None:
        """Another has emitted an event."""

    async def on_message(self, item: Message) -> None:
        """It was given a message."""

    async def on_reasoning(self, item: Reasoning) -> None:
        """Its model has finished a piece of reasoning."""

    async def on_function_call(self, item: FunctionCall) -> None:
        """Its model has written a tool call."""

    async def on_function_call_output(self, item: FunctionCallOutput) -> None:
        """A tool has answered its model's call."""

    async def on_model_message(self, item: ModelMessage) -> None:
        """Its model has finished a message."""

    async def on_external_message(self, source: Participant, item: Message) -> None:
        """Another was given a message."""

    async def on_external_reasoning(self, source: Participant, item: Reasoning) -> None:
        """Another's model has finished a piece of reasoning."""

    async def on_external_function_call(self, source: Participant, item: FunctionCall) -> None:
        """Another's model has written a tool call."""

    async def on_external_function_call_output(self, source: Participant, item: FunctionCallOutput) -> None:
        """A tool has answered the call of another's model."""

    async def on_external_model_message(self, source: Participant, item: ModelMessage) -> None:
        """Another's model has finished a message."""

    @property
    def _listens(self) -> bool:
        """Whether it has a handler for events of any type. Many have none, such as agents that only answer."""
        return not (
            getattr(self.on_internal_event, "__func__", None) is Participant.on_internal_event
            and getattr(self.on_external_event, "__func__", None) is Participant.on_external_event
        )


class Observer(Participant):
    """A participant that never infers: for logs, metrics and screens. No stream waits for it, unless its inbox says so.

    Args:
        name: what the room and its transcript call it.
        inbox: how many deltas may wait for it, and what gives way to more; ``Inbox.unbounded()`` by default.
    """

    _default_inbox = Inbox.unbounded()


def check_admissible(participant: Any, names: Container[str]) -> None:
    """Refuse to let somebody into a room, where there are those names already."""
    __tracebackhide__ = True
    if not isinstance(participant, Participant):
        msg = (
            f"an environment is for participants, such as Agent or Observer; {participant!r} is none. "
            "Pass them one by one: Environment(first, second)"
        )
        raise TypeError(msg)
    if "_environment" not in vars(participant):
        kind = type(participant).__name__
        msg = f"a {kind} has not been made whole: the __init__ of {kind} is to call super().__init__(name), as of any participant"
        raise TypeError(msg)
    if participant._environment is not None:
        msg = f"{participant!r} is in an environment already"
        raise ValueError(msg)
    if participant.name in names:
        msg = f"there is a participant {participant.name!r} in the room already; names tell them apart"
        raise ValueError(msg)


def check_signal(signal: Signal) -> None:
    """Refuse to emit anything but a signal: all other events are the room's own."""
    __tracebackhide__ = True
    if not isinstance(signal, Signal):
        msg = f"emit: what participants and tests emit are signals, not {signal!r}. Write Signal('ready', {{…}})"
        raise TypeError(msg)
