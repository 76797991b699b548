"""A cassette as a transcript: what a client that read all that was recorded would have met, at its recorded times."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_streamrt.cassette.format import Interaction
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.log import Transcript

__all__ = ["retold"]


class _Retold(Transcript):
    """A transcript whose times are told to it."""

    at_ns = 0

    @property
    def virtual(self) -> bool:
        """They mean the same on every reading."""
        return True

    def _elapsed_ns(self) -> int:
        return self.at_ns

    def note(self, exchange: Exchange, happening: object) -> None:
        """Write it down at the time that was told."""
        self._take_down(exchange, happening, self.at_ns)


def retold(interactions: Iterable[Interaction]) -> Transcript:
    """The transcript of a cassette. Times are seconds since the cassette began."""
    transcript = _Retold()
    steps: list[tuple[int, Callable[[], object]]] = []
    for each in interactions:
        steps.extend(_steps(transcript, each))
    for at, step in sorted(steps, key=lambda pair: pair[0]):  # what comes at the same time stays in order
        transcript.at_ns = at * 1_000
        step()
    return transcript


def _steps(transcript: Transcript, each: Interaction) -> Iterable[tuple[int, Callable[[], object]]]:
    exchanges: list[Exchange] = []

    def begin() -> None:
        exchanges.append(transcript.begin_exchange(each.method, each.url, each.body))

    def head() -> None:
        assert each.status is not None
        exchanges[0].opened(each.status, each.response_headers)

    def end() -> None:
        message = ": ".join(each.error) if each.error is not None else ""
        exchanges[0].closed(each.how or "failed", message=message)

    yield each.at, begin
    if each.status is not None:
        yield each.response_at, head
    for chunk in each.chunks:
        yield chunk.at, lambda data=chunk.data: exchanges[0].chunk(data)  # type: ignore[misc]
    yield each.end_at, end
