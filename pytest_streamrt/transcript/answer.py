"""The body of one HTTP answer, read: unpacked, told whether it is a stream, and decoded into events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.types import Event, InferenceCompleted, ProviderEvent
from pytest_streamrt.providers import dialect
from pytest_streamrt.transcript.content import Content

__all__ = ["Answer"]

_ERROR_SHOWN: Final = 300  # characters of an HTTP error's body that are quoted
_BOM: Final = b"\xef\xbb\xbf"
_NO_STREAM: Final = b"{[<"  # how JSON and HTML begin, and no stream does


class Answer:
    """What an HTTP answer says, in a dialect. Bytes go in as the client takes them, events come out.

    Args:
        name: the dialect's.
        status: the HTTP status.
        headers: the response's headers, by their names in lower case.
    """

    def __init__(self, name: str, status: int | None, headers: Mapping[str, str]) -> None:
        self._name = name
        self._status = status or 200
        self._headers = headers
        spoken = dialect(name)
        self._decoder = spoken.decoder()
        self._no_stream = _NO_STREAM.replace(b"[", b"") if spoken.arrays else _NO_STREAM
        self._content = Content(headers.get("content-encoding", ""))
        self._streams: bool | None = True if "event-stream" in headers.get("content-type", "") else None
        self._body = bytearray()  # of an answer that is no stream, or is not yet known to be one
        self._began = False

    @property
    def ended(self) -> bool:
        """Whether the provider has said its last word."""
        return self._decoder.ended

    @property
    def refused(self) -> bool:
        """Whether the status says that there is no answer here."""
        return self._status >= 300

    @property
    def unreadable(self) -> str:
        """Why nobody can tell what it says, or "" where one can."""
        if not self._content.unreadable or not self._began:
            return ""
        return (
            f"the answer is packed as {self._content.unreadable!r}, which Python's standard library cannot unpack, so "
            "what it says is not known. Have the client send: accept-encoding: gzip"
        )

    @property
    def refusal(self) -> str:
        """The status, and what the body says of it, as far as it was read."""
        why = self._reason()
        return f"HTTP {self._status}: {why}" if why else f"HTTP {self._status}"

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the body.

        Raises:
            StreamError: they cannot be decoded.
        """
        first, self._began = not self._began, self._began or bool(data)
        if self._content.unreadable:
            return self._complaint() if first and data and not self.refused else []
        try:
            return self._take(self._content.feed(data))
        except StreamError:
            if self.refused:  # the status has said what there is to say
                return []
            raise

    def close(self) -> list[Event]:
        """The body has ended in order: the closing events.

        Raises:
            StreamError: it ended before the answer did, or is none.
        """
        if self.unreadable:
            return [InferenceCompleted()]
        events = self._take(self._content.close())
        if self._streams is False:
            return self._decoder.whole(bytes(self._body))
        return [*events, *self._decoder.close()]

    def _take(self, data: bytes) -> list[Event]:
        if self.refused:
            self._body += data
            return []
        if self._streams:
            return self._decoder.feed(data)
        self._body += data
        if self._streams is None:
            self._streams = self._tell()
            if self._streams:
                data, self._body = bytes(self._body), bytearray()
                return self._decoder.feed(data)
        return []

    def _tell(self) -> bool | None:
        """Whether this is a stream, by its first character: servers label either as "text/plain", or not at all."""
        if _BOM.startswith(self._body):
            return None
        head = self._body.removeprefix(_BOM).lstrip()
        return head[0] not in self._no_stream if head else None

    def _complaint(self) -> list[Event]:
        data = {"encoding": self._content.unreadable, "message": self.unreadable}
        return [ProviderEvent(self._name, "content-encoding", data)]

    def _reason(self) -> str:
        """Why there is no answer, in the provider's words where it has any."""
        if self._status < 400:
            to = self._headers.get("location", "").partition("?")[0]  # queries hold keys
            return f"redirected to {to}" if to else ""
        if self.unreadable:
            return self.unreadable
        text = self._body.decode(errors="replace").strip()
        try:
            error = json.loads(text)["error"]
            return str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, TypeError, KeyError, RecursionError):
            return text[:_ERROR_SHOWN]
