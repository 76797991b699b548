"""How a server starts what it runs: in tasks that belong to no request, and outlive whoever made them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import anyio

from pytest_streamrt.clock.current import in_trio

__all__ = ["Application", "Message", "is_cancellation", "start_task"]

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application, version 3: ``app(scope, receive, send)``."""

_tasks: Final[set[asyncio.Task[None]]] = set()  # asyncio keeps no strong reference to its tasks


def start_task(run: Callable[[], Awaitable[None]], name: str) -> None:
    """Start that. It must not raise: there is nobody who would hear of it."""
    if in_trio():
        import trio

        trio.lowlevel.spawn_system_task(run, name=name, context=contextvars.copy_context())
        return
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(run(), name=name)  # type: ignore[arg-type]
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def is_cancellation(error: BaseException) -> bool:
    """Whether that is, or holds, the backend's cancellation, which must get through to whoever asked for it."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(cancelled) is not None
    return isinstance(error, cancelled)
