"""Every exception a user of pytest-streamrt can meet, and nothing else. Imports nothing, so every layer may raise.

The message of each follows one anatomy: what happened, where (offset, file and line, or virtual time), the likely
cause, and the flag or command that mends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytest_streamrt.events.types import Event

__all__ = [
    "CassetteError",
    "CassetteMiss",
    "ClockError",
    "InferenceFailed",
    "LeftBehind",
    "NetworkBlocked",
    "NotReplayable",
    "ProviderMiss",
    "ScriptError",
    "StreamError",
    "StreamrtError",
    "StreamrtWarning",
    "TranscriptError",
    "Unanswered",
    "VirtualTimeStuck",
    "WouldDeadlock",
]


class StreamrtError(Exception):
    """Base of what pytest-streamrt raises, but for `Unanswered`, which no ``except Exception`` may swallow."""


class StreamrtWarning(UserWarning):
    """What is doubtful and no failure: what a passing test left behind, a race with a real socket, a name that is nearly a handler's."""


class StreamError(StreamrtError, ValueError):
    """A provider's stream cannot be decoded: its bytes, its framing, its JSON, or its end. Or a line of a transcript is no event.

    Attributes:
        offset: where in the stream the fault lies, in bytes from its first.
        events: what had been decoded before the fault; nothing that was read is lost.
        cut_short: whether the fault is that the stream ends too early, rather than what is in it.
    """

    def __init__(self, message: str, *, offset: int, events: Sequence[Event] = (), cut_short: bool = False) -> None:
        super().__init__(message)
        self.offset = offset
        self.events = list(events)
        self.cut_short = cut_short


class ScriptError(StreamrtError, ValueError):
    """A script says something no model could say, or a dialect cannot write."""


class ClockError(StreamrtError, RuntimeError):
    """Virtual time was asked for where it cannot be had, or asked to run backwards."""


class VirtualTimeStuck(StreamrtError):
    """A test on virtual time can make no more progress: a deadlock, a livelock, or a run past its bound."""


class LeftBehind(StreamrtError, AssertionError):
    """A block of code has left something behind that it began: a task, an async generator, an open response."""


class InferenceFailed(StreamrtError):
    """An awaited inference failed. `kind` is one of transport, provider, model, tool, limit."""

    KINDS: ClassVar[tuple[str, ...]] = ("transport", "provider", "model", "tool", "limit")

    def __init__(self, message: str, *, kind: str, inference: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.inference = inference


class WouldDeadlock(StreamrtError):
    """A handler, a tool or a model waits for something in the room that waits, in turn, for it.

    Attributes:
        cycle: who waits for whom, in order; the first is who began to wait last, and it is also the last in the list.
    """

    def __init__(self, message: str, *, cycle: Sequence[str]) -> None:
        super().__init__(message)
        self.cycle = tuple(cycle)


class TranscriptError(StreamrtError):
    """A question to the transcript makes no sense: no such source, or a time nobody measured."""


class CassetteError(StreamrtError):
    """A cassette cannot be read, written or used: missing, empty, cut short, of another version, or not JSON."""


class NotReplayable(CassetteError):
    """Playback was asked to go beyond what was recorded, as when the recording client closed half-way."""


class Unanswered(BaseException):
    """A request was made that nothing is to answer: base of `CassetteMiss`, `NetworkBlocked` and `ProviderMiss`.

    Raised itself where a function of `before_record_request` fails.

    Not an `Exception`, because SDKs retry those and wrap them as a connection error, and agents swallow them.
    """


class CassetteMiss(Unanswered):
    """A request has no recording."""


class NetworkBlocked(Unanswered):
    """A connection would have left this machine, and ``--streamrt-block-network`` is set."""


class ProviderMiss(Unanswered):
    """A fake provider was asked what it has no answer for: beyond its scripts, or in no API that it speaks."""
