"""What a block of code leaves behind: tasks that still run, async generators half-way through, responses nobody closed.

Only what the block itself began counts, and what that began in its turn: not what a server in a fixture does meanwhile on
the same loop. The block's context tells the two apart, as every task and callback inherits the context it was made in.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final
from weakref import WeakKeyDictionary

from pytest_streamrt.clock.current import asyncio_loop_here, in_trio
from pytest_streamrt.clock.tasks import describe, in_finaliser, where_called
from pytest_streamrt.errors import LeftBehind
from pytest_streamrt.wording import counted

__all__ = ["LeakWatch", "no_task_leaks", "note_open", "report_left"]

_watches: Final[ContextVar[tuple[LeakWatch, ...]]] = ContextVar("streamrt_leak_watches", default=())


class LeakWatch:
    """Watches for the length of a block, and says afterwards what that has left behind."""

    def __init__(self) -> None:
        self._tasks: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # each with where it was made
        self._generators: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self._resources: dict[int, tuple[object, str]] = {}  # by identity: kept, so that it stays unique

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the code in this block, on the loop that runs here, if one does."""
        token = _watches.set((*_watches.get(), self))
        try:
            with self._watch_tasks(), self._watch_generators():
                yield
        finally:
            _watches.reset(token)

    def left(self) -> list[str]:
        """What is left now: a line each, with where it was made and where it waits."""
        if not self._found():
            return []
        gc.collect()  # what only a cycle of references keeps alive is nobody's
        return self._found()

    def opened(self, resource: object, what: str) -> None:
        """The block has opened something that it should close."""
        self._resources[id(resource)] = (resource, f"{what}, made at {where_called()}")

    def closed(self, resource: object) -> None:
        """It is closed."""
        self._resources.pop(id(resource), None)

    def _found(self) -> list[str]:
        tasks = sorted(
            (_name(task), made, _coroutine(task))
            for task, made in self._tasks.items()
            if not _is_done(task) and type(_coroutine(task)).__name__ not in _FINALISERS
        )
        generators = sorted(
            (describe(generator.__qualname__, generator).strip(), made)
            for generator, made in self._generators.items()
            if generator.ag_frame is not None
        )
        return [
            *(f"task {describe(name, coroutine).strip()}; made at {made}" for name, made, coroutine in tasks),
            *(f"async generator {waits}; begun at {made}" for waits, made in generators),
            *sorted(f"response of {what}" for _, what in self._resources.values()),
        ]

    def _watch_tasks(self) -> Any:
        if in_trio():
            from pytest_streamrt.clock.trio_driver import on_spawn

            return on_spawn(self._spawned)
        loop = asyncio_loop_here()
        return ExitStack() if loop is None else self._watch_loop(loop)

    @contextmanager
    def _watch_loop(self, loop: Any) -> Iterator[None]:
        create_task = loop.create_task

        @wraps(create_task)
        def noting(*args: Any, **kwargs: Any) -> Any:
            task = create_task(*args, **kwargs)
            self._spawned(task)
            return task

        was_replaced = "create_task" in vars(loop)
        loop.create_task = noting
        try:
            yield
        finally:
            if was_replaced:
                loop.create_task = create_task
            else:
                del loop.create_task

    def _spawned(self, task: Any) -> None:
        # A client that is collected may close itself in a task (OpenAI's does): that is clearing up, not left behind.
        if self in _watches.get() and not in_finaliser():
            self._tasks[task] = where_called()

    @contextmanager
    def _watch_generators(self) -> Iterator[None]:
        hooks = sys.get_asyncgen_hooks()
        begin: Callable[[Any], None] | None = hooks.firstiter

        def begun(generator: Any) -> None:
            if self in _watches.get():
                self._generators[generator] = where_called()
            if begin is not None:
                begin(generator)

        sys.set_asyncgen_hooks(firstiter=begun)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(firstiter=begin)


# How a loop closes a generator that nobody refers to any more, in a task of its own: it is clearing up, not left behind.
_FINALISERS: Final = ("async_generator_athrow", "async_generator_asend")


def note_open(resource: object, what: str) -> Callable[[], None]:
    """Something has been opened that should be closed: whoever watches the code that does it will want to know.

    Gives what is to be called when it has been closed, from wherever that is.
    """
    watches = _watches.get()
    for watch in watches:
        watch.opened(resource, what)

    def closed() -> None:
        for watch in watches:
            watch.closed(resource)

    return closed


@contextmanager
def no_task_leaks() -> Iterator[None]:
    """Fail if the block leaves something behind that it began: a task, an async generator, an open response.

    A plain ``with``, in async code: on leaving it, everything must have ended; it does not wait. A task that was cancelled
    and not awaited has not ended.

    Raises:
        LeftBehind: something was left; the message has a line for each, with where it was made.
    """
    watch = LeakWatch()
    with watch.watching():
        yield
    left = watch.left()
    if left:
        raise LeftBehind(
            f"{report_left(left)}\nRemedy: await or cancel each task, and close each stream (`async with`, `aclose()`)."
        )


def report_left(left: list[str]) -> str:
    """What was left behind, for an error message."""
    lines = "\n".join(f"  {each}" for each in left)
    return f"{counted(len(left), 'thing')} left behind:\n{lines}"


def _name(task: Any) -> str:
    name: str = task.get_name() if isinstance(task, asyncio.Task) else task.name
    return name


def _coroutine(task: Any) -> Any:
    return task.get_coro() if isinstance(task, asyncio.Task) else task.coro


def _is_done(task: Any) -> bool:
    if isinstance(task, asyncio.Task):
        return task.done()
    return task.coro.cr_frame is None
