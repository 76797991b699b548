"""How fast an abort took hold: what still came after the decision, when upstream was closed, what was never waited for."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.events.types import Event, ExchangeClosed, InferenceAborted, Mark
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.readable import Readable
from pytest_streamrt.transcript.stories import Story, nanoseconds, story_of

__all__ = ["AbortTiming", "abort_timing", "exchanges_of"]


@dataclass(frozen=True)
class AbortTiming:
    """What happened from the decision to abort on. Times are seconds; on real time they raise `TranscriptError`.

    Attributes:
        by: who aborted it.
        reason: why.
        deltas_after: deltas of the inference that came after the decision. It must be none.
        deltas_read_after: deltas of it that its client still read off the wire after that; None where there was no wire.
    """

    by: str
    reason: str
    deltas_after: int
    deltas_read_after: int | None
    _decided_ns: int = field(repr=False)
    _last_delta_ns: int | None = field(repr=False)
    _closed_ns: int | None = field(repr=False)
    _never_waited_for: int | None = field(repr=False)
    _untimed: str | None = field(repr=False)

    @property
    def decided_at(self) -> float:
        """When it was decided, in seconds since the transcript began."""
        self._require_times()
        return self._decided_ns / NS

    @property
    def to_last_delta(self) -> float:
        """Seconds from the decision to the last delta after it; 0.0 where none came."""
        self._require_times()
        return (self._last_delta_ns - self._decided_ns) / NS if self._last_delta_ns is not None else 0.0

    @property
    def to_upstream_closed(self) -> float:
        """Seconds from the decision to the closing of the connection; of several, the last.

        Raises:
            TranscriptError: there was no HTTP exchange, or it is still open.
        """
        self._require_times()
        self._require_wire()
        if self._closed_ns is None:
            raise TranscriptError("the upstream of this inference is still open: nothing has closed it")
        return (self._closed_ns - self._decided_ns) / NS

    @property
    def never_waited_for(self) -> int:
        """Deltas that were sent, or recorded, or scripted, and that the client never asked for.

        Raises:
            TranscriptError: there was no HTTP exchange.
        """
        self._require_wire()
        assert self._never_waited_for is not None
        return self._never_waited_for

    def _require_times(self) -> None:
        if self._untimed is not None:
            raise TranscriptError(f"the times of this abort were not measured: {self._untimed}")

    def _require_wire(self) -> None:
        if self._never_waited_for is None:
            raise TranscriptError("no HTTP exchange carried this inference, and so nobody can tell")


def exchanges_of(transcript: Readable, story: Story | None) -> list[Exchange]:
    """The exchanges that carried an inference."""
    exchanges = [exchange for exchange in transcript.exchanges if exchange.story == story]
    # What an agent asks elsewhere in the meantime may stay open: its answer does not come from there.
    return [exchange for exchange in exchanges if exchange.dialect is not None] or exchanges


def abort_timing(transcript: Readable, aborted: Event, decision: Mark | None = None) -> AbortTiming:
    """From the abort on, or from a mark before it at which it was decided."""
    assert isinstance(aborted, InferenceAborted)
    logged = transcript.logged
    origin = next(origin for origin, event in logged if event is aborted)
    story = story_of(origin, aborted)
    decided: Event = aborted if decision is None else decision
    at = next((i for i, (_, event) in enumerate(logged) if event is decided), None)
    if at is None:
        raise TranscriptError(f"{decision!r} is no mark of this transcript; use what transcript.mark(…) returned")
    after = [e for o, e in logged[at + 1 :] if e.type in DELTAS and story_of(o, e) == story]
    exchanges = exchanges_of(transcript, story)
    read = [ns for each in exchanges for ns in transcript.deltas_read(each, since=decided)]
    closings = [nanoseconds(e) for o, e in logged if isinstance(e, ExchangeClosed) and any(o is x for x in exchanges)]
    return AbortTiming(
        aborted.by,
        aborted.reason,
        len(after),
        len(read) if exchanges else None,
        nanoseconds(decided),
        max([*map(nanoseconds, after), *read], default=None),
        max(closings) if len(closings) == len(exchanges) and closings else None,
        sum(exchange.unread_deltas for exchange in exchanges) if exchanges else None,
        transcript.untimed(aborted.source),
    )
