"""The wrapper around an observed stream: it hands everything on untouched, and tells the recording what passes.

It can do what the stream can, and has its attributes. It iterates only when its reader does, and closes only when its reader
closes: at once on the record, before the first await, for SDKs close inside a cancelled scope.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any, Final

from pytest_streamrt.transcript.recording import Recording

__all__ = ["check_stream", "tapped"]

# Streams of these SDKs draw from an iterator of their own, and so do their helpers (get_final_message, text_stream): it is
# watched there, so that all of them are.
_SDKS: Final = ("openai", "anthropic")
_CLOSING: Final = ("aclose", "close")


def check_stream(stream: Any) -> None:
    """Refuse what is no stream.

    Raises:
        TypeError: it can be neither iterated nor entered; it says what to do instead, where that is known.
    """
    __tracebackhide__ = True
    if isinstance(stream, str | bytes | bytearray | dict):
        raise TypeError(f"record() takes a stream, not a {type(stream).__name__}: an iterator of pieces")
    if _abilities(stream):
        return
    name = type(stream).__name__
    hint = ""
    if inspect.isawaitable(stream):
        if inspect.iscoroutine(stream):
            stream.close()  # or Python warns that it was never awaited
        hint = ": await it first, and record what it gives"
    elif callable(getattr(stream, "stream_events", None)):
        hint = ": record its stream_events()"
    elif callable(getattr(stream, "aiter_lines", None)):
        hint = ': record what is read of it, such as aiter_lines(), with decode="openai.chat" or a function'
    elif callable(stream):
        hint = ": call it, and record what it gives"
    raise TypeError(f"record() takes an iterator, an SDK's stream or a context manager of one, not {name}{hint}")


def tapped(stream: Any, recording: Recording) -> Any:
    """A wrapper of that stream, with the same abilities."""
    return _wrapper(_abilities(stream))(stream, recording)


def _abilities(stream: Any) -> frozenset[str]:
    kind = type(stream)
    pairs = {
        "iterates": ("__next__", "__iter__"),
        "iterates_async": ("__anext__", "__aiter__"),
        "enters": ("__enter__",),
        "enters_async": ("__aenter__",),
    }
    return frozenset(name for name, methods in pairs.items() if any(hasattr(kind, method) for method in methods))


class _Wrapper:
    """What all of them have."""

    def __init__(self, stream: Any, recording: Recording) -> None:
        self._streamrt_stream = stream
        self._streamrt_recording = recording
        self._streamrt_pieces = _pieces(stream, recording)

    def __repr__(self) -> str:
        return f"<recorded as {self._streamrt_recording.source!r}: {self._streamrt_stream!r}>"

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._streamrt_stream, name)
        if name not in _CLOSING or not callable(value):
            return value

        def close(*args: Any, **kwargs: Any) -> Any:
            self._streamrt_recording.closed()
            return value(*args, **kwargs)

        return close


class _Iterates(_Wrapper):
    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._streamrt_pieces)


class _IteratesAsync(_Wrapper):
    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._streamrt_pieces)


class _Enters(_Wrapper):
    def __enter__(self) -> Any:
        try:
            entered = self._streamrt_stream.__enter__()
        except BaseException as error:
            self._streamrt_recording.raised(error)
            raise
        try:
            return _entered(self, entered)
        except TypeError as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, *exc: object) -> Any:
        self._streamrt_recording.closed()
        return self._streamrt_stream.__exit__(*exc)


class _EntersAsync(_Wrapper):
    async def __aenter__(self) -> Any:
        try:
            entered = await self._streamrt_stream.__aenter__()
        except BaseException as error:
            self._streamrt_recording.raised(error)
            raise
        try:
            return _entered(self, entered)
        except TypeError as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(self, *exc: object) -> Any:
        self._streamrt_recording.closed()
        return await self._streamrt_stream.__aexit__(*exc)


_PARTS: Final = {
    "iterates": _Iterates,
    "iterates_async": _IteratesAsync,
    "enters": _Enters,
    "enters_async": _EntersAsync,
}


@cache
def _wrapper(abilities: frozenset[str]) -> type[_Wrapper]:
    return type("Recorded", tuple(_PARTS[name] for name in sorted(abilities)), {})


def _entered(wrapper: _Wrapper, entered: Any) -> Any:
    if entered is wrapper._streamrt_stream:
        return wrapper
    check_stream(entered)
    return tapped(entered, wrapper._streamrt_recording)


def _pieces(stream: Any, recording: Recording) -> Any:
    """The iterator of that stream, watched; None where it has to be entered first."""
    sdk = type(stream).__module__.partition(".")[0] in _SDKS
    inner = getattr(stream, "_iterator", None) if sdk else None
    if inner is not None and (hasattr(inner, "__anext__") or hasattr(inner, "__next__")):
        watched = _AsyncPieces(inner, recording) if hasattr(inner, "__anext__") else _Pieces(inner, recording)
        stream._iterator = watched
        return watched
    if hasattr(type(stream), "__aiter__") or hasattr(type(stream), "__anext__"):
        return _AsyncPieces(stream, recording)
    if hasattr(type(stream), "__iter__") or hasattr(type(stream), "__next__"):
        return _Pieces(stream, recording)
    return None


class _Watched:
    """An iterator on its way, with its own attributes. Iteration begins when somebody asks for the first piece."""

    def __init__(self, stream: Any, recording: Recording) -> None:
        self._stream = stream
        self._drawn: Any = None
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Pieces(_Watched):
    """A sync one."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._drawn is None:
            self._drawn = iter(self._stream) if hasattr(self._stream, "__iter__") else self._stream
        try:
            piece = next(self._drawn)
        except StopIteration:
            self._recording.exhausted()
            raise
        except BaseException as error:
            self._recording.raised(error)
            raise
        self._recording.piece(piece)
        return piece


class _AsyncPieces(_Watched):
    """An async one."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._drawn is None:
            self._drawn = aiter(self._stream) if hasattr(self._stream, "__aiter__") else self._stream
        try:
            piece = await anext(self._drawn)
        except StopAsyncIteration:
            self._recording.exhausted()
            raise
        except BaseException as error:
            self._recording.raised(error)
            raise
        self._recording.piece(piece)
        return piece
