"""`CassetteTransport`: a cassette given to one client, by hand, for those who want nothing patched."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from pytest_streamrt.cassette.cassette import Cassette, RecordMode, Timing
from pytest_streamrt.cassette.config import config_from
from pytest_streamrt.cassette.guard import leaving
from pytest_streamrt.cassette.paths import path_of
from pytest_streamrt.cassette.seam import passing
from pytest_streamrt.cassette.telemetry import is_telemetry
from pytest_streamrt.cassette.use import CassetteOptions, closing
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wire import Cut

__all__ = ["CassetteTransport"]

if TYPE_CHECKING:
    # A transport of httpx and of httpx2 at once, which no class of theirs is.
    Base = Any
else:
    Base = object


class CassetteTransport(Base):  # type: ignore[misc]
    """A transport that answers from a cassette, or records one: for a client of httpx or httpx2, sync or async.

    ::

        httpx2.AsyncClient(transport=CassetteTransport("cassettes/capital.jsonl"))

    Args:
        cassette: the file, which this opens, and writes when the client is closed; or a cassette in use, such as the fixture
            `stream_cassette`.
        transport: what requests go on to that are recorded; by default, the library's own real transport.
        record: what to record; see `RecordMode`.
        timing: when played chunks come; see `Timing`.
        rechunk: how to cut played bodies: as recorded, or as `pytest_streamrt.wire.rechunk` can.
        transcript: where the exchanges are logged.
        record_errors: see `use_cassette`.
        options: see `use_cassette`.

    Raises:
        CassetteError: the cassette cannot be read; or, when the client is closed, recordings were never played.
        CassetteMiss: on a request without a recording; and when the client is closed, where that was swallowed.
    """

    def __init__(
        self,
        cassette: Cassette | str | Path,
        *,
        transport: Any = None,
        record: RecordMode = "none",
        timing: Timing = "auto",
        rechunk: Cut = "recorded",
        transcript: Transcript | None = None,
        record_errors: bool = False,
        **options: Unpack[CassetteOptions],
    ) -> None:
        __tracebackhide__ = True
        if transport is not None and not any(hasattr(transport, f"handle_{kind}request") for kind in ("", "async_")):
            msg = f"CassetteTransport: the transport is one of httpx or httpx2, not {transport!r:.80}"
            raise TypeError(msg)
        self._own = ExitStack()
        self._transport = transport
        self._made: dict[bool, Any] = {}  # the real transports, of the sync kind and of the async
        if isinstance(cassette, Cassette):
            if options or record != "none" or transcript is not None:
                raise CassetteError("CassetteTransport: a cassette in use has been told how; give options with a path")
            self.cassette = cassette
            return
        self.cassette = Cassette(
            path_of(cassette, "CassetteTransport"),
            record,
            timing,
            rechunk,
            Transcript() if transcript is None else transcript,
            config_from(options, "CassetteTransport"),
            record_errors=record_errors,
        )
        self._own.enter_context(closing(self.cassette))

    def __repr__(self) -> str:
        return f"<CassetteTransport {self.cassette!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close_made()
        self._own.__exit__(kind, error, traceback)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._aclose_made()
        self._own.__exit__(kind, error, traceback)

    def handle_request(self, request: Any) -> Any:
        """Answer a request of a sync client."""
        library, inner = self._inner(request, is_async=False)
        if is_telemetry(request):
            return library.Response(204, request=request)

        def forward() -> Any:
            with leaving(), passing(self.cassette):
                return inner.handle_request(request)

        answer: Callable[[], Any] = forward
        return self.cassette.handle(library, inner, request, answer)

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request of an async client."""
        library, inner = self._inner(request, is_async=True)
        if is_telemetry(request):
            return library.Response(204, request=request)

        async def forward() -> Any:
            with leaving(), passing(self.cassette):
                return await inner.handle_async_request(request)

        answer: Callable[[], Awaitable[Any]] = forward
        return await self.cassette.handle_async(library, inner, request, answer)

    def close(self) -> None:
        """The client is closed: write what was recorded, and see that all was played."""
        self._close_made()
        self._own.close()

    async def aclose(self) -> None:
        """Likewise, of an async client."""
        await self._aclose_made()
        self._own.close()

    def _inner(self, request: Any, *, is_async: bool) -> tuple[ModuleType, Any]:
        library = sys.modules[type(request).__module__.partition(".")[0]]
        if self._transport is not None:
            return library, self._transport
        made = self._made.get(is_async)
        if made is None:
            kind = library.AsyncHTTPTransport if is_async else library.HTTPTransport
            made = self._made[is_async] = kind()
        return library, made

    def _close_made(self) -> None:
        for each in (self._made.pop(False, None), self._transport):
            if each is not None and hasattr(each, "close"):
                each.close()

    async def _aclose_made(self) -> None:
        for each in (self._made.pop(True, None), self._transport):
            if each is not None and hasattr(each, "aclose"):
                await each.aclose()
