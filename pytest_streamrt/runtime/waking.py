"""How one task of a room waits until another wakes it."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

import anyio
from anyio.lowlevel import checkpoint

from pytest_streamrt.clock.current import in_trio

__all__ = ["Bell", "Waker", "wakers_here"]


class Waker(Protocol):
    """What one task waits for, once."""

    def set(self) -> None:
        """Wake it."""
        ...

    def is_set(self) -> bool:
        """Whether it has been woken."""
        ...

    async def wait(self) -> None:
        """Wait to be woken."""
        ...


def wakers_here() -> type[Waker]:
    """What makes them for the library that runs here. Asked once: it takes as long as to make one."""
    return anyio.Event if in_trio() else _Future


class _Future:
    """On asyncio: an event of anyio's takes four times as long to make, to wait for and to set, and a room does little else."""

    __slots__ = ("_future", "_set")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._set = False

    def set(self) -> None:
        self._set = True
        if not self._future.done():  # as it is when whoever waited has been cancelled
            self._future.set_result(None)

    def is_set(self) -> bool:
        return self._set

    async def wait(self) -> None:
        await self._future


class Bell:
    """Wakes all who wait for it, first come first: trio's own events keep their waiters in a set, in no order."""

    def __init__(self) -> None:
        self._waker = wakers_here()
        self._waiters: list[Waker] = []

    async def wait(self) -> None:
        """Wait until it rings. Where a scope around is cancelled, not even if it rings before that is delivered."""
        waiter = self._waker()
        self._waiters.append(waiter)
        try:
            if anyio.current_effective_deadline() == -math.inf:
                # trio delivers that here. asyncio does so in its next round, unless this is a call from a thread that has been
                # abandoned: anyio's checkpoint_if_cancelled would wait for that for ever.
                await checkpoint()
            await waiter.wait()
        finally:
            if not waiter.is_set():
                self._waiters.remove(waiter)

    def ring(self) -> None:
        """Wake everyone who waits now."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.set()
