"""The playing side of a recorded exchange: what was recorded, at the recorded times, to its recorded end."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pytest_streamrt.cassette.interaction import Chunks, Interaction, RecordedChunk
from pytest_streamrt.cassette.played import AT_ONCE, NEVER, Played
from pytest_streamrt.errors import NotReplayable
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.wording import counted

__all__ = ["Playback"]

__tracebackhide__ = True  # what is raised through here is as if a real transport stood here


class Playback(Played):
    """One playing of a recorded exchange, to one request of httpx or httpx2, which began when this was made.

    Args:
        library: the client's HTTP library.
        transport: its transport, whose connections this uses.
        request: its request.
        interaction: what was recorded.
        chunks: the recorded body, perhaps cut anew.
        speed: how much faster than recorded, or None for at once.
        exchange: where the transcript takes it down.
        name: what to call the recording in an error.
    """

    def __init__(
        self,
        library: ModuleType,
        transport: Any,
        request: Any,
        interaction: Interaction,
        chunks: Sequence[RecordedChunk],
        *,
        speed: float | None,
        exchange: Exchange | None,
        name: str,
    ) -> None:
        super().__init__(library, transport, request, exchange=exchange)
        self.interaction = interaction
        played = Chunks.of(chunks)
        self._data, self._times = played.data, played.times
        self._speed = speed
        self._name = name

    @property
    def status(self) -> int | None:
        """The recorded status."""
        return self.interaction.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The recorded headers."""
        return self.interaction.response_headers

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self._data)

    def data_of(self, chunk: int) -> bytes:
        """That chunk."""
        return self._data[chunk]

    def due_of_head(self) -> tuple[int, str]:
        """When the head was recorded, or the error that came instead."""
        recorded = self.interaction
        if recorded.status is not None:
            return self._at(recorded.response_at), "read"
        connecting = recorded.error is not None and recorded.error[0].startswith("Connect")
        return self._at(recorded.end_at), "connect" if connecting else "read"

    def due_of(self, chunk: int) -> int:
        """When that chunk was recorded."""
        return self._at(self._times[chunk])

    def due_of_end(self) -> int:
        """When the end was recorded."""
        return self._at(self.interaction.end_at)

    def finish(self) -> None:
        """End as the recorded exchange did."""
        recorded = self.interaction
        if recorded.how == "client":
            # What would have followed is unknown. A polite end would make a cut answer look like a whole one.
            self.close("client")
            msg = (
                f"{self._name} ends here: the client that recorded it closed the response after "
                f"{counted(len(recorded.chunks), 'chunk')}, and this client reads on. Record it again with the client of today: "
                "pytest --streamrt-record=rewrite"
            )
            raise NotReplayable(msg)
        self.close(recorded.how or "complete", recorded.error[1] if recorded.error else "")
        if recorded.error is not None:
            raise self.error_of(*recorded.error)

    def _at(self, recorded: int) -> int:
        """That recorded time, in microseconds, as a time of the playing."""
        if recorded == NEVER:
            return NEVER
        if self._speed is None:
            return AT_ONCE
        return round((recorded - self.interaction.at) * 1_000 / self._speed)
