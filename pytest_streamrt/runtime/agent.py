"""A participant with a model, and what a model is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from pytest_streamrt.events.items import Message
from pytest_streamrt.events.types import Event
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.inference import Inference
from pytest_streamrt.runtime.participant import Participant

__all__ = ["Agent", "Model"]


class Model(Protocol):
    """Anything that answers a context with a stream of events, as an async generator does."""

    def stream(self, context: ModelContext, tools: Sequence[Any]) -> AsyncIterator[Event]:
        """Answer, event by event: deltas, finished items, usage, and `inference.completed` or `inference.failed`.

        The iterator is closed by ``aclose()``, where it has one, as soon as nobody listens any more. Items that it
        leaves unfinished are finished from their deltas, and ending without a terminal event counts as completed.
        """
        ...


class Agent(Participant):
    """A participant that can infer.

    Args:
        name: what the room and its transcript call it.
        model: what answers; see `Model`.
        context: what the model is given to go on from; an empty one of its own by default.
    """

    def __init__(self, name: str, model: Model, context: ModelContext | None = None) -> None:
        super().__init__(name)
        self.model = model
        self.context = context if context is not None else ModelContext()

    def infer(
        self, message: str | Message | None = None, *, deadline: float | None = None, max_deltas: int | None = None
    ) -> Inference:
        """Start an inference, at once, and return it; ``await`` it for its outcome.

        Args:
            message: what to add to the context first: a user's message, as text or as an item.
            deadline: seconds after which it is aborted.
            max_deltas: how many deltas it may have; it is aborted instead of the next one.

        Raises:
            RuntimeError: the agent is in no environment, or that one is closing.
        """
        if isinstance(message, str):
            message = Message(message)
        return self.environment._start(self, message, deadline=deadline, max_deltas=max_deltas)
