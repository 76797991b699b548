"""Bodies under a content encoding, chunk by chunk: what each chunk adds to the text, and the text packed again in the same cuts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, Protocol

from pytest_streamrt.transcript.content import Content

__all__ = ["PACKED", "encodings_of", "pack", "unpack"]

PACKED: Final = "gzip"
"""The encoding in which `pack` writes."""

_STORED_NOTHING: Final = b"\x00\x00\x00\xff\xff"  # an empty block of deflate (RFC 1951, 3.2.4): no chunk is empty


class _Unpacker(Protocol):
    def feed(self, data: bytes) -> bytes: ...


def encodings_of(headers: Sequence[tuple[str, str]]) -> str:
    """The content encoding that these headers give, "" where there is none."""
    codings = [value.strip().lower() for name, value in headers if name.lower() == "content-encoding"]
    return ", ".join(coding for coding in codings if coding not in ("", "identity"))


def unpack(chunks: Sequence[bytes], encoding: str) -> list[bytes] | None:
    """What each chunk adds to the body, or None where that encoding cannot be undone here.

    What follows a fault in the encoding is nothing that a client could read; it is left as it is.
    """
    unpacker = _unpacker(encoding)
    if unpacker is None:
        return None
    pieces: list[bytes] = []
    broken = False
    for chunk in chunks:
        try:
            pieces.append(chunk if broken else unpacker.feed(chunk))
        except Exception:  # noqa: BLE001 - what the libraries raise has no other base
            broken = True
            pieces.append(chunk)
    return pieces


def pack(pieces: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """Chunks under gzip that add just these pieces to the body. `whole`: whether the last one ends it."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    chunks = []
    for number, piece in enumerate(pieces, start=1):
        last = whole and number == len(pieces)
        data = packer.compress(piece) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        chunks.append(data or _STORED_NOTHING)
    return chunks


def _unpacker(encoding: str) -> _Unpacker | None:
    layers = [_layer(coding.strip()) for coding in encoding.split(",")]
    known = [layer for layer in layers if layer is not None]
    return _Layers(known[::-1]) if len(known) == len(layers) else None


def _layer(coding: str) -> _Unpacker | None:
    if coding in ("gzip", "x-gzip"):
        return _Members(coding)
    content = Content(coding)
    return _library_unpacker(coding) if content.unreadable else content


class _Members:
    """What gzip packed, in one go or several (RFC 1952, 2.2): clients read the first alone, and the disk would have all."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._content = Content(coding)

    def feed(self, data: bytes) -> bytes:
        pieces = [self._content.feed(data)]
        while rest := self._content.rest:
            self._content = Content(self._coding)
            pieces.append(self._content.feed(rest))
        return b"".join(pieces)


class _Layers:
    """Several encodings, one in the other."""

    def __init__(self, layers: Sequence[_Unpacker]) -> None:
        self._layers = layers

    def feed(self, data: bytes) -> bytes:
        for layer in self._layers:
            data = layer.feed(data)
        return data


class _Frames:
    """What zstd packed, in one frame or, as where each event was packed by itself, in several (RFC 8878, 3.1)."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._frame = make()

    def feed(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._frame.eof:
                self._frame = self._make()
            pieces.append(self._frame.decompress(data))
            data = self._frame.unused_data if self._frame.eof else b""
        return b"".join(pieces)


class _Foreign:
    """An encoding that a library undoes: the same libraries that let an HTTP client ask for it."""

    def __init__(self, take: Any) -> None:
        self._take = take

    def feed(self, data: bytes) -> bytes:
        taken: bytes = self._take(data)
        return taken


def _library_unpacker(coding: str) -> _Unpacker | None:
    if coding == "br":
        library = _library("brotli") or _library("brotlicffi")
        if library is None:
            return None
        decompressor = library.Decompressor()
        return _Foreign(getattr(decompressor, "process", None) or decompressor.decompress)
    if coding == "zstd":
        library = _library("zstandard")
        if library is not None:
            return _Frames(lambda: library.ZstdDecompressor().decompressobj())
        library = _library("compression.zstd") or _library("backports.zstd")  # which httpx2 takes
        return _Frames(library.ZstdDecompressor) if library is not None else None
    return None


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
