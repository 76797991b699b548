"""The one log of a test: everything that happened, in order, with times. What can be asked of it is in `questions`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pytest_streamrt.clock import NS, VirtualClock, active_clock, now_ns
from pytest_streamrt.clock.current import real_ns, running_clocks
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.types import Event, InferenceStarted, Mark, stamp
from pytest_streamrt.providers import detect
from pytest_streamrt.runtime.acting import acting
from pytest_streamrt.transcript.adapters.decoding import Decode, adapter_for
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.explain import no_such_source
from pytest_streamrt.transcript.questions import Questions
from pytest_streamrt.transcript.recording import Recording
from pytest_streamrt.transcript.tap import check_stream, tapped
from pytest_streamrt.wording import counted

__all__ = ["Transcript"]

_Stream = TypeVar("_Stream")


_Entry = Event | Exchange
"""One thing that was logged: an event, or an exchange, on which the next thing has happened, to be decoded when read."""


class _Tests:
    """The test itself, as the origin of its marks."""


_TEST: Final = _Tests()


class Transcript(Questions):
    """Everything that happened in a test, in order. Under pytest, the fixture `transcript` is the test's own.

    Environments, fakes, cassettes and the test's own marks all write to it; nothing is ever changed or removed. Bytes of
    HTTP streams are logged as they pass and decoded when somebody reads.

    Times are seconds since the transcript began: since it was made, or since virtual time was switched on after that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._clock: VirtualClock | None = active_clock()
        self._began = now_ns()
        # An entry, its origin, an entry, its origin, …: threads may write at once, so both go in at once. And no pair is made for
        # each, which would keep the garbage collector busy.
        self._rows: list[Any] = []
        self._read_entries = 0
        self._events: list[Event] = []
        self._origins: list[object] = []  # of each event: the environment, exchange or test that numbered it
        self._places: list[int] = []  # of each event: the entry that it came in
        self._numbers: dict[int, tuple[int, int]] = {}  # of each exchange: the last seq and inference_seq given
        self._exchanges: list[Exchange] = []
        self._asked: dict[tuple[str, str, bytes], Exchange] = {}  # the last one of each request
        self._names: dict[str, int] = {}
        self._recorded: dict[str, int] = {}  # how many streams were recorded under each source

    def __repr__(self) -> str:
        return f"<Transcript of {counted(len(self.events), 'event')} from {', '.join(self.sources) or 'nobody'}>"

    # Writing.

    @property
    def virtual(self) -> bool:
        """Whether its times are virtual, and so mean the same on every run."""
        return self._clock is not None

    def elapsed(self) -> float:
        """Seconds since it began."""
        if (
            self._clock is None and not running_clocks
        ):  # on real time, where each step tells: it is asked for each event
            return (real_ns() - self._began) / NS
        return self._elapsed_ns() / NS

    def log(self, event: Event, origin: object) -> None:
        """Write down a stamped event. `origin` is who numbered it: events of one origin are one order."""
        # As of `elapsed`, by which the event has its time: to read the clock again would take as long as all else.
        clock = self._clock
        if clock is not None:
            clock.progress()
        self._rows.extend((event, origin))

    def note(self, exchange: Exchange, happening: object) -> None:
        """Write down something that happened on an exchange. For `Exchange` alone."""
        clock = active_clock()
        if clock is not None:
            clock.progress()
        self._take_down(exchange, happening, self._elapsed_ns())

    def _take_down(self, exchange: Exchange, happening: object, ns: int) -> None:
        exchange.noted_at.append(ns)
        exchange.noted.append(happening)
        self._rows.extend((exchange, exchange))

    def begin_exchange(
        self, method: str, url: str, body: bytes = b"", *, inference: str | None = None, instant: bool = False
    ) -> Exchange:
        """Log that an HTTP request is being made. The exchange that is returned takes down the rest.

        Args:
            method: the HTTP method.
            url: the request's URL.
            body: the request's body.
            inference: the id of the runtime's inference that makes the request, if one does.
            instant: whether it is a recording played without its times.
        """
        name = detect(method, url) or "http"
        if inference is None:
            number = self._names[name] = self._names.get(name, 0) + 1
            source = name if number == 1 else f"{name}#{number}"
        else:
            source = inference.rpartition("/")[0]
        exchange = Exchange(
            self,
            source,
            method=method,
            url=url,
            body=body,
            inference=inference,
            room=self._room_of(inference) if inference is not None else None,
            instant=instant,
        )
        asked = (method, url, body)
        before = self._asked.get(asked)
        if before is not None and before.has_failed:
            exchange.retry_of = before.source
        self._asked[asked] = exchange
        self._exchanges.append(exchange)
        return exchange

    def mark(self, name: str) -> Mark:
        """Name this point in time, for ``expect(…, since=mark)``.

        Raises:
            TranscriptError: that is no name.
        """
        __tracebackhide__ = True
        if not isinstance(name, str) or not name:
            raise TranscriptError(f"mark(name): a mark has a name, such as 'half-time', and not {name!r}")
        mark = Mark(name, time=self.elapsed(), source="test")
        self.log(mark, _TEST)
        return mark

    def record(self, stream: _Stream, *, source: str, decode: Decode | None = None) -> _Stream:
        """Hand a stream on untouched, and log what passes.

        What is returned does what the stream does and has its attributes: an iterator, an SDK's stream, or a context manager
        of one, sync or async. Pieces of the openai and anthropic SDKs, of openai-agents, pydantic-ai and LangChain are known
        by their shape; strings, and bytes of UTF-8, are text; a piece that nobody knows is logged as a `provider.event`.

        It is an inference of its source, which starts now. It is completed when the stream ends, fails when that raises, and
        is aborted by "client" when whoever reads it closes it, leaves its context, or is cancelled while it waits for it.

        Args:
            stream: what is to be read.
            source: its name in the transcript.
            decode: for pieces that have to be read first, such as the bytes or lines of an endpoint: the name of a dialect, or
                a function that is given each piece and gives an event, several, text, or None. What a function raises is the
                failure of the inference, and does not reach whoever reads the stream.

        Raises:
            TypeError: this is no stream, or `decode` is no function; it says what to do.
            TranscriptError: there is no such dialect, or the source has no name.
        """
        __tracebackhide__ = True
        check_stream(stream)
        if not isinstance(source, str) or not source:
            raise TranscriptError(f"record(source=…): a source has a name, such as 'agent', and not {source!r}")
        adapter = adapter_for(decode, stream)
        number = self._recorded[source] = self._recorded.get(source, 0) + 1
        recorded: _Stream = tapped(stream, Recording(self, source, f"{source}/{number}", adapter))
        return recorded

    # Reading.

    @property
    def events(self) -> tuple[Event, ...]:
        """Every event so far, in the order in which it happened."""
        self._read()
        return tuple(self._events)

    @property
    def logged(self) -> tuple[tuple[object, Event], ...]:
        """Every event so far with its origin: the environment, exchange or test that numbered it."""
        self._read()
        return tuple(zip(self._origins, self._events, strict=True))

    @property
    def recorded(self) -> frozenset[str]:
        """The sources that were recorded with `record`."""
        return frozenset(self._recorded)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every HTTP exchange so far, in the order of the requests."""
        return tuple(self._exchanges)

    @property
    def sources(self) -> tuple[str, ...]:
        """Everyone who has emitted an event, in order of appearance; marks have no source worth naming."""
        return tuple(dict.fromkeys(event.source for event in self.events if not isinstance(event, Mark)))

    def of(self, source: str) -> tuple[Event, ...]:
        """The events of one source.

        Raises:
            TranscriptError: there is no such source; it says which there are.
        """
        __tracebackhide__ = True
        events = tuple(event for event in self.events if event.source == source)
        if not events:
            raise TranscriptError(no_such_source(source, self.sources))
        return events

    def deltas_read(self, exchange: Exchange, since: Event) -> list[int]:
        """When deltas were read off that exchange after an event, in nanoseconds: one entry for each delta."""
        self._read()
        after = self._places[next(i for i, event in enumerate(self._events) if event is since)]
        places = [i for i, entry in enumerate(self._rows[::2]) if entry is exchange]
        chunks = [(places[n], ns) for n, ns in exchange.chunk_times()]
        if not any(i > after for i, _ in chunks):
            return []
        counts = exchange.deltas_by_chunk()
        return [ns for (i, ns), n in zip(chunks, counts, strict=True) for _ in range(n) if i > after]

    def _room_of(self, inference: str) -> object:
        """The environment of an inference that makes a request: the one it runs in here, or the last to have such a one."""
        running = acting.get().inference
        if running is not None and running.id == inference:
            return running._environment
        for place in range(len(self._rows) - 2, -1, -2):
            entry, origin = self._rows[place : place + 2]
            if isinstance(entry, InferenceStarted) and entry.inference == inference:
                return origin
        return None

    def _elapsed_ns(self) -> int:
        clock = active_clock()
        if clock is None:
            # After virtual time has been switched off, what is left of a test happens at its last instant.
            return real_ns() - self._began if self._clock is None else self._clock.ns - self._began
        if clock is not self._clock:
            self._clock, self._began = clock, 0  # it begins anew with the clock of the test's body
        return clock.ns - self._began

    def _read(self) -> None:
        """Decode what has been logged since the last time."""
        while 2 * self._read_entries < len(self._rows):
            place = self._read_entries
            entry, origin = self._rows[2 * place : 2 * place + 2]
            self._read_entries += 1
            for event in self._events_of(entry):
                self._events.append(event)
                self._origins.append(origin)
                self._places.append(place)

    def _events_of(self, entry: _Entry) -> Iterator[Event]:
        if isinstance(entry, Event):
            yield entry
            return
        exchange = entry
        ns, events = exchange.read()
        for event in events:
            seq, inference_seq = self._numbers.get(id(exchange), (0, 0))
            seq += 1
            of_inference = exchange.inference is None and not event.type.startswith("exchange.")
            inference_seq += of_inference
            self._numbers[id(exchange)] = seq, inference_seq
            yield stamp(
                event,
                seq=seq,
                time=ns / NS,
                source=exchange.source,
                inference=exchange.inference or (exchange.source if exchange.dialect is not None else None),
                inference_seq=inference_seq if of_inference else 0,
                round=1 if of_inference else 0,
            )
