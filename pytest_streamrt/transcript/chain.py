"""How a chain of expectations goes through the events of its source: what each step consumes, passes over, or fails on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn, Self

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import Event, Mark
from pytest_streamrt.transcript.explain import explain, no_such_source, show_event
from pytest_streamrt.transcript.readable import Readable
from pytest_streamrt.transcript.stories import Story, Told, nanoseconds, told
from pytest_streamrt.transcript.times import Times, When, when
from pytest_streamrt.transcript.values import agrees, asked
from pytest_streamrt.wording import counted

__all__ = ["ENDS", "STRICT", "Chain"]

ENDS: Final = ("aborted", "completed", "failed")
"""The steps for how an inference ends. One that begins a chain passes over what was said before: `nothing_more` minds."""

STRICT: Final = DELTAS | TERMINALS | {"citation", "signal", "tool.progress", "tool.result", "tool_call.started"}
"""What no chain passes over in silence. The rest (items, usage, status, the room, exchanges) counts where it is named."""


_MISSED: Final = 3  # events of the kind that was looked for, told in a message


class Chain:
    """The events of one source, and which of them have been consumed.

    Mostly they are consumed in their order. But what is said side by side (parallel tool calls, several choices, several
    inferences of one agent) comes interleaved, and a step consumes one of them, so that others are left behind it for
    the steps that name them.
    """

    def __init__(self, transcript: Readable, source: str, *, location: str, since: Mark | str | None) -> None:
        __tracebackhide__ = True
        self.source = source
        self.location = location
        self.finished = False
        self._transcript = transcript
        self._begun = False
        self._fresh = True  # whether no step has gone anywhere yet; to select an inference is no step
        self._everything: list[Told] = []
        mark = self._mark(transcript, since)
        self._told = self._select(transcript, source, mark)
        self._at = 0  # index of the first event that is neither consumed nor passed over
        self._taken: set[int] = set()  # indexes of those after it that are
        self._hand: Story | None = None
        self._moment: Event | None = None  # of the step before: the last event that it consumed
        self._before_end: int | None = None  # index of the first that an end which begins the chain has passed over
        self._step = ""  # the name of the step that is being taken
        self._described = ""  # what the test says of it
        self._previous_ns = nanoseconds(mark) if mark is not None else self._start_ns()

    def __repr__(self) -> str:
        left = sum(1 for _ in self._ahead())
        return f"<{type(self).__name__} on {self.source!r} at {self.location}, {counted(left, 'event')} to come>"

    def describe(self, what: str) -> Self:
        """Say what the next step is about; if it fails, its message begins with that."""
        __tracebackhide__ = True
        self._goes_on("describe")
        self._described = what
        return self

    @property
    def moment(self) -> Event:
        """The last event that the step before has consumed: where the chain stands, for `Transcript.order`.

        Raises:
            TranscriptError: no step has consumed an event yet.
        """
        if self._moment is None:
            msg = f"the chain on {self.source!r} at {self.location} has consumed no event, and so stands nowhere"
            raise TranscriptError(msg)
        return self._moment

    def _mark(self, transcript: Readable, since: Mark | str | None) -> Mark | None:
        __tracebackhide__ = True
        if not isinstance(since, str):
            return since
        marks = [event for event in transcript.events if isinstance(event, Mark)]
        found = [mark for mark in marks if mark.name == since]
        if not found:
            there = ", ".join(repr(mark.name) for mark in marks) or "none"
            self._refuse(TranscriptError(f"expect(since={since!r}): there is no mark of that name; there are: {there}"))
        return found[-1]

    def _select(self, transcript: Readable, source: str, since: Mark | None) -> list[Told]:
        __tracebackhide__ = True
        logged = transcript.logged
        before = 0
        if since is not None:
            position = next((i for i, (_, event) in enumerate(logged) if event is since), None)
            if position is None:
                msg = f"expect(since=…): {since!r} is no mark of this transcript; use what transcript.mark(…) returned"
                self._refuse(TranscriptError(msg))
            before = sum(event.source == source for _, event in logged[:position])
        self._everything = told(logged, source)
        if not self._everything:
            self._refuse(AssertionError(no_such_source(source, transcript.sources)))
        return self._everything[before:]

    def _start_ns(self) -> int:
        """When the inference started that speaks first; 0 where something else comes before any inference."""
        first = next((each for each in self._told if each.event.type in STRICT), self._told[0] if self._told else None)
        return (first.began_ns or 0) if first is not None else 0

    # Going on.

    def _ahead(self) -> Iterator[tuple[int, Told]]:
        """What has been neither consumed nor passed over, by index."""
        for i in range(self._at, len(self._told)):
            if i not in self._taken:
                yield i, self._told[i]

    def _counting(self) -> int:
        """The index of the next event that counts; that of the end where there is none."""
        return next((i for i, each in self._ahead() if each.event.type in STRICT), len(self._told))

    def _consume(self, indexes: Sequence[int]) -> int:
        """Consume these, and pass over what does not count before the last of them. Returns that."""
        last = max(indexes)
        self._begun, self._fresh = True, False
        self._taken.update(indexes)
        over = self._before_end is not None and self._told[last].event.type in TERMINALS
        self._taken.update(i for i in range(self._at, last) if over or self._told[i].event.type not in STRICT)
        while self._at in self._taken:
            self._taken.remove(self._at)
            self._at += 1
        self._hand = self._told[last].at_hand
        return last

    def _next(
        self,
        what: str,
        wanted: Callable[[Event], bool],
        *,
        note: str = "",
        choice: int | None = None,
        kind: str | None = None,
    ) -> int:
        """The index of the next event: the next that is wanted, provided that none that counts comes before it.

        Args:
            what: what is expected, for the message.
            wanted: whether an event is it.
            note: more of what came instead, for the message.
            choice: what is looked for is of that choice, and the other choices are no matter here.
            kind: the type of what is looked for, where such events may be passed over: then those that were are told.
        """
        __tracebackhide__ = True
        missed = [each.event for _, each in self._ahead() if each.event.type == kind]
        whole_answer = self._step in ENDS and self._fresh
        for i, each in self._ahead():
            if _of_another_choice(each.event, choice):
                continue
            if self._asked(wanted, each.event):
                return i
            if whole_answer and each.event.type in STRICT - TERMINALS:
                self._before_end = i if self._before_end is None else self._before_end
            elif each.event.type in STRICT:
                unwanted = i
                break
        else:
            unwanted = len(self._told) if whole_answer else self._counting()
        missed = [event for event in missed if self._index_of(event) < unwanted]
        if missed:
            note = f"\npassed over: {'; '.join(show_event(event) for event in missed[-_MISSED:])}"
        return self._fail(what, f"{self._show(unwanted)}{note}", unwanted)

    def _run(self, kind: type[Event], choice: int) -> list[int]:
        """The contiguous run of events of a kind that comes next, of one inference and choice, by index.

        What other choices and other inferences say in between does not end it: they speak at the same time.
        """
        run: list[int] = []
        story: Story | None = None
        for i, each in self._ahead():
            if _of_another_choice(each.event, choice) or (run and story and each.story and each.story != story):
                continue
            if isinstance(each.event, kind):
                run.append(i)
                story = each.story
            elif each.event.type in STRICT:
                break
        return run

    # Times.

    def _when(self, step: Callable[..., Any], times: Times) -> When:
        """The times given to a step, if they make sense and were measured."""
        __tracebackhide__ = True
        self._goes_on(step.__name__)
        try:
            wanted = when(step, times)
        except (TypeError, TranscriptError) as error:
            self._refuse(error)
        if wanted.asked:
            self._require_times(f"{step.__name__}() at a time")
        return wanted

    def _require_times(self, what: str) -> None:
        __tracebackhide__ = True
        why = self._transcript.untimed(self.source)
        if why is not None:
            self._refuse(TranscriptError(f"{what}: the times of {self.source!r} were not measured: {why}"))

    def _timed(self, what: str, each: Told, wanted: When, i: int | None) -> Self:
        """Check when a step happened, and remember it for the next one. `i` is where the message is to point."""
        __tracebackhide__ = True
        ns = nanoseconds(each.event)
        if wanted.at is not None and ns != wanted.at:
            self._fail(f"{what} at t={_s(wanted.at)} s", f"it at t={_s(ns)} s, {_off(ns - wanted.at)}", i)
        if wanted.after is not None:
            if each.began_ns is None:
                msg = f"{what}, after=…: no inference of {self.source!r} had started; use at= or within="
                self._refuse(TranscriptError(msg))
            took = ns - each.began_ns
            if took != wanted.after:
                self._fail(
                    f"{what} {_s(wanted.after)} s after the inference started",
                    f"it after {_s(took)} s, {_off(took - wanted.after)}",
                    i,
                )
        took = ns - self._previous_ns
        if wanted.within is not None and took > wanted.within:
            since = "the step before" if self._moment is not None else "the start"
            self._fail(f"{what} within {_s(wanted.within)} s of {since}", f"it {_s(took)} s after that", i)
        self._previous_ns = max(ns, self._previous_ns)
        self._moment = each.event
        self._described = ""
        return self

    # Comparing.

    def _asked(self, wanted: Callable[[Event], Any], event: Event) -> bool:
        """Whether an event is wanted; a predicate that makes no sense is refused."""
        __tracebackhide__ = True
        try:
            return asked(wanted, event)
        except TypeError as error:
            self._refuse(error)

    def _agrees(self, expected: Any, actual: Any) -> bool:
        __tracebackhide__ = True
        try:
            return agrees(expected, actual)
        except TypeError as error:
            self._refuse(error)

    def _index_of(self, event: Event) -> int:
        return next(i for i, each in enumerate(self._told) if each.event is event)

    # Failing. Whoever has failed is not to be called unfinished as well: it has said enough.

    def _show(self, i: int) -> str:
        return show_event(self._told[i].event) if i < len(self._told) else "nothing more"

    def _goes_on(self, step: str) -> None:
        """A step is being taken: refuse it after the end of the chain."""
        __tracebackhide__ = True
        if self.finished:
            msg = f"{step}(): this chain has ended, or failed. Begin another: transcript.expect({self.source!r})"
            raise TranscriptError(msg)
        self._step = step

    def _fail(self, expected: str, got: str, i: int | None = None) -> NoReturn:
        """The test is wrong about what happened; `i` is where."""
        __tracebackhide__ = True
        at = self._counting() if i is None else i
        events = [each.event for each in self._told]
        exchanges = [exchange for exchange in self._transcript.exchanges if exchange.source == self.source]
        message = explain(
            self.source,
            events,
            at,
            expected,
            got,
            step=self._step,
            described=self._described,
            still_open=any(exchange.how is None for exchange in exchanges),
            carried=bool(exchanges),
            again=self._asked_again(),
        )
        self._refuse(AssertionError(message))

    def _asked_again(self) -> str:
        """The source that is the same request, made again by its client; "" where it was not."""
        retries = (e for e in self._transcript.exchanges if e.retry_of == self.source)
        return next((e.source for e in retries), "")

    def _refuse(self, error: Exception) -> NoReturn:
        __tracebackhide__ = True
        self.finished = True
        raise error.with_traceback(None)  # where in here it was found out is nobody's business


def _of_another_choice(event: Event, choice: int | None) -> bool:
    return choice is not None and getattr(event, "choice", choice) != choice


def _off(ns: int) -> str:
    return f"{_s(abs(ns))} s too {'late' if ns > 0 else 'early'}"


def _s(ns: int) -> str:
    return f"{ns / NS:.9g}"
