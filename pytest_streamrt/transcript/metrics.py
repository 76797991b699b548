"""The times and amounts of a source: how long until it spoke, where it paused, how much it said and took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.items import FunctionCallOutput, Message
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import Event, InferenceStarted, ItemCompleted, TextDelta
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.transcript.abort import exchanges_of
from pytest_streamrt.transcript.readable import Readable
from pytest_streamrt.transcript.stories import Story, nanoseconds, told
from pytest_streamrt.transcript.times import duration
from pytest_streamrt.wording import counted, no_attribute

__all__ = ["Metrics", "Stall", "measure", "table_of"]


@dataclass(frozen=True)
class Stall:
    """Nothing came for a while: from `at`, in seconds since the transcript began, for so many `seconds`."""

    at: float
    seconds: float


@dataclass(frozen=True)
class _Inference:
    """One inference's events, from its start to its end or as far as it got."""

    story: Story
    events: list[Event]

    @property
    def began_ns(self) -> int:
        return nanoseconds(self.events[0])

    @property
    def said(self) -> list[Event]:
        """What came from the model: not its start, and not what it was given."""
        return [e for e in self.events if not isinstance(e, InferenceStarted) and not _was_given(e)]

    @property
    def deltas(self) -> list[Event]:
        return [event for event in self.events if event.type in DELTAS]


class Metrics:
    """What `Transcript.metrics` gives. Times are seconds, exact to the nanosecond on virtual time.

    Where times mean nothing (on real time, and of what was replayed instantly), they raise `TranscriptError`; so does what
    nobody could have measured, such as the bytes of an answer that came over no wire. ``str()`` gives a table of all.

    Attributes:
        source: whose they are.
        inferences: of how many inferences.
    """

    def __init__(self, transcript: Readable, source: str, inferences: Sequence[_Inference]) -> None:
        self.source = source
        self.inferences = len(inferences)
        self._inferences = inferences
        self._transcript = transcript
        self._untimed = transcript.untimed(source)

    if not TYPE_CHECKING:  # type checkers are to see a wrong name, and know nothing of this

        def __getattr__(self, name: str) -> NoReturn:
            __tracebackhide__ = True
            raise AttributeError(no_attribute(self, name, {}))

    def __repr__(self) -> str:
        return f"<Metrics of {self.source!r}, {counted(self.inferences, 'inference')}, {counted(self.deltas, 'delta')}>"

    def __str__(self) -> str:
        return table_of([self])

    @property
    def time_to_first_event(self) -> float:
        """From the start of the (first) inference to the first event of its model's, of whatever kind."""
        self._require_times()
        first = self._inferences[0]
        return self._since_start(first, first.said, "event")

    @property
    def time_to_first_text(self) -> float:
        """From the start of the (first) inference to its first text delta; `ttft` is the same."""
        self._require_times()
        first = self._inferences[0]
        return self._since_start(first, [e for e in first.said if isinstance(e, TextDelta)], "text")

    @property
    def ttft(self) -> float:
        """`time_to_first_text`."""
        return self.time_to_first_text

    @property
    def gaps(self) -> tuple[float, ...]:
        """The time between each delta and the next of its inference, in order."""
        self._require_times()
        return tuple(
            (nanoseconds(later) - nanoseconds(earlier)) / NS
            for each in self._inferences
            for earlier, later in pairwise(each.deltas)
        )

    @property
    def max_gap(self) -> float:
        """The longest of the `gaps`.

        Raises:
            TranscriptError: there were fewer than two deltas, and so no gap.
        """
        gaps = self.gaps
        if not gaps:
            raise TranscriptError(f"{self.source!r} has {counted(self.deltas, 'delta')}, and so no gap between two")
        return max(gaps)

    def stalls(self, over: float) -> list[Stall]:
        """Where nothing came for longer than so many seconds, from the start of an inference to its end.

        The wait for the first event counts, and so does that for the end; of one that has not ended, the time until now.
        """
        __tracebackhide__ = True
        limit = duration("stalls(over=…)", over)
        self._require_times()
        stalls = []
        for each in self._inferences:
            moments = [each.began_ns, *map(nanoseconds, each.said)]
            if each.events[-1].type not in TERMINALS:
                moments.append(round(self._transcript.elapsed() * NS))
            stalls += [Stall(a / NS, (b - a) / NS) for a, b in pairwise(moments) if b - a > limit]
        return stalls

    @property
    def deltas(self) -> int:
        """How many deltas there were, of whatever kind."""
        return sum(len(each.deltas) for each in self._inferences)

    @property
    def characters(self) -> int:
        """How many characters of text were said."""
        return sum(len(e.text) for each in self._inferences for e in each.events if isinstance(e, TextDelta))

    @property
    def wire_bytes(self) -> int:
        """How many bytes of HTTP bodies were read for it.

        Raises:
            TranscriptError: no HTTP exchange carried it.
        """
        exchanges = [x for each in self._inferences for x in exchanges_of(self._transcript, each.story)]
        if not exchanges:
            raise TranscriptError(f"no HTTP exchange carried {self.source!r}: there was no wire")
        return sum(exchange.read_bytes for exchange in exchanges)

    @property
    def tokens(self) -> int:
        """How many tokens were written, in the provider's count.

        Raises:
            TranscriptError: the provider did not say.
        """
        total = 0
        for each in self._inferences:
            said = Fold()
            for event in each.events:
                said.add(event)
            if said.usage is None:
                msg = f"nobody said how many tokens {self.source!r} wrote: no usage was reported. "
                raise TranscriptError(msg + "In a script say so: usage(input, output)")
            total += said.usage.output_tokens
        return total

    @property
    def tokens_per_second(self) -> float:
        """The `tokens`, over the time from the first to the last delta of each inference.

        Raises:
            TranscriptError: the provider did not say how many, or all came at one instant.
        """
        self._require_times()
        tokens = self.tokens
        ns = sum(nanoseconds(each.deltas[-1]) - nanoseconds(each.deltas[0]) for each in self._inferences if each.deltas)
        if not ns:
            raise TranscriptError(f"all that {self.source!r} said came at one instant, and so at no speed")
        return tokens * NS / ns

    def _since_start(self, inference: _Inference, events: Sequence[Event], what: str) -> float:
        if not events:
            raise TranscriptError(f"no {what} came from {self.source!r}")
        return (nanoseconds(events[0]) - inference.began_ns) / NS

    def _require_times(self) -> None:
        if self._untimed is not None:
            raise TranscriptError(f"the times of {self.source!r} were not measured: {self._untimed}")


def measure(transcript: Readable, source: str, inference: int | None) -> Metrics:
    """See `Transcript.metrics`."""
    __tracebackhide__ = True
    transcript.of(source)  # complains where there is no such source
    found: dict[Story, list[Event]] = {}
    for each in told(transcript.logged, source):
        if each.story is None or not (each.event.inference_seq or each.story in found):
            continue
        if isinstance(each.event, InferenceStarted) or each.story in found:
            found.setdefault(each.story, []).append(each.event)
    inferences = [_Inference(story, [e for e in events if e.inference_seq]) for story, events in found.items()]
    if not inferences:
        raise TranscriptError(f"{source!r} had no inference, and so there is nothing to measure")
    if inference is not None:
        if not is_whole(inference, 1, len(inferences)):
            raise TranscriptError(
                f"{source!r} has {counted(len(inferences), 'inference')}, numbered from 1 on, and no number {inference!r}"
            )
        inferences = [inferences[inference - 1]]
    return Metrics(transcript, source, inferences)


_ROWS: Final = (
    ("inferences", ""),
    ("time_to_first_event", "s"),
    ("time_to_first_text", "s"),
    ("max_gap", "s"),
    ("deltas", ""),
    ("characters", ""),
    ("wire_bytes", ""),
    ("tokens", ""),
    ("tokens_per_second", ""),
)
_UNKNOWN: Final = "-"


def table_of(metrics: Sequence[Metrics]) -> str:
    """The metrics of several sources side by side; a dash is what nobody could have measured, with the reasons below."""
    rows = [["", *(each.source for each in metrics)]]
    reasons: dict[str, None] = {}
    for name, unit in _ROWS:
        row = [name]
        for each in metrics:
            try:
                value = getattr(each, name)
            except TranscriptError as error:
                row.append(_UNKNOWN)
                reasons[f"- {name}: {error}"] = None
            else:
                row.append(f"{value:.9g} {unit}".rstrip())
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([*(line.rstrip() for line in lines), *([""] if reasons else []), *reasons])


def _was_given(event: Event) -> bool:
    return isinstance(event, ItemCompleted) and isinstance(event.item, Message | FunctionCallOutput)
