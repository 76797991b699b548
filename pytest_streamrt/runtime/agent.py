"""A participant with a model, and what a model is."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol

from pytest_streamrt.events.items import Message
from pytest_streamrt.events.types import Event
from pytest_streamrt.numbers import require_seconds, require_whole
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.inbox import Inbox
from pytest_streamrt.runtime.inference import Inference
from pytest_streamrt.runtime.participant import Participant
from pytest_streamrt.runtime.source import check_model
from pytest_streamrt.runtime.tools import Tool, make_tools

__all__ = ["Agent", "Model"]


class Model(Protocol):
    """Anything that answers a context with a stream of events, as an async generator does."""

    def stream(self, context: ModelContext, tools: Sequence[Tool]) -> AsyncIterator[Event]:
        """Answer, event by event: deltas, finished items, usage, and `inference.completed` or `inference.failed`.

        The iterator is closed by ``aclose()``, where it has one, as soon as nobody listens any more. Items that it
        leaves unfinished are finished from their deltas, and ending without a terminal event counts as completed.
        Where it has called tools, it is asked again, with their answers in the context.
        """
        ...


class Agent(Participant):
    """A participant that can infer.

    Args:
        name: what the room and its transcript call it.
        model: what answers; see `Model`.
        context: what the model is given to go on from; an empty one of its own by default.
        tools: functions that the model may call, each a `Tool` or made one. Without any, its calls are items like any
            others, and nothing is run.
        tool_timeout: seconds that a tool may run; None for as long as it takes.
        max_rounds: how often the model may be asked within one inference, at least 1; calling tools in each of them fails
            the inference, as "limit".
        max_parallel_tools: how many tools of one inference may run at once, at least 1; others wait, in order.
        inbox: what becomes of what it has yet to hear; ``Inbox.block(64)`` by default.

    Raises:
        TypeError: the model is none, the context is no `ModelContext`, or a tool can be none.
        ValueError: two tools have the same name, or a limit is too low.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        context: ModelContext | None = None,
        tools: Iterable[Callable[..., Any] | Tool] = (),
        *,
        tool_timeout: float | None = None,
        max_rounds: int = 10,
        max_parallel_tools: int = 8,
        inbox: Inbox | None = None,
    ) -> None:
        __tracebackhide__ = True
        super().__init__(name, inbox)
        check_model(model, f"{type(self).__name__}({name!r})")
        if not isinstance(context, ModelContext | None):
            msg = f"{type(self).__name__}({name!r}): the context is a ModelContext, not {context!r}. Write ModelContext([…])"
            raise TypeError(msg)
        self.model = model
        self.context = context if context is not None else ModelContext()
        whose = f"{type(self).__name__}({name!r})"
        self.tools = make_tools(tools, whose)
        if tool_timeout is not None:
            require_seconds(f"{whose}: tool_timeout", tool_timeout, zero=False, endless=True)
        require_whole(f"{whose}: max_rounds", max_rounds, 1)
        require_whole(f"{whose}: max_parallel_tools", max_parallel_tools, 1)
        self.tool_timeout = None if tool_timeout == math.inf else tool_timeout
        self.max_rounds = max_rounds
        self.max_parallel_tools = max_parallel_tools

    def infer(
        self, message: str | Message | None = None, *, deadline: float | None = None, max_deltas: int | None = None
    ) -> Inference:
        """Start an inference, at once, and return it; ``await`` it for its outcome.

        Args:
            message: what to add to the context first: a user's message, as text or as an item.
            deadline: seconds after which it is aborted; None or infinity for never.
            max_deltas: how many deltas it may have, at least 1; it is aborted instead of the next one.

        Raises:
            RuntimeError: the agent is in no environment, or that one is closing.
            TypeError: an argument is of the wrong kind.
            ValueError: `deadline` is negative or no number, or `max_deltas` is below 1.
        """
        __tracebackhide__ = True
        _check_infer(self.name, message, deadline, max_deltas)
        if isinstance(message, str):
            message = Message(message)
        if deadline == math.inf:
            deadline = None
        return self.environment._start(self, message, deadline=deadline, max_deltas=max_deltas)


def _check_infer(agent: str, message: Any, deadline: Any, max_deltas: Any) -> None:
    """Refuse wrong arguments of `infer` before it starts anything; found out later, they would break the room."""
    __tracebackhide__ = True
    if not isinstance(message, str | Message | None):
        msg = f"{agent}.infer: the message is text or a Message, not {message!r}. Earlier turns belong into the agent's context"
        raise TypeError(msg)
    if deadline is not None:
        require_seconds(f"{agent}.infer: deadline", deadline, endless=True)
    if max_deltas is not None:
        require_whole(f"{agent}.infer: max_deltas", max_deltas, 1)
