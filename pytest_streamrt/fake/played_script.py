"""One answer of a fake provider while a client takes it: what is due, what is out, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pytest_streamrt.cassette.played import Played
from pytest_streamrt.fake.calls import ProviderCall
from pytest_streamrt.fake.emissions import Emissions
from pytest_streamrt.fake.performance import Performance
from pytest_streamrt.transcript.exchange import Exchange, How

__all__ = ["PlayedScript"]

__tracebackhide__ = True  # what is raised through here is as if a real transport stood here


class PlayedScript(Played):
    """One playing of a script to one request."""

    def __init__(
        self,
        library: ModuleType,
        transport: Any,
        request: Any,
        performance: Performance,
        exchange: Exchange,
        call: ProviderCall | None,
        emissions: Emissions,
        *,
        answers_as: ModuleType | None,
    ) -> None:
        super().__init__(library, transport, request, exchange=exchange, answers_as=answers_as, hold=emissions.hold)
        self._performance = performance
        self._deltas_out = performance.deltas_out()
        self._call = call
        self._emissions = emissions

    @property
    def status(self) -> int | None:
        """The performance's."""
        return self._performance.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """The performance's."""
        return self._performance.headers

    @property
    def count(self) -> int:
        """How many chunks its body has."""
        return len(self._performance.chunks)

    def data_of(self, chunk: int) -> bytes:
        """That chunk."""
        return self._performance.chunks[chunk][1]

    def due_of_head(self) -> tuple[int, str]:
        """When the head comes, or the error that comes instead."""
        return self._performance.head_at, "read"

    def due_of(self, chunk: int) -> int:
        """When that chunk comes."""
        return self._performance.chunks[chunk][0]

    def due_of_end(self) -> int:
        """When the body ends."""
        return self._performance.end_at

    def deliver(self) -> bytes:
        """Give the client its next chunk, and count the deltas in it."""
        chunk = self._delivered
        data = super().deliver()
        if self._call is not None and self._deltas_out[chunk] > self._call.emitted:
            more = self._deltas_out[chunk] - self._call.emitted
            self._call.emitted += more
            self._emissions.add(more)
        return data

    def finish(self) -> None:
        """End as the performance does."""
        error = self._performance.error
        how: How = self._performance.how
        self.close(how, error[1] if error is not None else "")
        if error is not None:
            raise self.error_of(*error)
