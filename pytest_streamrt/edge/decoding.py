"""What every ``decode=`` of a user's protocol has in common: from pieces of a stream of server-sent events to their JSON.

Pieces may be bytes, text cut anywhere (the first not before its first line end), lines as `aiter_lines()` gives them, events of
another SSE library, or parsed JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCall, Item, ModelMessage, Reasoning
from pytest_streamrt.events.order import TERMINALS
from pytest_streamrt.events.types import Event, InferenceFailure, ItemCompleted, ToolCallDelta, ToolCallStarted
from pytest_streamrt.providers.fields import Malformed
from pytest_streamrt.wire.sse import ServerSentEvent, SSEDecoder

__all__ = ["Protocol", "as_text"]

_SHOWN: Final = 60  # characters of bad input quoted in an error


class Protocol:
    """A decoder of one stream, for ``transcript.record(…, decode=…)``: a function from a piece to events.

    Each stream wants its own. What comes after the end of an answer is ignored, as a browser does.
    """

    name = ""
    """The protocol's, for messages and for `ProviderEvent.dialect`."""

    def __init__(self) -> None:
        self.__name__ = self.name
        self.ended = False
        self.said = Fold()
        self._sse = SSEDecoder("whatwg")
        self._lines: bool | None = None
        self._fed = 0

    # What a protocol says for itself.

    def data(self, data: str, name: str | None) -> list[Event]:
        """Map the data of one event. By default it is a JSON object, mapped by `object`."""
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError) as error:
            msg = f"not JSON ({error})"
            raise Malformed(msg) from None
        if not isinstance(parsed, dict):
            raise Malformed("not a JSON object")
        return self.object(parsed, name)

    def object(self, data: Mapping[str, Any], name: str | None) -> list[Event]:
        """Map one JSON object of the stream; `name` is the event's."""
        raise NotImplementedError

    def closing(self) -> list[Event] | None:
        """The stream has ended without the protocol's end: the events for that, or None where the answer is cut short."""
        return None

    # As `record` calls it.

    def __call__(self, piece: Any) -> list[Event]:
        """Map the next piece.

        Raises:
            StreamError: it is not of this protocol.
        """
        if isinstance(piece, str | bytes | bytearray):
            frames = self._sse.feed(self._bytes(piece))
            return [event for frame in frames for event in self._frame(frame)]
        if isinstance(piece, Mapping):
            return self._take(lambda: self.object(piece, None), repr(dict(piece)), 0)
        data, name = getattr(piece, "data", None), getattr(piece, "event", None)
        if not isinstance(data, str):
            msg = f"{self.name}: a piece is to be bytes, text, an SSE event or a mapping, not {type(piece).__name__}"
            raise StreamError(msg, offset=self._fed)
        return self._take(lambda: self.data(data, name or None), data, self._fed)

    def end(self) -> list[Event]:
        """The stream has ended: what that adds.

        Raises:
            StreamError: it ended before the answer did.
        """
        events = [event for frame in self._last_frames() for event in self._frame(frame)]
        if self.ended:
            return events
        closing = self.closing()
        if closing is None:
            msg = (
                f"{self.name}: the stream ended at byte {self._fed} before the answer did: its last event is missing, or no "
                "blank line closes it"
            )
            raise StreamError(msg, offset=self._fed, events=events, cut_short=True)
        return [*events, *self._keep(closing)]

    def _last_frames(self) -> list[ServerSentEvent]:
        blank = self._sse.feed(b"\n") if self._lines else []  # httpx gives no line for a blank one at the very end
        return [*blank, *(frame for frame in self._sse.close() if frame.complete)]

    def _frame(self, frame: ServerSentEvent) -> list[Event]:
        data = frame.data
        if not frame.dispatched or not data:
            return []
        return self._take(lambda: self.data(data, frame.event or None), data, frame.offset)

    def _take(self, mapped: Any, shown: str, offset: int) -> list[Event]:
        if self.ended:
            return []
        try:
            return self._keep(mapped())
        except Malformed as error:
            quoted = repr(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…")
            msg = f"{self.name}: the event at byte {offset} is not of this protocol: {error}: {quoted}"
            raise StreamError(msg, offset=offset) from None

    def _keep(self, events: list[Event]) -> list[Event]:
        for event in events:
            self.said.add(event)
            self.ended = self.ended or event.type in TERMINALS
        return events

    def _bytes(self, piece: str | bytes | bytearray) -> bytes:
        data = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
        if self._lines is None:
            # Who reads lines gets them without their ends; in pieces of the text itself the first has one, or is no text.
            self._lines = isinstance(piece, str) and "\n" not in piece and "\r" not in piece
        if self._lines:
            data += b"\n"
        self._fed += len(data)
        return data

    # What protocols have in common.

    def failed(self, message: str) -> InferenceFailure:
        """The answer has failed, as the app says."""
        return InferenceFailure("provider", message, self.said.text)


class Parts:
    """The parts of an answer that a protocol begins and ends by their ids, and the items they become."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[str, tuple[str, list[str]]] = {}
        self._written: set[str] = set()

    def text(self, id: str, delta: str) -> None:
        """A piece of a text."""
        self._texts.setdefault(id, []).append(delta)

    def text_over(self, id: str, *, reasoning: bool = False) -> list[Event]:
        """That text is whole."""
        text = "".join(self._texts.pop(id, []))
        if not text:
            return []
        item: Item = Reasoning(text) if reasoning else ModelMessage(text)
        return [ItemCompleted(item)]

    def call(self, id: str, name: str) -> list[Event]:
        """A tool call begins, unless it has."""
        if id in self._calls:
            return []
        self._calls[id] = name, []
        return [ToolCallStarted(id, name)]

    def arguments(self, id: str, delta: str) -> list[Event]:
        """A piece of its arguments."""
        if id not in self._calls or id in self._written:
            msg = f"arguments for the tool call {id!r}, which {'is over' if id in self._written else 'never began'}"
            raise Malformed(msg)
        if not delta:
            return []
        self._calls[id][1].append(delta)
        return [ToolCallDelta(id, delta)]

    def call_over(self, id: str, whole: Any = None) -> list[Event]:
        """The call is written; `whole` are its arguments, for one that was not streamed."""
        if id not in self._calls or id in self._written:
            return []
        events = [] if self._calls[id][1] or whole is None else self.arguments(id, as_text(whole))
        self._written.add(id)
        name, arguments = self._calls[id]
        return [*events, ItemCompleted(FunctionCall(id, name, "".join(arguments)))]

    def name_of(self, id: str) -> str:
        """The name of that call's tool; "" where it is not known."""
        return self._calls[id][0] if id in self._calls else ""


def as_text(value: Any) -> str:
    """A value of JSON as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
