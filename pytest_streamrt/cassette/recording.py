"""One exchange while it is being recorded, and the lines of a cassette that tell of exchanges in their true order."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from operator import itemgetter

from pytest_streamrt.cassette.format import (
    chunk_line,
    end_line,
    request_line,
    response_line,
)
from pytest_streamrt.cassette.interaction import Chunks, Interaction
from pytest_streamrt.clock.current import real_ns
from pytest_streamrt.transcript.exchange import Exchange, How

__all__ = ["Recording", "lines_of"]


class Recording:
    """One exchange while it is being recorded. Times are real: it is a real server that is being watched."""

    def __init__(self, interaction: Interaction, began: int, exchange: Exchange) -> None:
        self._interaction = interaction
        self._began = began
        self._exchange = exchange
        self._times = array("q")
        self._data: list[bytes] = []
        interaction.at = self._now()

    def opened(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The response's head has arrived."""
        self._interaction.status = status
        self._interaction.response_at = self._now()
        self._interaction.response_headers = tuple(headers)
        self._exchange.opened(status, headers)

    def chunk(self, data: bytes) -> None:
        """A chunk has arrived. See `tee.Tape`."""
        self._times.append((real_ns() - self._began) // 1_000)
        self._data.append(data)
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
        self._interaction.chunks = Chunks(self._times, self._data)
        return self._interaction

    def _now(self) -> int:
        return (real_ns() - self._began) // 1_000


def lines_of(done: Iterable[Interaction]) -> Iterator[bytes]:
    """The lines of a cassette with these exchanges, in the order in which everything happened."""
    return map(itemgetter(1), merge(*map(_timed, done), key=itemgetter(0)))


def _timed(each: Interaction) -> Iterator[tuple[int, bytes]]:
    yield each.at, request_line(each)
    if each.status is not None:
        yield each.response_at, response_line(each)
    chunks = Chunks.of(each.chunks)
    for at, data in zip(chunks.times, chunks.data, strict=True):
        yield at, chunk_line(each, at, data)
    yield each.end_at, end_line(each)
