"""A recorded exchange, as everybody here holds it: its request, its response, its chunks with their times, and its end."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, overload

from pytest_streamrt.transcript.exchange import How
from pytest_streamrt.wording import counted

__all__ = ["Chunks", "Headers", "Interaction", "RecordedChunk"]

_ASKING: Final = threading.Lock()

Headers = tuple[tuple[str, str], ...]
"""Pairs of name and value, in order, names as sent; a name may occur more than once."""


@dataclass(frozen=True)
class RecordedChunk:
    """A piece of a body, as one read from the socket gave it. `at` is microseconds since the cassette began."""

    at: int
    data: bytes


class Chunks(Sequence[RecordedChunk]):
    """The chunks of a body, held as two rows, because there may be very many of them.

    Attributes:
        data: what each was.
    """

    __slots__ = ("_seconds", "_times", "data")
    __hash__ = None  # type: ignore[assignment]  # it grows

    def __init__(self, times: Iterable[int] = (), data: Iterable[bytes] = ()) -> None:
        self._times = array("q", times)
        self._seconds = array("d")  # of the last ones, as they were read
        self.data = list(data)

    @property
    def times(self) -> array[int]:
        """When each came, in microseconds since the cassette began."""
        if self._seconds:
            with _ASKING:  # sync clients may ask from many threads
                self._times.extend([int(at * 1e6 + 0.5) for at in self._seconds])
                del self._seconds[:]
        return self._times

    @classmethod
    def of(cls, chunks: Iterable[RecordedChunk]) -> Chunks:
        """These chunks in this form."""
        if isinstance(chunks, Chunks):
            return chunks
        each = list(chunks)
        return cls((chunk.at for chunk in each), (chunk.data for chunk in each))

    def add(self, at: int, data: bytes) -> None:
        """Another chunk has come."""
        self.times.append(at)
        self.data.append(data)

    def add_read(self, seconds: Iterable[float], data: Iterable[bytes]) -> None:
        """More chunks, as a cassette has them: each with its time in seconds, which only a replay with times asks for.

        Raises:
            TypeError: a time is no number. Then nothing was added.
        """
        self._seconds.extend(array("d", seconds))
        self.data.extend(data)

    def later(self, by: int) -> Chunks:
        """The same, so many microseconds later."""
        return Chunks((at + by for at in self.times), self.data)

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, index: int) -> RecordedChunk: ...
    @overload
    def __getitem__(self, index: slice) -> list[RecordedChunk]: ...
    def __getitem__(self, index: int | slice) -> RecordedChunk | list[RecordedChunk]:
        if isinstance(index, slice):
            return [RecordedChunk(at, data) for at, data in zip(self.times[index], self.data[index], strict=True)]
        return RecordedChunk(self.times[index], self.data[index])

    def __iter__(self) -> Iterator[RecordedChunk]:
        return map(RecordedChunk, self.times, self.data)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Chunks):
            return self.data == other.data and self.times == other.times
        return list(self) == other if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'chunk')} of {counted(sum(map(len, self.data)), 'byte')}>"


@dataclass
class Interaction:
    """One exchange. All times are microseconds since the cassette began."""

    id: int
    at: int
    method: str
    url: str
    headers: Headers
    body: bytes
    status: int | None = None
    response_at: int = 0
    response_headers: Headers = ()
    chunks: Sequence[RecordedChunk] = field(default_factory=Chunks)
    how: How | None = None
    end_at: int = 0
    error: tuple[str, str] | None = None
    """The class name and the message of what the client's HTTP library raised."""
