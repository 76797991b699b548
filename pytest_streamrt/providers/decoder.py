"""From a provider's bytes to events: framing, JSON and the faults of both, dealt with once for all dialects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from pydantic_core import from_json

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.types import Event, Status
from pytest_streamrt.providers.fields import Malformed
from pytest_streamrt.wire.json_array import JSONArrayDecoder
from pytest_streamrt.wire.sse import ServerSentEvent, SSEDecoder

__all__ = ["Decoder", "Mapper", "decode_all"]

_SHOWN: Final = 60  # characters of bad input quoted in an error


class Mapper(Protocol):
    """From one stream's parsed JSON to events. Holds the state of that stream."""

    ended: bool
    """Whether the inference has had its terminal event; nothing is mapped after it."""

    def push(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        """Map the next object of the stream; `name` is the SSE event name it came with."""
        ...

    def done(self) -> list[Event]:
        """The provider's end marker ``[DONE]`` has come."""
        ...

    def close(self) -> list[Event] | None:
        """The bytes have ended without an end marker: the closing events, or None where the answer is cut short."""
        ...

    def whole(self, data: Mapping[str, Any]) -> list[Event]:
        """Map the JSON body of an answer that was not streamed."""
        ...


class Decoder:
    """Incremental: ``feed(data)`` gives the events those bytes completed, ``close()`` those that the end completes.

    The events do not depend on where the bytes were cut. They are unstamped (`seq` 0).
    """

    def __init__(self, name: str, mapper: Mapper, *, arrays: bool = False) -> None:
        self._name = name
        self._arrays = arrays  # whether the stream may be a JSON array: its first byte tells
        self._frames: SSEDecoder | JSONArrayDecoder = SSEDecoder("sdk")
        self._mapper = mapper
        self._begun = False
        self._notes: list[Event] = []  # comments of a stream that has not begun
        self._fed = 0
        self._error: StreamError | None = None

    @property
    def ended(self) -> bool:
        """Whether the provider has said its last word; what it sends after that is ignored, as SDKs do."""
        return self._mapper.ended

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream, cut anywhere.

        Raises:
            StreamError: not UTF-8, or an event whose data is not JSON; it names the byte's offset. Events before the
                fault are returned first, so where they came in one chunk with it, the next call raises.
        """
        if self._error is not None:
            raise self._error
        if self._mapper.ended:
            return []
        if self._arrays and data:
            self._arrays = False
            if data[:1] == b"[":
                self._frames = JSONArrayDecoder()
        __tracebackhide__ = True
        begin, self._fed = self._fed, self._fed + len(data)
        events: list[Event] = []
        try:
            read = self._plain(data, begin, events)
            if read < len(data) and not self._mapper.ended:
                for sse in self._frames.feed(data[read:]):
                    self._map(sse, events)
        except StreamError as error:
            self._error = error
            if not events:
                raise
        return events

    def close(self) -> list[Event]:
        """The stream has ended.

        Raises:
            StreamError: it ended inside a character or an event, or before the provider said that it was complete.
        """
        if self._error is not None:
            raise self._error
        if self._mapper.ended:
            return []
        events: list[Event] = []
        rest = None
        for sse in self._frames.close():
            if sse.complete:
                self._map(sse, events)
            else:
                rest = sse
        if self._mapper.ended:
            return events
        closing = self._mapper.close()
        if closing is not None:
            return [*events, *closing]
        if rest is not None and rest.raw.strip():
            msg = (
                f"{self._name}: the stream ends at byte {self._fed} inside an event: the one that begins at byte "
                f"{rest.offset} is not closed by a blank line: {_quote(rest.raw)}"
            )
            raise StreamError(msg, offset=rest.offset, events=events, cut_short=True)
        msg = (
            f"{self._name}: the stream ends at byte {self._fed} before the answer does: the provider's last event is "
            "missing. The connection broke, or the recording was cut short"
        )
        raise StreamError(msg, offset=self._fed, events=events, cut_short=True)

    def whole(self, body: bytes) -> list[Event]:
        """Decode an answer that was not streamed: its JSON body, complete.

        Raises:
            StreamError: the body is not a JSON object.
        """
        shown = body.decode(errors="replace")
        data = self._object("the body, from byte 0 on,", shown, 0, body)
        try:
            return self._mapper.whole(data)
        except Malformed as error:
            raise self._malformed("the body, from byte 0 on,", shown, 0, error) from None

    def _plain(self, data: bytes, begin: int, events: list[Event]) -> int:
        """Map the frames that are nothing but a line of JSON, with a name or without: nearly all, and five times as fast.

        Returns how many bytes that was. The rest, whatever it is, is for those who read every kind of frame.
        """
        frames = self._frames
        if data[-1:] != b"\n" or isinstance(frames, JSONArrayDecoder) or not frames.between_frames:
            return 0
        newline = b"\r\n" if data[-2:] == b"\r\n" else b"\n"
        blank = newline * 2
        if not data.endswith(blank) or (b"\r" in data and len(newline) == 1):
            return 0
        read = 0
        for raw in data.split(blank):
            name = None
            if raw[:7] == b"event: ":
                name, _, raw = raw.partition(newline)  # noqa: PLW2901 - the line behind the name
            if raw[:6] != b"data: " or b"\n" in raw or b"\r" in raw:
                break
            try:
                mapped = from_json(raw[6:])
                called = name[7:].decode() if name is not None else None
            except ValueError:
                break
            if not isinstance(mapped, dict):
                break
            self._push(mapped, called, events, begin + read, raw)
            read += len(raw) + len(blank) + (len(name) + len(newline) if name is not None else 0)
            if self._mapper.ended:
                break
        frames.skip(read)
        return read

    def _map(self, sse: ServerSentEvent, events: list[Event]) -> None:
        if self._mapper.ended:
            return  # what comes after the end is nothing that an SDK would hand on
        if sse.comments:
            self._notes += [Status(said) for each in sse.comments if (said := each.strip())]
            if self._begun:
                events += self._notes
                self._notes.clear()
        if not sse.dispatched or not sse.data:
            return
        if sse.data.startswith("[DONE]"):
            events.extend(self._mapper.done())
            return
        data = self._object(f"the data of the event at byte {sse.offset}", sse.data, sse.offset, sse.data)
        self._push(data, sse.event, events, sse.offset, sse.data)

    def _push(
        self, data: Mapping[str, Any], name: str | None, events: list[Event], offset: int, shown: str | bytes
    ) -> None:
        try:
            mapped = self._mapper.push(data, name)
        except Malformed as error:
            said = shown[6:].decode() if isinstance(shown, bytes) else shown
            raise self._malformed(f"the event at byte {offset}", said, offset, error) from None
        if not self._begun and mapped:
            self._begun = True
            mapped[1:1] = self._notes  # what was noted before the answer began is said once it has
            self._notes.clear()
        events.extend(mapped)

    def _object(self, what: str, shown: str, offset: int, source: str | bytes) -> dict[str, Any]:
        why: object = "not an object"
        try:
            data = json.loads(source)  # it reads what the other parser does not: halves of characters, and deeper
        except (ValueError, RecursionError) as error:
            why = error
        else:
            if isinstance(data, dict):
                return data
        msg = f"{self._name}: {what} is not a JSON object: {_quote(shown)} ({why})"
        raise StreamError(msg, offset=offset)

    def _malformed(self, what: str, shown: str, offset: int, why: Malformed) -> StreamError:
        msg = f"{self._name}: {what} is not of this API: {why}: {_quote(shown)}"
        return StreamError(msg, offset=offset)


def decode_all(chunks: Iterable[bytes], decoder: Decoder) -> list[Event]:
    """Decode a whole stream. A fault's `events` are all that came before it."""
    __tracebackhide__ = True
    events: list[Event] = []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        return events + decoder.close()
    except StreamError as error:
        error.events = [*events, *error.events]
        raise


def _quote(text: str | bytes) -> str:
    quoted = repr(text[:_SHOWN])
    return quoted if len(text) <= _SHOWN else f"{quoted}…"
