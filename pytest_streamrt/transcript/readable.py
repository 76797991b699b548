"""What a transcript gives to those who ask it: the surface between the log and what reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pytest_streamrt.events.types import Event
from pytest_streamrt.transcript.exchange import Exchange

__all__ = ["Readable"]


class Readable(ABC):
    """A log that can be read. `Transcript` says what each of these is."""

    @property
    @abstractmethod
    def virtual(self) -> bool:
        """Whether its times are virtual."""

    @property
    @abstractmethod
    def events(self) -> tuple[Event, ...]:
        """Every event so far, in order."""

    @property
    @abstractmethod
    def logged(self) -> tuple[tuple[object, Event], ...]:
        """Every event so far, with its origin."""

    @property
    @abstractmethod
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every HTTP exchange so far."""

    @property
    @abstractmethod
    def sources(self) -> tuple[str, ...]:
        """Everyone who has emitted an event."""

    @property
    @abstractmethod
    def recorded(self) -> frozenset[str]:
        """The sources that were recorded with `record`."""

    @abstractmethod
    def of(self, source: str) -> tuple[Event, ...]:
        """The events of one source."""

    @abstractmethod
    def elapsed(self) -> float:
        """Seconds since it began."""

    @abstractmethod
    def deltas_read(self, exchange: Exchange, since: Event) -> list[int]:
        """When deltas were read off that exchange after an event, in nanoseconds."""

    @abstractmethod
    def untimed(self, source: str) -> str | None:
        """Why times of that source mean nothing, or None if they do."""
