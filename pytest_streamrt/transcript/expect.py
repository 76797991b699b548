"""Chains of expectations on one source: each step consumes what it expects, or says what came instead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, Unpack

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import (
    Event,
    ExchangeClosed,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    Mark,
    ReasoningDelta,
    RefusalDelta,
    Signal,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.transcript.explain import explain, show_event

if TYPE_CHECKING:
    from pytest_streamrt.transcript.log import Transcript

__all__ = ["Expectation"]

# What no chain passes over in silence. The rest (items, usage, status, the room, exchanges) counts where it is named.
_STRICT: Final = DELTAS | TERMINALS | {"citation", "signal", "tool.progress", "tool.result", "tool_call.started"}

_ANY: Final = object()


class Times(TypedDict, total=False):
    """When a step is to happen, in seconds."""

    at: float
    """Since the transcript began."""
    after: float
    """Since the inference started."""
    within: float
    """At most so long after the step before."""


class Expectation:
    """A chain of expectations; begin one with ``transcript.expect(source)``.

    Strict over text, reasoning, refusal, citations, tools, signals and ends: none of these is passed over in silence.

    Every step takes times, in seconds, compared as whole nanoseconds: `at`, since the transcript began; `after`, since
    the inference started; `within`, at most so long after the step before. A step of several events has the time of
    its last. Times need virtual time; elsewhere they raise `TranscriptError`.

    A value is compared by ``==``, so that anything with an opinion on equality can stand for it.
    """

    def __init__(self, transcript: Transcript, source: str, *, location: str, since: Mark | None = None) -> None:
        __tracebackhide__ = True
        self.source = source
        self.location = location
        self.finished = False
        self._transcript = transcript
        self._since = since
        self._previous_ns = 0
        self._events = self._select(transcript, source, since)
        self._at = 0  # index of the next event
        self._previous_ns = _ns(since) if since is not None else self._started_ns()

    def __repr__(self) -> str:
        return f"<Expectation on {self.source!r} at {self.location}, {len(self._events) - self._at} events to come>"

    def inference(self, n: int) -> Self:
        """Look at the source's nth inference alone, from 1. To be called before any step."""
        __tracebackhide__ = True
        names = list(dict.fromkeys(e.inference for e in self._events if e.inference is not None and e.inference_seq))
        if not 1 <= n <= len(names):
            raise self._failure(f"an inference number {n}", f"{self.source!r} has {len(names)}")
        self._events = [event for event in self._events if event.inference == names[n - 1]]
        self._at = 0
        self._previous_ns = self._started_ns()
        return self

    def text(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of text that comes next: all text deltas up to anything else."""
        __tracebackhide__ = True
        return self._run("text", TextDelta, exact, contains, matches, times)

    def reasoning(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of reasoning that comes next."""
        __tracebackhide__ = True
        return self._run("reasoning", ReasoningDelta, exact, contains, matches, times)

    def refusal(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of refusal that comes next."""
        __tracebackhide__ = True
        return self._run("refusal", RefusalDelta, exact, contains, matches, times)

    def deltas(self, n: int, **times: Unpack[Times]) -> Self:
        """The next n deltas, of whatever kind."""
        __tracebackhide__ = True
        consumed = [self._next(f"{n} deltas", lambda e: e.type in DELTAS, f"after {i} of them") for i in range(n)]
        return self._time(f"{n} deltas", consumed, times)

    def tool_call(
        self,
        name: Any,
        *,
        arguments: Any = _ANY,
        **times: Unpack[Times],
    ) -> Self:
        """A tool call, with all of its arguments' deltas; `arguments` is compared with the parsed JSON."""
        __tracebackhide__ = True
        what = f"a call of the tool {name!r}"
        started = self._next(what, lambda e: isinstance(e, ToolCallStarted) and e.name == name)
        assert isinstance(started, ToolCallStarted)
        pieces = self._while(lambda e: isinstance(e, ToolCallDelta) and e.id == started.id)
        if arguments is not _ANY:
            text = "".join(piece.arguments for piece in pieces if isinstance(piece, ToolCallDelta))
            try:
                parsed = json.loads(text or "{}")
            except ValueError as error:
                seen = f"arguments that are not JSON: {text!r} ({error})"
                raise self._failure(f"{what} with arguments {arguments!r}", seen) from None
            if parsed != arguments:
                raise self._failure(f"{what} with arguments {arguments!r}", f"the arguments {parsed!r}")
        return self._time(what, [started, *pieces], times)

    def signal(
        self,
        name: Any,
        data: Any = _ANY,
        **times: Unpack[Times],
    ) -> Self:
        """A signal of that name, and with that data if any is given."""
        __tracebackhide__ = True
        what = f"the signal {name!r}" + ("" if data is _ANY else f" with {data!r}")
        event = self._next(
            what, lambda e: isinstance(e, Signal) and e.name == name and (data is _ANY or e.data == data)
        )
        return self._time(what, [event], times)

    def where(
        self,
        predicate: Callable[[Event], bool],
        **times: Unpack[Times],
    ) -> Self:
        """An event of which the predicate is true; it is the next event that counts."""
        __tracebackhide__ = True
        what = f"an event where {getattr(predicate, '__name__', predicate)} holds"
        return self._time(what, [self._next(what, predicate)], times)

    def skip_until(self, event: str | Callable[[Event], bool]) -> Self:
        """Pass over everything up to, not including, the first event of that type, or of which that is true."""
        __tracebackhide__ = True
        wanted: Callable[[Event], bool] = (lambda e: e.type == event) if isinstance(event, str) else event
        for i in range(self._at, len(self._events)):
            if wanted(self._events[i]):
                self._at = i
                return self
        what = event if isinstance(event, str) else getattr(event, "__name__", event)
        raise self._failure(f"{what} at some time", "nothing of the kind up to the end")

    def silence(self, seconds: float) -> Self:
        """Nothing that counts for at least so long after the step before."""
        __tracebackhide__ = True
        self._require_times("silence()")
        until = self._previous_ns + round(seconds * NS)
        event = self._peek()
        if event is not None and _ns(event) < until:
            raise self._failure(f"silence for {seconds:g} s, until t={until / NS:.9g} s", show_event(event))
        self._previous_ns = until
        return self

    def completed(self, **times: Unpack[Times]) -> Self:
        """The inference ends by itself."""
        __tracebackhide__ = True
        event = self._next("completed", lambda e: isinstance(e, InferenceCompleted))
        return self._time("completed", [event], times)

    def aborted(
        self,
        *,
        by: Any = _ANY,
        reason: Any = _ANY,
        **times: Unpack[Times],
    ) -> Self:
        """The inference is aborted."""
        __tracebackhide__ = True
        given = [f"{key}={value!r}" for key, value in (("by", by), ("reason", reason)) if value is not _ANY]
        what = f"aborted({', '.join(given)})"
        event = self._next(
            what,
            lambda e: (
                isinstance(e, InferenceAborted)
                and (by is _ANY or e.by == by)
                and (reason is _ANY or e.reason == reason)
            ),
        )
        return self._time(what, [event], times)

    def failed(
        self,
        *,
        kind: Any = _ANY,
        **times: Unpack[Times],
    ) -> Self:
        """The inference fails."""
        __tracebackhide__ = True
        what = "failed" if kind is _ANY else f"failed(kind={kind!r})"
        event = self._next(what, lambda e: isinstance(e, InferenceFailure) and (kind is _ANY or e.kind == kind))
        return self._time(what, [event], times)

    def upstream_closed(self, **times: Unpack[Times]) -> Self:
        """The connection that carried it is closed; `within` counts from the step before, such as the abort."""
        __tracebackhide__ = True
        closed = next((e for e in self._events[self._at :] if isinstance(e, ExchangeClosed)), None)
        if closed is None:
            seen = (
                "an exchange that is still open" if self._has("exchange.opened") else "no HTTP exchange of this source"
            )
            raise self._failure("upstream closed", seen)
        return self._time("upstream closed", [closed], times)

    def nothing_more(self) -> None:
        """Nothing else that counts comes from this source. Ends the chain."""
        __tracebackhide__ = True
        self.finished = True
        event = self._peek()
        if event is not None:
            raise self._failure("nothing more", show_event(event))

    def rest(self) -> None:
        """Whatever else comes does not matter. Ends the chain."""
        self.finished = True

    def _select(self, transcript: Transcript, source: str, since: Mark | None) -> list[Event]:
        __tracebackhide__ = True
        events = transcript.events
        if since is not None:
            if not any(event is since for event in events):
                msg = f"expect(since=…): {since!r} is no mark of this transcript; use what transcript.mark(…) returned"
                raise TranscriptError(msg)
            events = events[next(i for i, event in enumerate(events) if event is since) + 1 :]
        selected = [event for event in events if event.source == source]
        if not selected:
            self.finished = True
            there = ", ".join(transcript.sources) or "none: nothing was logged"
            msg = f"nothing came from {source!r}. Sources in this transcript: {there}"
            raise AssertionError(msg)
        return selected

    def _peek(self) -> Event | None:
        return next((event for event in self._events[self._at :] if event.type in _STRICT), None)

    def _next(self, what: str, wanted: Callable[[Event], bool], note: str = "") -> Event:
        """Consume the next event: the next that is wanted, provided that none that counts comes before it."""
        __tracebackhide__ = True
        for i in range(self._at, len(self._events)):
            event = self._events[i]
            if wanted(event):
                self._at = i + 1
                return event
            if event.type in _STRICT:
                raise self._failure(what, f"{show_event(event)} {note}".rstrip())
        raise self._failure(what, f"nothing more {note}".rstrip())

    def _while(self, wanted: Callable[[Event], bool]) -> list[Event]:
        """Consume events that are wanted, up to the first other one that counts."""
        consumed = []
        for i in range(self._at, len(self._events)):
            event = self._events[i]
            if wanted(event):
                consumed.append(event)
                self._at = i + 1
            elif event.type in _STRICT:
                break
        return consumed

    def _run(
        self,
        what: str,
        kind: type[TextDelta | ReasoningDelta | RefusalDelta],
        exact: Any,
        contains: str | None,
        matches: str | re.Pattern[str] | None,
        times: Times,
    ) -> Self:
        __tracebackhide__ = True
        if sum(value is not None and value is not _ANY for value in (exact, contains, matches)) > 1:
            msg = f"{what}(): give the exact {what}, contains= or matches=, not several of them"
            raise TranscriptError(msg)
        before = self._at
        consumed = self._while(lambda e: isinstance(e, kind))
        if exact is not _ANY:
            wanted = f"{what} {exact!r}"
        elif contains is not None:
            wanted = f"{what} that contains {contains!r}"
        elif matches is not None:
            wanted = f"{what} that matches {getattr(matches, 'pattern', matches)!r}"
        else:
            wanted = what
        if not consumed:
            event = self._peek()
            raise self._failure(wanted, show_event(event) if event is not None else "nothing more")
        said = "".join(event.text for event in consumed if isinstance(event, kind))
        holds = (
            (exact is _ANY or exact == said)
            and (contains is None or contains in said)
            and (matches is None or re.search(matches, said) is not None)
        )
        if not holds:
            self._at = next(i for i in range(before, len(self._events)) if self._events[i] is consumed[0])
            raise self._failure(wanted, f"{what} {said!r}")
        return self._time(wanted, consumed, times)

    def _time(self, what: str, consumed: Sequence[Event], times: Times) -> Self:
        """Check the times of a step that has been consumed; remember when it happened."""
        __tracebackhide__ = True
        if not consumed:
            return self
        ns = _ns(consumed[-1])
        at, after, within = times.get("at"), times.get("after"), times.get("within")
        if at is not None or after is not None or within is not None:
            self._require_times(f"{what} at a time")
        if at is not None and ns != round(at * NS):
            self._at -= 1
            raise self._failure(f"{what} at t={at:.9g} s", f"it at t={ns / NS:.9g} s")
        if after is not None and ns - self._started_ns() != round(after * NS):
            self._at -= 1
            since = (ns - self._started_ns()) / NS
            raise self._failure(f"{what} {after:.9g} s after the inference started", f"it after {since:.9g} s")
        if within is not None and ns - self._previous_ns > round(within * NS):
            self._at -= 1
            took = (ns - self._previous_ns) / NS
            raise self._failure(f"{what} within {within:.9g} s of the step before", f"it {took:.9g} s after that")
        self._previous_ns = ns
        return self

    def _started_ns(self) -> int:
        """When the inference at hand started: the last one to start before the next event."""
        started = [e for e in self._events[: self._at + 1] if isinstance(e, InferenceStarted)]
        first = next((e for e in self._events if isinstance(e, InferenceStarted)), None)
        return _ns(started[-1]) if started else _ns(first) if first is not None else 0

    def _has(self, event_type: str) -> bool:
        return any(event.type == event_type for event in self._events)

    def _require_times(self, what: str) -> None:
        __tracebackhide__ = True
        why = self._transcript.untimed(self.source)
        if why is not None:
            self.finished = True
            msg = f"{what}: the times of {self.source!r} were not measured: {why}"
            raise TranscriptError(msg)

    def _failure(self, expected: str, got: str) -> AssertionError:
        self.finished = True  # it has said enough: it is not to be called unfinished as well
        return AssertionError(explain(self.source, self._events, self._at, expected, got))


def _ns(event: Event) -> int:
    return round(event.time * NS)
