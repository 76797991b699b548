"""What can be asked of a transcript: expectations, orders, laws, leaks, times, drawings. It is read here, never written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.fold import Fold
from pytest_streamrt.events.types import Event, InferenceAborted, Mark
from pytest_streamrt.transcript.abort import AbortTiming, abort_timing
from pytest_streamrt.transcript.expect import Expectation
from pytest_streamrt.transcript.explain import show_event
from pytest_streamrt.transcript.hidden import Selection
from pytest_streamrt.transcript.laws import LawReport, check_laws
from pytest_streamrt.transcript.leakage import Leak, check_leaks, tell
from pytest_streamrt.transcript.likeness import likeness_of
from pytest_streamrt.transcript.marbles import draw_marbles
from pytest_streamrt.transcript.metrics import Metrics, measure, table_of
from pytest_streamrt.transcript.order import check_order
from pytest_streamrt.transcript.readable import Readable
from pytest_streamrt.transcript.stories import told

__all__ = ["Questions"]


class Questions(Readable):
    """The questions; `Transcript` is what they are put to."""

    def __init__(self) -> None:
        self._chains: list[Expectation] = []
        self._leaks: list[Leak] = []
        self._secrets: dict[str, bool] = {}

    def __eq__(self, other: object) -> bool:
        """Whether the same happened, at the same times if both are virtual; ids and the like do not matter."""
        if not isinstance(other, Questions):
            return NotImplemented
        timed = self.virtual and other.virtual
        return likeness_of(self.events, timed=timed) == likeness_of(other.events, timed=timed)

    __hash__ = None  # type: ignore[assignment]  # it grows, and with it what it equals

    def text(self, source: str) -> str:
        """All the text that a source said. For its reasoning, tool calls and usage: ``fold(transcript.of(source))``."""
        __tracebackhide__ = True
        self.of(source)  # complains where there is no such source
        said: dict[object, Fold] = {}  # several inferences at once want a fold each
        for each in told(self.logged, source):
            said.setdefault(each.story, Fold()).add(each.event)
        return "".join(fold.text for fold in said.values())

    def expect(self, source: str, *, since: Mark | str | None = None) -> Expectation:
        """Begin a chain of expectations on a source, from its beginning, or from a mark on: itself, or its name.

        Each step consumes what it expects, and fails at once where something else comes. A chain is to end with
        `nothing_more()` or `rest()`; under pytest, one that does not fails the test at its end.
        """
        __tracebackhide__ = True
        frame = sys._getframe(1)
        location = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        chain = Expectation(self, source, location=location, since=since)
        self._chains.append(chain)
        return chain

    def unfinished(self) -> list[str]:
        """What is wrong with the chains begun so far: those that say neither `nothing_more()` nor `rest()`."""
        return [
            f"the chain of expectations on {chain.source!r} at {chain.location} is not finished: end it with "
            ".nothing_more(), or with .rest() if what follows does not matter"
            for chain in self._chains
            if not chain.finished
        ]

    def assert_lawful(self, skip: Collection[int] = ()) -> LawReport:
        """Check the laws of the runtime that this transcript has evidence for; see "Laws" in the documentation.

        Args:
            skip: numbers of laws not to check.

        Returns:
            Which laws were checked, and which could not be, and why.

        Raises:
            AssertionError: a law is broken; it says which, by which events.
        """
        __tracebackhide__ = True
        report = check_laws(self.logged, skip)
        if report.broken:
            raise AssertionError(str(report))
        return report

    def assert_no_leak(
        self,
        *,
        hidden: Iterable[str | Selection],
        visible: str | Iterable[str],
        min_quote: int = 40,
        normalise: bool = False,
        allow_empty: bool = False,
    ) -> None:
        """Check that nothing hidden was shown, however it was cut into deltas.

        Looked at is all that a visible source emits: text, reasoning, tool calls and their results, statuses, signals,
        failures, and the strings in what no dialect could map; the text of one kind in one inference is one text. A
        selection is not looked for in the very texts it selects.

        Args:
            hidden: literal secrets, and selections of texts, such as ``hidden.reasoning()``.
            visible: the source, or sources, that must not show them; or a text, told by the white space in it.
            min_quote: how many characters in a row of a selected text count as a quote of it.
            normalise: compare through disguises: case, white space, Unicode compatibility forms, invisible characters.
            allow_empty: let the check pass where it could find nothing, because nothing is selected or visible.

        Raises:
            AssertionError: something hidden was shown; it says what, where, when and in which delta, with secrets masked.
                Or the check could not fail.
        """
        __tracebackhide__ = True
        if isinstance(hidden, Iterable) and not isinstance(hidden, str):  # else it is refused below
            hidden = list(hidden)
            for secret in hidden:
                if isinstance(secret, str):
                    self._secrets[secret] = normalise or self._secrets.get(secret, False)
        leaks = check_leaks(
            self.logged,
            self.exchanges,
            self.sources,
            hidden=hidden,
            visible=visible,
            min_quote=min_quote,
            normalise=normalise,
            allow_empty=allow_empty,
        )
        if leaks:
            self._leaks += leaks
            raise AssertionError(tell(leaks))

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """What `assert_no_leak` has found so far."""
        return tuple(self._leaks)

    @property
    def secrets(self) -> Mapping[str, bool]:
        """The literal secrets that `assert_no_leak` was given so far, each with whether it was to see through disguises.

        What a failing test shows, but for its source, and its page, do without them.
        """
        return dict(self._secrets)

    def marbles(self, frame: float | None = None) -> str:
        """Draw it: a line for each source on one time axis, with a legend. See `draw_marbles` for the signs.

        Args:
            frame: seconds for each column; by default what makes the drawing fit.
        """
        __tracebackhide__ = True
        return draw_marbles(self.events, frame)

    def order(self, *moments: Expectation | Event | Callable[[Event], bool]) -> None:
        """Check that these happened one after the other, whoever the sources are.

        On virtual time many things share an instant; what counts is the order in which they were logged.

        Args:
            moments: two or more, each a chain of expectations (the last event that its last step consumed), an event, a
                mark, or a predicate: then the first event after the moment before of which it is true.

        Raises:
            AssertionError: one did not come after the one before it, or nothing of the kind came at all.
            TranscriptError: fewer than two are given, or what is given is not of this transcript.
        """
        __tracebackhide__ = True
        check_order([event for _, event in self.logged], moments)

    def metrics(self, source: str, *, inference: int | None = None) -> Metrics:
        """The times and amounts of a source. ``str()`` of it is a table.

        Args:
            source: whose.
            inference: the number of the one inference to measure, from 1; by default all of them together.

        Raises:
            TranscriptError: there is no such source, or no such inference of it.
        """
        __tracebackhide__ = True
        return measure(self, source, inference)

    def metrics_table(self, *sources: str) -> str:
        """The metrics of several sources side by side; by default of all that had an inference."""
        spoke = dict.fromkeys(event.source for event in self.events if event.inference_seq)
        return table_of([measure(self, source, None) for source in sources or spoke])

    def abort_timing(self, source: str, *, decision: Mark | None = None) -> AbortTiming:
        """How fast an abort of a source took hold: its last one.

        Args:
            source: whose inference was aborted.
            decision: where it was decided, if that was before the abort itself.

        Raises:
            TranscriptError: no inference of that source was aborted.
        """
        __tracebackhide__ = True
        aborts = [event for event in self.of(source) if isinstance(event, InferenceAborted)]
        if not aborts:
            last = self.of(source)[-1]
            raise TranscriptError(f"no inference of {source!r} was aborted; the last it did: {show_event(last)}")
        return abort_timing(self, aborts[-1], decision)

    def untimed(self, source: str) -> str | None:
        """Why times of that source mean nothing, or None if they do."""
        if not self.virtual:
            return (
                "the test ran on real time, where no two runs agree. Put it on virtual time: @pytest.mark.virtual_time"
            )
        if any(exchange.instant and exchange.source == source for exchange in self.exchanges):
            return (
                f"{source!r} was replayed instantly, without its recorded times. "
                'Replay it with them: @pytest.mark.streamrt(timing="recorded")'
            )
        if source in self.recorded and any(exchange.instant for exchange in self.exchanges):
            return (
                f"what {source!r} passes on was replayed instantly, without its recorded times. "
                'Replay it with them: @pytest.mark.streamrt(timing="recorded")'
            )
        return None
