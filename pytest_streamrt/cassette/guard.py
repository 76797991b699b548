"""Keeps every socket of the process on this machine, and tells who tried to leave it: a client that goes round the seam.

Guarded are `socket.socket` and the resolvers of `socket`, asyncio and uvloop, which is where Python's clients meet: aiohttp,
requests, urllib3, botocore, the standard library. A library that opens sockets in C (grpc, pycurl) is not seen.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatch
from typing import Any, Final, Self

from pytest_streamrt.clock.tasks import where_called
from pytest_streamrt.errors import NetworkBlocked

__all__ = ["NetworkGuard", "clients_loaded", "leaving"]

_leaving: Final[ContextVar[bool]] = ContextVar("streamrt_leaving", default=False)

_SEEN: Final = ("httpx", "httpx2")  # the clients whose requests cassettes see
_AROUND: Final = (
    "aiohttp",
    "requests",
    "botocore",
    "urllib3",
    "websockets",
    "tornado",
    "treq",
    "niquests",
    "primp",
    "urllib",
    "http",
)
"""Clients that go round it, by their packages, the outer ones before those they are built on."""


@contextmanager
def leaving() -> Iterator[None]:
    """What the block asks of the network it may: a cassette is recording it, or was told to leave it alone."""
    token = _leaving.set(True)
    try:
        yield
    finally:
        _leaving.reset(token)


def clients_loaded() -> list[str]:
    """Which packages that go round the seam are loaded in this process, for an error that says so."""
    return [name for name in ("litellm", "aiohttp", "requests", "botocore", "grpc") if name in sys.modules]


class NetworkGuard:
    """While it is entered, connections go nowhere but to this machine; `attempts` says which others were tried.

    Args:
        hosts: others that are allowed, perhaps with ``*`` in them.
    """

    def __init__(self, hosts: tuple[str, ...] = ()) -> None:
        self.attempts: list[str] = []
        """A message for each connection that was blocked."""
        self.hosts = hosts
        self._resolved: set[object] = set()  # what a loop asks a thread of its own to look up
        self._restore: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        self._guard_sockets()
        self._guard_resolvers()
        return self

    def __exit__(self, *_: object) -> None:
        while self._restore:
            self._restore.pop()()

    def _guard_sockets(self) -> None:
        for name, at in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
            self._put(socket.socket, name, self._guarded(getattr(socket.socket, name), at))

    def _guarded(self, original: Callable[..., Any], at: int) -> Callable[..., Any]:
        def method(sock: socket.socket, *args: Any) -> Any:
            if args and isinstance(args[at], tuple) and sock.family in (socket.AF_INET, socket.AF_INET6):
                host, port = args[at][:2]
                if not self._is_allowed(host):
                    self._block(host, port)
            return original(sock, *args)

        return method

    def _guard_resolvers(self) -> None:
        lookup = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in self._resolved and not self._is_allowed(host):
                self._block(host, port)
            return lookup(host, port, *args, **kwargs)

        self._put(socket, "getaddrinfo", getaddrinfo)
        self._put(asyncio.BaseEventLoop, "getaddrinfo", self._resolving(asyncio.BaseEventLoop.getaddrinfo))
        uvloop = sys.modules.get("uvloop")
        if uvloop is not None:
            for name in ("getaddrinfo", "create_connection"):
                self._put(uvloop.Loop, name, self._resolving(getattr(uvloop.Loop, name)))

    def _resolving(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For the loop's own methods, in whose callers the client can be seen; the thread that looks it up shows nothing."""

        def method(loop: Any, *args: Any, **kwargs: Any) -> Any:
            at = next((n for n, each in enumerate(args) if isinstance(each, str | bytes)), None)
            host = kwargs.get("host") if at is None else args[at]
            if host is not None:
                if not self._is_allowed(host):
                    self._block(host, args[at + 1] if at is not None and len(args) > at + 1 else kwargs.get("port"))
                self._resolved.add(host)
            return original(loop, *args, **kwargs)

        return method

    def _put(self, owner: Any, name: str, replacement: Any) -> None:
        own = vars(owner).get(name)  # a method that is inherited is to be inherited again
        setattr(owner, name, replacement)
        self._restore.append(lambda: setattr(owner, name, own) if own is not None else delattr(owner, name))

    def _is_allowed(self, host: Any) -> bool:
        if _leaving.get() or not host:
            return True
        name = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            if name == "localhost" or name.endswith(".localhost") or name == socket.gethostname():
                return True
        else:
            if address.is_loopback or address.is_unspecified:
                return True
        return any(fnmatch(name, pattern) for pattern in self.hosts)

    def _block(self, host: Any, port: Any) -> None:
        name = host.decode(errors="replace") if isinstance(host, bytes) else host
        msg = (
            f"a connection to {name}:{port} was blocked: --streamrt-block-network lets none leave this machine.\n"
            f"{_who()}\nThe connection was made at {where_called()}"
        )
        self.attempts.append(msg)
        raise NetworkBlocked(msg)


def _who() -> str:
    """Who makes the connection, from the packages on the stack, and what can be done about it."""
    packages = _packages()
    client = next((name for name in (*_SEEN, *_AROUND) if name in packages), None)
    if client in _SEEN:
        return (
            f"It was made through {client}, in a test without a cassette. Give it one: @pytest.mark.streamrt, "
            "and record it: pytest --streamrt-record=once"
        )
    by = "a client that is neither httpx nor httpx2" if client is None else client
    if "litellm" in packages:
        return (
            f"It was made by litellm through {by}, which goes round the cassette: that sees httpx and httpx2 alone. "
            "Have litellm use httpx: litellm.disable_aiohttp_transport = True"
        )
    return f"It was made by {by}, which goes round the cassette: that sees requests through httpx and httpx2 alone."


def _packages() -> set[str]:
    found = set()
    frame: Any = sys._getframe(2)
    while frame is not None:
        found.add(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        frame = frame.f_back
    return found
