"""Bodies under a content encoding, chunk by chunk: what each chunk adds to the text, and the text packed again in the same cuts."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
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
    content = Content(encoding)
    if not content.unreadable:
        return content
    layers = [_library_unpacker(coding.strip()) or _content(coding) for coding in encoding.split(",")]
    known = [layer for layer in layers if layer is not None]
    return _Layers(known[::-1]) if len(known) == len(layers) else None


def _content(coding: str) -> _Unpacker | None:
    content = Content(coding)
    return None if content.unreadable else content


class _Layers:
    """Several encodings, one in the other."""

    def __init__(self, layers: Sequence[_Unpacker]) -> None:
        self._layers = layers

    def feed(self, data: bytes) -> bytes:
        for layer in self._layers:
            data = layer.feed(data)
        return data


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
        return _Foreign(library.ZstdDecompressor().decompressobj().decompress) if library is not None else None
    return None


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None
