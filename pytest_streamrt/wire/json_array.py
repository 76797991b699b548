"""A JSON array of objects, split as it comes: what Google's APIs stream where nobody asks for server-sent events."""

from __future__ import annotations

import re
from typing import Final

from pytest_streamrt.errors import StreamError
from pytest_streamrt.wire.sse import ServerSentEvent

__all__ = ["JSONArrayDecoder"]

_SIGN: Final = re.compile(rb'["\\{}\[\]]')


class JSONArrayDecoder:
    """Incremental: ``feed(data)`` gives the elements that data completed, as frames; ``close()`` the unfinished rest.

    Only brackets and strings are looked at; whether an element is JSON is for its reader to say.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._scanned = 0
        self._depth = 0  # 1 within the array
        self._in_string = False
        self._error: StreamError | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream, cut anywhere.

        Raises:
            StreamError: an element is not UTF-8. Elements before it are returned first.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        frames: list[ServerSentEvent] = []
        start = 0
        scan = self._scanned
        while (found := _SIGN.search(self._buffer, scan)) is not None:
            sign = found[0]
            scan = found.end()
            if self._in_string:
                if sign == b"\\":
                    if scan == len(self._buffer):
                        scan -= 1  # what it escapes has not come
                        break
                    scan += 1
                elif sign == b'"':
                    self._in_string = False
            elif sign == b'"':
                self._in_string = True
            elif sign in (b"{", b"["):
                self._depth += 1
            elif sign in (b"}", b"]"):
                self._depth -= 1
                if self._depth <= 1:
                    frame = self._frame(start, scan)
                    if self._error is not None:
                        break
                    if frame is not None:
                        frames.append(frame)
                    start = scan
        else:
            scan = len(self._buffer)
        del self._buffer[:start]
        self._offset += start
        self._scanned = scan - start
        if self._error is not None and not frames:
            raise self._error
        return frames

    def close(self) -> list[ServerSentEvent]:
        """The stream has ended: the unfinished rest, as one incomplete frame, or nothing."""
        if self._error is not None:
            raise self._error
        rest = bytes(self._buffer)
        if not rest.strip(b" \t\r\n,]"):
            return []
        return [ServerSentEvent(None, raw=rest, offset=self._offset, complete=False, dispatched=False)]

    def _frame(self, start: int, end: int) -> ServerSentEvent | None:
        """The element that ends here, without what stands before it."""
        raw = bytes(self._buffer[start:end])
        element = raw.lstrip(b" \t\r\n,")
        if self._depth == 1 and self._offset + start == 0:
            element = element.removeprefix(b"[").lstrip(b" \t\r\n")
        if self._depth < 1:  # the array's own end
            return None
        offset = self._offset + end - len(element)
        try:
            return ServerSentEvent(element.decode(), raw=raw, offset=offset)
        except UnicodeDecodeError as error:
            at = offset + error.start
            msg = f"the stream is not UTF-8 at byte {at}: {element[error.start : error.start + 4]!r} ({error.reason})"
            self._error = StreamError(msg, offset=at)
            return None
