"""A transport that runs an ASGI application in process and streams: bytes reach the client when the app sends them.

The transports of httpx and httpx2 of that purpose collect the whole response first. What this one does is what uvicorn
does over a socket; the life of one request is in `cycle`, that of the application in `lifespan`.

Protocol facts are from the ASGI specification, "HTTP & WebSocket ASGI Message Format", versions 2.3 and 2.4.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, get_args

import anyio
import anyio.lowlevel

from pytest_streamrt.edge.arrived import ASKED
from pytest_streamrt.edge.cycle import Cycle
from pytest_streamrt.edge.lifespan import Lifespan, LifespanMode
from pytest_streamrt.edge.tasks import Application, Message, start_task
from pytest_streamrt.errors import LeftBehind
from pytest_streamrt.numbers import require_seconds

__all__ = ["StreamingASGITransport"]

_PORTS: Final = {"http": 80, "https": 443}


def _check_app(app: object) -> None:
    __tracebackhide__ = True
    what = f"StreamingASGITransport: {app!r:.80} is no ASGI application"
    if isinstance(app, str):
        msg = f"{what}, but a text. Import it: from myapp import app"
        raise TypeError(msg)
    try:
        inspect.signature(app).bind(None, None, None)  # type: ignore[arg-type]  # it is what is to be found out
    except TypeError:
        msg = f"{what}: that is called with scope, receive and send. Of a function that makes one, give what it makes"
        raise TypeError(msg) from None
    except ValueError:  # of a builtin nobody knows what it takes
        pass


class StreamingASGITransport:
    """Runs an ASGI application for a client of httpx or httpx2: ``AsyncClient(transport=StreamingASGITransport(app))``.

    Works on asyncio and trio, on real and on virtual time. The application is started (lifespan) when the client is
    entered, or with its first request, and shut down when the client is closed: then all that it still does has to end.

    Args:
        app: the application.
        raise_app_exceptions: whether what the app raises is raised to the client, or, if that has gone, when the client
            is closed; else the client sees what it would see from a server, status 500 or a connection that breaks, and
            the exception is logged.
        root_path: the path the app is mounted at.
        client: the address the app sees the client at.
        spec_version: of the ASGI specification. Up to "2.3", which uvicorn has, what is sent to a client that is gone goes
            nowhere; from "2.4" on, `send` raises OSError.
        lifespan: "on", "off", or, as with uvicorn, "auto": an app that raises before it has started has none.
        shutdown_timeout: seconds that the app may take to end what it still does once the client is closed; None for
            as long as it takes.

    Raises:
        TypeError: this is no application.
        ValueError: an option is none of those.
    """

    def __init__(
        self,
        app: Application,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 50_000),
        spec_version: str = "2.3",
        lifespan: LifespanMode = "auto",
        shutdown_timeout: float | None = 5.0,
    ) -> None:
        __tracebackhide__ = True
        _check_app(app)
        if shutdown_timeout is not None:
            require_seconds("StreamingASGITransport: shutdown_timeout", shutdown_timeout, endless=True)
        if not all(part.isdigit() for part in str(spec_version).split(".")):
            msg = f'StreamingASGITransport: spec_version is a version such as "2.4", not {spec_version!r}'
            raise ValueError(msg)
        if lifespan not in get_args(LifespanMode):
            msg = f"StreamingASGITransport: lifespan is one of {', '.join(get_args(LifespanMode))}, not {lifespan!r}"
            raise ValueError(msg)
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client
        self.spec_version = str(spec_version)
        self.shutdown_timeout = shutdown_timeout
        self._lifespan = Lifespan(app, lifespan)
        self._cycles: list[Cycle] = []

    if not TYPE_CHECKING:  # type checkers see that this is wrong by themselves

        def __getattr__(self, name: str) -> NoReturn:
            __tracebackhide__ = True
            hint = ""
            if name in ("handle_request", "__enter__"):
                hint = ". It is for async clients: httpx2.AsyncClient(transport=…), and not httpx2.Client"
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    async def __aenter__(self) -> Self:
        await self._lifespan.start()
        return self

    async def __aexit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        try:
            await self.aclose()
        except Exception:
            if error is None:
                raise  # else what the block raised comes first

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request of httpx or httpx2; returns as soon as the app has begun its response."""
        await self._lifespan.start()
        library = sys.modules[type(request).__module__.partition(".")[0]]
        cycle = Cycle(self.app, self._scope(request), library, request, raises=self.raise_app_exceptions)
        self._cycles = [each for each in self._cycles if not each.over]
        self._cycles.append(cycle)
        start_task(cycle.run, "ASGI application")
        try:
            await cycle.take_request(request.stream)
            start = await cycle.response_start()
        except BaseException:
            cycle.disconnect()
            raise
        stream = _body_class(library)(cycle)
        return library.Response(
            start["status"],
            headers=start.get("headers", []),
            stream=stream,
            request=request,
            extensions={"http_version": b"HTTP/1.1", ASKED: cycle.asked_at},
        )

    async def aclose(self) -> None:
        """The client goes away and the server shuts down: what the app still does has to end, then the app shuts down.

        Raises:
            LeftBehind: it took longer than `shutdown_timeout`, and was cancelled: an app that does not notice that its
                client is gone, or a background task.
            Exception: what the app has raised and nobody has been told.
        """
        cycles, self._cycles = self._cycles, []
        for cycle in cycles:
            cycle.disconnect()
        with anyio.CancelScope(shield=True):
            late = [cycle.still_running() for cycle in await self._left(cycles)]
            for cycle in cycles:
                cycle.scope_of_app.cancel()
            late += [f"{cycle}: nor did it end when it was cancelled" for cycle in await self._left(cycles)]
            if not await self._lifespan.stop(self.shutdown_timeout):
                late.append("its lifespan was told to shut down, and has not ended since")
        errors = [error for cycle in cycles if (error := cycle.take_error()) is not None]
        if late:
            raise LeftBehind(self._too_late(late))
        if len(errors) == 1:
            raise errors[0]
        if errors:
            msg = "the application raised where no client was left to be told"
            raise BaseExceptionGroup(msg, errors)

    async def _left(self, cycles: list[Cycle]) -> list[Cycle]:
        """Those of them that do not end in time."""
        with anyio.move_on_after(self.shutdown_timeout):
            for cycle in cycles:
                await cycle.finished.wait()
        return [cycle for cycle in cycles if not cycle.finished.is_set()]

    def _too_late(self, late: list[str]) -> str:
        lines = "\n".join(f"  {each}" for each in late)
        return (
            f"the application did not end within {self.shutdown_timeout:g} s of its client's closing, and was cancelled:"
            f"\n{lines}\n\nLikely cause: it does not notice that nobody is listening any more, so a user who closes the tab "
            "goes on costing money.\nRemedy: leave the stream to Starlette's StreamingResponse, which cancels its iterator; or "
            "look at `await request.is_disconnected()` in the loop; or wait for `http.disconnect` beside it. An iterator that "
            "is not async waits in a thread, which nobody can stop: use the provider's async client. What is to go on (a run "
            "that can be resumed, a background task) may take longer: asgi_client(app, shutdown_timeout=…), in seconds, or None."
        )

    def _scope(self, request: Any) -> Message:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": self.spec_version},
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "path": self.root_path + url.path,
            "raw_path": self.root_path.encode() + url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "root_path": self.root_path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (url.host, url.port or _PORTS.get(url.scheme)),
            "client": self.client,
            "state": self._lifespan.state.copy(),
        }


@cache
def _body_class(library: ModuleType) -> Any:
    class Body(library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, cycle: Cycle) -> None:
            self._cycle = cycle

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            chunk = await self._cycle.next_chunk()
            if chunk is None:
                raise StopAsyncIteration
            return chunk

        async def aclose(self) -> None:
            self._cycle.disconnect()

    return Body
