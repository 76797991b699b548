"""A participant with a model, and what a model is."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol

from pytest_streamrt.events.items import Message
from pytest_streamrt.events.types import Event
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
        self.tool_timeout = _check_seconds(tool_timeout, f"{whose}: tool_timeout")
        self.max_rounds = _check_count(max_rounds, f"{whose}: max_rounds")
        self.max_parallel_tools = _check_count(max_parallel_tools, f"{whose}: max_parallel_tools")

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
        if not isinstance(deadline, int | float) or isinstance(deadline, bool):
            msg = f"{agent}.infer: deadline is a number of seconds, not {deadline!r}"
            raise TypeError(msg)
        if not deadline >= 0:  # NaN neither
            msg = f"{agent}.infer: deadline is a number of seconds from now, 0 or more, not {deadline!r}"
            raise ValueError(msg)
    if max_deltas is not None:
        if not isinstance(max_deltas, int) or isinstance(max_deltas, bool):
            msg = f"{agent}.infer: max_deltas is a whole number of deltas, not {max_deltas!r}"
            raise TypeError(msg)
        if max_deltas < 1:
            msg = f"{agent}.infer: max_deltas is at least 1, not {max_deltas!r}; for no answer at all, do not infer"
            raise ValueError(msg)


def _check_seconds(seconds: Any, what: str) -> float | None:
    """Seconds, or None for no end of them."""
    __tracebackhide__ = True
    if seconds is None or seconds == math.inf:
        return None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        msg = f"{what} is a number of seconds, not {seconds!r}"
        raise TypeError(msg)
    if not seconds > 0:  # NaN neither
        msg = f"{what} is a number of seconds above 0, not {seconds!r}"
        raise ValueError(msg)
    return seconds


def _check_count(count: Any, what: str) -> int:
    __tracebackhide__ = True
    if not isinstance(count, int) or isinstance(count, bool):
        msg = f"{what} is a whole number, not {count!r}"
        raise TypeError(msg)
    if count < 1:
        msg = f"{what} is at least 1, not {count!r}"
        raise ValueError(msg)
    return count
