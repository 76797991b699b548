"""One exchange while it is being recorded, and the lines of a cassette that tell of exchanges in their true order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pytest_streamrt.cassette.format import (
    Interaction,
    RecordedChunk,
    chunk_line,
    end_line,
    request_line,
    response_line,
)
from pytest_streamrt.transcript.exchange import Exchange, How

__all__ = ["Recording", "lines_of"]

_real_ns: Final = time.monotonic_ns


class Recording:
    """One exchange while it is being recorded. Times are real: it is a real server that is being watched."""

    def __init__(self, interaction: Interaction, began: int, exchange: Exchange) -> None:
        self._interaction = interaction
        self._began = began
        self._exchange = exchange
        interaction.at = self._now()

    def opened(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The response's head has arrived."""
        self._interaction.status = status
        self._interaction.response_at = self._now()
        self._interaction.response_headers = tuple(headers)
        self._exchange.opened(status, headers)

    def chunk(self, data: bytes) -> None:
        """A chunk has arrived. See `tee.Tape`."""
        self._interaction.chunks.append(RecordedChunk(self._now(), data))
        self._exchange.chunk(data)

    def ended(self, how: How, error: Exception | None = None) -> None:
        """The exchange has ended. Only the first call counts. See `tee.Tape`."""
        interaction = self._interaction
        if interaction.how is not None:
            return
        self._exchange.closed(how, message=str(error) if error is not None else "")
        interaction.how = self._exchange.how
        interaction.end_at = self._now()
        if error is not None:
            interaction.error = (type(error).__name__, str(error))

    def finished(self) -> Interaction:
        """What was recorded. A response that nobody closed ends here, as if its client had closed it."""
        self.ended("client")
        return self._interaction

    def _now(self) -> int:
        return (_real_ns() - self._began) // 1_000


def lines_of(done: Iterable[Interaction]) -> list[dict[str, Any]]:
    """Everything to be written, in the order in which it happened."""
    timed: list[tuple[int, dict[str, Any]]] = []
    for each in done:
        timed.append((each.at, request_line(each)))
        if each.status is not None:
            timed.append((each.response_at, response_line(each)))
        timed += [(chunk.at, chunk_line(each, chunk)) for chunk in each.chunks]
        timed.append((each.end_at, end_line(each)))
    return [line for _, line in sorted(timed, key=lambda pair: pair[0])]
