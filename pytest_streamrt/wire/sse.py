"""Server-sent events, decoded and encoded. Whatever turns bytes into frames and frames into bytes lives here.

No I/O: bytes go in as they came off the wire, cut anywhere, and frames come out. The frames do not depend on the cuts,
and nothing is lost: the `raw` bytes of all frames, joined, are the bytes that went in.

Protocol facts are from the WHATWG HTML standard, section 9.2 "Server-sent events". What the provider SDKs do
differently was read from the decoders of openai 2 and 3 and anthropic 2. They agree with one another, but where lines
end in CR: what anthropic 2 reads there depends on the cuts; ours does as openai 3 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pytest_streamrt.errors import StreamError

__all__ = ["Rules", "SSEDecoder", "ServerSentEvent", "encode_event"]

Rules = Literal["whatwg", "sdk"]

_BOM: Final = "\ufeff"
_CR: Final = 0x0D
_LF: Final = 0x0A
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LINE_END_TEXT: Final = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One frame of an event stream: the lines up to and including a blank line.

    A field that did not occur is None, so ``data:`` (an empty string) and no data at all stay apart.

    Attributes:
        data: the data lines, joined by a line feed.
        event: the event name as sent; an empty name means the default, "message".
        id: the id field as sent.
        retry: the reconnection time in milliseconds.
        comments: the text after the colon of each comment line, as sent.
        raw: the exact bytes, blank line included.
        offset: where `raw` begins, in bytes from the start of the stream.
        complete: whether a blank line closed the frame; only the last frame of a stream can lack it.
        dispatched: whether a reader that follows the decoder's rules would see an event here. Frames of comments or
            blank lines alone never are, nor is an incomplete one.
        last_event_id: the id a reader would send in ``Last-Event-ID`` after this frame; "" when none was set.
    """

    data: str | None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comments: tuple[str, ...] = ()
    raw: bytes = b""
    offset: int = 0
    complete: bool = True
    dispatched: bool = True
    last_event_id: str = ""


class SSEDecoder:
    """Incremental decoder: ``feed(data)`` gives the frames that data completed, ``close()`` the unfinished rest.

    Args:
        rules: what counts as an event, where readers differ.

            ``"whatwg"`` (the default, because it is the standard, and what a browser does with a user's own endpoint):
            one leading byte order mark is dropped; a frame without a data field is not an event; invalid UTF-8 reads
            as U+FFFD; a ``retry`` counts if it is all ASCII digits.

            ``"sdk"``, as the SDKs of OpenAI and Anthropic read, and as the dialects of this project do: a byte order
            mark is part of the first field's name, so that field is lost; a frame with an event name or a ``retry``
            alone is an event, and so is every blank line once an id has been sent; invalid UTF-8 is an error.
    """

    def __init__(self, rules: Rules = "whatwg") -> None:
        __tracebackhide__ = True
        if rules not in ("whatwg", "sdk"):
            msg = f'SSEDecoder: rules must be "whatwg" or "sdk", not {rules!r}'
            raise ValueError(msg)
        self._sdk = rules == "sdk"
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._scanned = 0  # bytes of the buffer known to hold no frame's end
        self._line_start = 0  # of the line being scanned, in the buffer
        self._saw_cr = False  # until a CR is seen, frames end at "\n\n" and nowhere else
        self._bare_cr = False  # whether the last line ended in a CR that no LF followed
        self._skip_lf = False  # whether the last frame ended in a CR: an LF right after it belongs to that line end
        self._last_event_id = ""
        self._error: StreamError | None = None
        self._closed = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes of the stream, cut anywhere; return the frames they completed.

        Raises:
            StreamError: invalid UTF-8 under the rules "sdk"; it names the byte's offset. Frames before the fault are
                returned first, so where they came in one chunk with it, the next call raises.
            TypeError: these are no bytes.
            ValueError: the decoder is closed.
        """
        __tracebackhide__ = True
        if self._closed:
            msg = "SSEDecoder: feed() after close(); a new stream needs a new decoder"
            raise ValueError(msg)
        if self._error is not None:
            raise self._error
        try:
            self._buffer += data
        except TypeError:
            msg = f"SSEDecoder.feed: a stream is bytes, not {data!r:.80}"
            raise TypeError(msg) from None
        if not self._saw_cr and b"\r" in data:
            self._saw_cr = True
            self._scanned = self._line_start = 0
        frames: list[ServerSentEvent] = []
        start = 0
        while (end := self._frame_end(start)) is not None:
            try:
                frames.append(self._frame(bytes(self._buffer[start:end]), self._offset + start, complete=True))
            except StreamError as error:
                self._error = error
                break
            self._skip_lf = self._buffer[end - 1] == _CR
            start = end
        if start:
            del self._buffer[:start]
            self._offset += start
            self._scanned = max(self._scanned - start, 0)
            self._line_start = max(self._line_start - start, 0)
        if self._error is not None and not frames:
            raise self._error
        return frames

    @property
    def between_frames(self) -> bool:
        """Whether all that came was whole frames, of lines that end in LF: what comes next begins one."""
        return not self._buffer and not self._saw_cr and not self._closed and self._error is None

    def skip(self, size: int) -> None:
        """Whole frames of so many bytes, without ids, have been read by somebody else."""
        self._offset += size

    def close(self) -> list[ServerSentEvent]:
        """The stream has ended: return what no blank line closed, as one incomplete frame, or nothing.

        The standard and the SDKs both drop such a frame, so it is never `dispatched`.

        Raises:
            StreamError: the stream ended inside a UTF-8 character, under the rules "sdk".
        """
        if self._closed:
            return []
        self._closed = True
        if self._error is not None:
            raise self._error
        if not self._buffer:
            return []
        raw = bytes(self._buffer)
        self._buffer.clear()
        # A CR that might have been half of a CRLF still closes the frame when nothing follows it.
        blank = raw.endswith(b"\r") and self._line_start == len(raw) - 1
        return [self._frame(raw, self._offset, complete=blank)]

    def _frame_end(self, start: int) -> int | None:
        """Where the frame that begins at `start` ends in the buffer, or None as long as its blank line is missing."""
        buffer = self._buffer
        if not self._saw_cr:
            if start < len(buffer) and buffer[start] == _LF:
                return start + 1
            found = buffer.find(b"\n\n", max(start, self._scanned - 1))
            if found >= 0:
                return found + 2
            self._scanned = len(buffer)
            return None
        if self._skip_lf and buffer[start : start + 1] == b"\n":
            start += 1
        scan = max(start, self._scanned)
        line_start = max(start, self._line_start)
        while (match := _LINE_END.search(buffer, scan)) is not None:
            at, end = match.span()
            bare = buffer[at] == _CR and end == at + 1
            if at == line_start:
                if buffer[at] == _CR and self._bare_cr:
                    # Lines end in bare CRs here, so this one is whole. Waiting for a possible LF would hold back each
                    # event of such a stream until the next one; should one come, it begins the next frame's bytes.
                    end = at + 1
                elif bare and end == len(buffer):
                    break  # perhaps the first half of a CRLF: the next byte tells
                self._scanned = self._line_start = end
                self._bare_cr = buffer[at] == _CR and end == at + 1
                return end
            if bare and end == len(buffer):
                break
            self._bare_cr = bare
            scan = line_start = end
        else:
            scan = len(buffer)
        self._scanned = scan if match is None else match.start()
        self._line_start = line_start
        return None

    def _frame(self, raw: bytes, offset: int, *, complete: bool) -> ServerSentEvent:
        text = self._text(raw, offset)
        if self._skip_lf:
            text = text.removeprefix("\n")
        if not self._saw_cr and complete and text.startswith("data: ") and text.find("\n", 0, -2) < 0:
            # Nearly every frame of nearly every provider: one line of data, or that and an event name before it.
            return ServerSentEvent(text[6:-2], raw=raw, offset=offset, last_event_id=self._last_event_id)
        if not self._saw_cr and complete and text.startswith("event: "):
            name, _, rest = text[7:-2].partition("\n")
            if rest.startswith("data: ") and "\n" not in rest:
                return ServerSentEvent(rest[6:], name, raw=raw, offset=offset, last_event_id=self._last_event_id)
        if offset == 0 and not self._sdk:
            text = text.removeprefix(_BOM)
        lines = _LINE_END_TEXT.split(text)
        data: list[str] = []
        comments: list[str] = []
        event = id_ = retry = None
        last_id = self._last_event_id
        for line in lines:
            name, colon, value = line.partition(":")
            if not name:
                if colon:
                    comments.append(value)
                continue
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                event = value
            elif name == "id":
                id_ = value
                if "\0" not in value:
                    last_id = value
            elif name == "retry":
                retry = self._retry(value, retry)
        if complete:
            self._last_event_id = last_id
        if self._sdk:
            dispatched = bool(event or data or self._last_event_id) or retry is not None
        else:
            dispatched = bool(data)
        return ServerSentEvent(
            "\n".join(data) if data else None,
            event,
            id_,
            retry,
            tuple(comments),
            raw,
            offset,
            complete,
            complete and dispatched,
            self._last_event_id,
        )

    def _text(self, raw: bytes, offset: int) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            if not self._sdk:
                return raw.decode(errors="replace")
            at = offset + error.start
            bad = raw[error.start : error.start + 4]
            cut_short = error.reason == "unexpected end of data" and error.end == len(raw)
            if cut_short:
                msg = f"the stream ends inside a UTF-8 character at byte {at}: {bad!r}"
            else:
                msg = f"the stream is not UTF-8 at byte {at}: {bad!r} ({error.reason})"
            raise StreamError(msg, offset=at, cut_short=cut_short) from None

    def _retry(self, value: str, before: int | None) -> int | None:
        if not self._sdk and not (value.isascii() and value.isdigit()):
            return before
        try:
            return int(value)
        except ValueError:  # also for more digits than Python reads
            return before


def encode_event(
    data: str | None = None,
    *,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
    comments: Iterable[str] = (),
    newline: Literal["\n", "\r\n", "\r"] = "\n",
) -> bytes:
    r"""Write one frame, closed by its blank line: comments, event, id, retry, data, in that order.

    Args:
        data: written as one ``data:`` line for each of its lines; CR, LF and CRLF in it all read back as LF.
        event: the event's name.
        id: the event's id.
        retry: the reconnection time in milliseconds.
        comments: one comment line each.
        newline: what ends each line.

    Raises:
        ValueError: an event name, id or comment holds a line break, an id holds U+0000, or retry is negative.
    """
    lines = [":" + _one_line("comment", comment) for comment in comments]
    if event is not None:
        lines.append("event: " + _one_line("event", event))
    if id is not None:
        if "\0" in id:
            msg = f"encode_event: an id with U+0000 is ignored by every reader: {id!r}"
            raise ValueError(msg)
        lines.append("id: " + _one_line("id", id))
    if retry is not None:
        if retry < 0:
            msg = f"encode_event: retry is a time in milliseconds, not {retry}"
            raise ValueError(msg)
        lines.append(f"retry: {retry}")
    if data is not None:
        lines.extend("data: " + line for line in _LINE_END_TEXT.split(data))
    return "".join(line + newline for line in [*lines, ""]).encode()


def _one_line(what: str, value: str) -> str:
    __tracebackhide__ = True
    if "\n" in value or "\r" in value:
        msg = f"encode_event: the {what} holds a line break: {value!r}"
        raise ValueError(msg)
    return value
