"""One observed stream in the log: what its pieces say, numbered, and how it ended. What wraps the stream is in `tap`."""

from __future__ import annotations

import json
from typing import Any, Final, Literal, Protocol

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.order import TERMINALS
from pytest_streamrt.events.types import (
    Event,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ProviderEvent,
    stamp,
)
from pytest_streamrt.providers.fields import Malformed
from pytest_streamrt.transcript.adapters import Adapter
from pytest_streamrt.transcript.adapters.decoding import DecodeFailed

__all__ = ["Recording"]

Kind = Literal["transport", "provider", "model"]

# By the names of their classes, for no SDK is imported: of httpx, httpx2, aiohttp, openai and anthropic, of the project.
_TRANSPORT: Final = frozenset({"APIConnectionError", "ClientConnectionError", "ClientPayloadError", "TransportError"})
_PROVIDER: Final = frozenset({"APIError", "ModelAPIError", "StreamError", "UnexpectedModelBehavior"})
_CANCELLED: Final = frozenset({"CancelledError", "Cancelled", "GeneratorExit"})


class _Log(Protocol):
    """What a recording needs of the transcript."""

    def log(self, event: Event, origin: object) -> None:
        """Write down a stamped event."""
        ...

    def elapsed(self) -> float:
        """Seconds since the transcript began."""
        ...


class Recording:
    """A stream that somebody reads through `Transcript.record`: one inference of its source.

    It starts when the stream is given to `record`, and ends with the stream: by itself, by an error, or because whoever
    reads it closes it, or is cancelled while it waits.

    Attributes:
        source: the name that the user gave it.
    """

    def __init__(self, log: _Log, source: str, inference: str, adapter: Adapter) -> None:
        self.source = source
        self._log = log
        self._inference = inference
        self._adapter = adapter
        self._fold = Fold()
        self._seq = 0
        self._ended = False
        self._emit(InferenceStarted())

    def piece(self, piece: Any) -> None:
        """The next piece is about to be handed on."""
        if self._ended:
            return
        try:
            for event in self._adapter.push(piece):
                self._take(event)
        except (StreamError, Malformed, DecodeFailed) as error:
            self._fail("provider", str(error))
        except Exception as error:  # noqa: BLE001 - a piece of a shape that nobody foresaw is no reason to break its stream
            unread = {"piece": f"<{type(piece).__qualname__}>", "error": f"{type(error).__name__}: {error}"}
            self._take(ProviderEvent(type(piece).__module__.partition(".")[0], "unreadable", unread))

    def exhausted(self) -> None:
        """The stream has ended in order."""
        if self._ended:
            return
        try:
            events = self._adapter.end()
        except StreamError as error:
            for event in error.events:
                self._take(event)
            self._fail("transport" if error.cut_short else "provider", str(error))
            return
        if events is None:
            self._fail("transport", "the stream ended before the answer did: the provider's last event is missing")
            return
        for event in events:
            self._take(event)
        self._take(InferenceCompleted())

    def closed(self, reason: str = "") -> None:
        """Whoever reads it wants no more."""
        if not self._ended and not reason and getattr(self._adapter, "complete", False):
            self.exhausted()
            return
        self._take(InferenceAborted(reason, "client", self._fold.text, tuple(self._fold.items), self._fold.usage))

    def raised(self, error: BaseException) -> None:
        """Reading it has raised."""
        names = {base.__name__ for base in type(error).__mro__}
        if names & _CANCELLED:
            self.closed("cancelled")
        elif isinstance(error, Exception):
            self._fail(_whose_fault(error), f"{type(error).__name__}: {error}")
        else:
            self._fail("model", f"{type(error).__name__}: {error}")

    def _fail(self, kind: Kind, message: str) -> None:
        self._take(InferenceFailure(kind, message, self._fold.text))

    def _take(self, event: Event) -> None:
        if self._ended or isinstance(event, InferenceStarted):  # it started when it was given to us
            return
        if isinstance(event, InferenceCompleted):
            for item in self._fold.open_items:
                self._take(ItemCompleted(item))
        self._ended = event.type in TERMINALS
        self._emit(event)

    def _emit(self, event: Event) -> None:
        self._seq += 1
        stamped = stamp(
            event,
            seq=self._seq,
            time=self._log.elapsed(),
            source=self.source,
            inference=self._inference,
            inference_seq=self._seq,
            round=self._adapter.round,
        )
        self._fold.add(stamped)
        self._log.log(stamped, self)


def _whose_fault(error: Exception) -> Kind:
    """By the error, or by what it was raised from: frameworks wrap what their SDK raises."""
    causes: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in causes:
        causes.append(each)
        each = each.__cause__
    names = {base.__name__ for cause in causes for base in type(cause).__mro__}
    if names & _TRANSPORT or any(isinstance(cause, ConnectionError | TimeoutError) for cause in causes):
        return "transport"
    if names & _PROVIDER or any(isinstance(cause, json.JSONDecodeError) for cause in causes):
        return "provider"
    return "model"
