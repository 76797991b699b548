"""Content encodings: what a body was packed in, undone as its bytes come, as far as the standard library can."""

from __future__ import annotations

import zlib
from typing import Any, Final

from pytest_streamrt.errors import StreamError

__all__ = ["Content"]

_GZIP: Final = ("gzip", "x-gzip")
_KNOWN: Final = (*_GZIP, "deflate")
_MAGIC: Final = b"\x1f\x8b"


class Content:
    """One body, being unpacked.

    Attributes:
        unreadable: the encoding that cannot be undone, as in the header, or "" where all of it can.
    """

    def __init__(self, encoding: str) -> None:
        codings = [coding.strip().lower() for coding in encoding.split(",")]
        codings = [coding for coding in codings if coding not in ("", "identity")]
        self.unreadable = "" if all(coding in _KNOWN for coding in codings) else encoding
        # They are listed in the order in which they were applied.
        self._layers = [] if self.unreadable else [_Layer(coding) for coding in reversed(codings)]

    def feed(self, data: bytes) -> bytes:
        """Unpack the next bytes, cut anywhere.

        Raises:
            StreamError: they are not packed as the header says; it names the byte's offset.
        """
        for layer in self._layers:
            data = layer.feed(data)
        return data

    @property
    def rest(self) -> bytes:
        """What came after the end of what is packed. An HTTP client passes it over."""
        return self._layers[0].rest if self._layers else b""

    def close(self) -> bytes:
        """The body has ended: what was held back until then."""
        data = b""
        for layer in self._layers:
            data = layer.feed(data) + layer.close()
        return data


class _Layer:
    """One encoding."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._head = b""  # until there is enough of it to tell what it is
        self._fed = 0
        self._inflate: Any = None
        self._plain = False

    def feed(self, data: bytes) -> bytes:
        if self._plain or not data:
            return data
        if self._inflate is None:
            data = self._head = self._head + data
            if len(data) < len(_MAGIC):
                return b""
            wbits = self._wbits(data)
            if wbits is None:
                self._plain = True
                return data
            self._inflate = zlib.decompressobj(wbits=wbits)
        try:
            unpacked: bytes = self._inflate.decompress(data)
        except zlib.error as error:
            msg = f"the body is not the {self._coding} that its content-encoding says, after byte {self._fed}: {error}"
            raise StreamError(msg, offset=self._fed) from None
        self._fed += len(data)
        return unpacked

    @property
    def rest(self) -> bytes:
        rest: bytes = self._inflate.unused_data if self._inflate is not None else b""
        return rest

    def close(self) -> bytes:
        if self._plain:
            return b""
        return self._head if self._inflate is None else self._inflate.flush()

    def _wbits(self, head: bytes) -> int | None:
        """What zlib is to expect, or None for bytes that are not packed, whatever the header says."""
        if head.startswith(_MAGIC):
            return zlib.MAX_WBITS | 16
        if head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0:
            return zlib.MAX_WBITS
        # Some servers' "deflate" has no head; and some say gzip and send plain text.
        return None if self._coding in _GZIP else -zlib.MAX_WBITS
