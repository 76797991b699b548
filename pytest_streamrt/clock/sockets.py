"""Which sockets of an asyncio loop may have something to say, so that the clock should not jump without a look at them.

A transport stays registered with its selector for as long as it is open, whether an answer is due or not. To wait for each
before each jump would make an hour of streaming beside one idle connection to a database take minutes. So: a socket counts
when it is new, when something was written to it or it is still connecting, and after it has said something; it stops
counting when it has been quiet for the settle time. An answer that is *owed* never stops counting.

This file only keeps the account; what it is told, and where from, is the driver's business.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterable, Mapping

__all__ = ["Sockets", "name_of"]


class Sockets:
    """The sockets of one loop, by file descriptor, from when its clock became virtual.

    Args:
        registered: those that are registered with the loop's selector, as that changes.
        own: the loop's own, which does not count.
    """

    def __init__(self, registered: Mapping[int, selectors.SelectorKey], own: int) -> None:
        self._registered = registered
        self._own = {own}  # through which other threads wake the loop
        self._known = set(registered)
        self._quiet = set(registered)
        self._ours: set[int] = set()
        self._owed: set[int] = set()

    @property
    def open(self) -> bool:
        """Whether there are any."""
        return len(self._registered) > len(self._own)

    def spoke(self, events: Iterable[tuple[selectors.SelectorKey, int]]) -> None:
        """These have said something, or taken what was written to them."""
        for key, _ in events:
            self._quiet.discard(key.fd)
            self._owed.discard(key.fd)

    def look(self, *, live: bool) -> None:
        """Take note of sockets that are new, or gone.

        Args:
            live: whether a request of ours is on a real socket. Then new ones are its own, and it waits for them itself.
        """
        if len(self._registered) == len(self._own) == len(self._known):
            return  # none before, and none now
        registered = set(self._registered)
        if registered == self._known:
            return
        fresh = registered - self._known
        if live:
            self._ours |= fresh
        else:
            self._owed |= fresh
        self._known = registered
        self._quiet &= registered
        self._ours &= registered
        self._owed &= registered

    def owing(self) -> list[int]:
        """Those that owe an answer, or are about to take what is to be written."""
        return [fd for fd in self._others() if fd in self._owed or self._registered[fd].events & selectors.EVENT_WRITE]

    def unquiet(self) -> list[int]:
        """Those that may have more to say."""
        owing = self.owing()
        return [fd for fd in self._others() if fd not in self._quiet or fd in owing]

    def were_quiet(self) -> None:
        """None of them has said anything for the settle time."""
        self._quiet |= self._known

    def wrote(self, fd: int) -> None:
        """Something is being written to that one."""
        self._owed.add(fd)

    def _others(self) -> list[int]:
        return [fd for fd in self._registered if fd not in self._own and fd not in self._ours]


def name_of(fd: int) -> str:
    """A socket by its ends, for an error message."""
    try:
        with socket.socket(fileno=fd) as sock:
            try:
                try:
                    return f"{sock.getsockname()} -> {sock.getpeername()}"
                except OSError:
                    return f"listening on {sock.getsockname()}"
            finally:
                sock.detach()  # it is not ours to close
    except OSError:
        return f"file descriptor {fd}"
