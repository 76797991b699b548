"""Chains of expectations on one source: each step consumes what it expects, or says what came instead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, Self, Unpack

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.items import FunctionCall
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import (
    Event,
    ExchangeClosed,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    Signal,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.transcript.chain import Chain
from pytest_streamrt.transcript.stories import nanoseconds
from pytest_streamrt.transcript.times import Times, When, duration

__all__ = ["Expectation"]

_ANY: Final = object()


class Expectation(Chain):
    """A chain of expectations; begin one with ``transcript.expect(source)``.

    Strict over text, reasoning, refusal, citations, tools, signals and ends: none of these is passed over in silence.

    Every step takes times, in seconds, compared as whole nanoseconds: `at`, since the transcript began; `after`, since
    the inference of that step started; `within`, at most so long after the step before. A step of several events has the
    time of its last. Times need virtual time; elsewhere they raise `TranscriptError`.

    A value is compared by ``==``, so that anything with an opinion on equality can stand for it.

    What makes no sense, and could only pass by accident, is refused: `TranscriptError` for a value, `TypeError` for a
    keyword that a step does not take.
    """

    def inference(self, n: int) -> Self:
        """Look at the source's nth inference alone, from 1. To be called before any step."""
        __tracebackhide__ = True
        if self._begun:
            self._refuse(TranscriptError(f"inference({n}) comes before any step: begin another chain with expect()"))
        stories = list(dict.fromkeys(each.story for each in self._told if each.story and each.event.inference_seq))
        if not 1 <= n <= len(stories):
            self._fail(f"an inference number {n}", f"{self.source!r} has {len(stories)}", 0)
        self._begun = True
        self._told = [each for each in self._told if each.story == stories[n - 1]]
        self._previous_ns = max(self._previous_ns, self._start_ns())
        return self

    def text(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        choice: int = 0,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of text that comes next: all text deltas up to anything else, of one choice of the answer."""
        __tracebackhide__ = True
        return self._said("text", TextDelta, exact, contains, matches, choice, self._when(self.text, times))

    def reasoning(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        choice: int = 0,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of reasoning that comes next."""
        __tracebackhide__ = True
        return self._said(
            "reasoning", ReasoningDelta, exact, contains, matches, choice, self._when(self.reasoning, times)
        )

    def refusal(
        self,
        exact: Any = _ANY,
        *,
        contains: str | None = None,
        matches: str | re.Pattern[str] | None = None,
        choice: int = 0,
        **times: Unpack[Times],
    ) -> Self:
        """The whole run of refusal that comes next."""
        __tracebackhide__ = True
        return self._said("refusal", RefusalDelta, exact, contains, matches, choice, self._when(self.refusal, times))

    def deltas(self, n: int, **times: Unpack[Times]) -> Self:
        """The next n deltas, of whatever kind, from 1 on."""
        __tracebackhide__ = True
        when = self._when(self.deltas, times)
        if isinstance(n, bool) or not isinstance(n, int):
            self._refuse(TypeError(f"deltas(): how many is a whole number, not {n!r}"))
        if n < 1:
            self._refuse(TranscriptError(f"deltas({n}) expects nothing: give 1 or more, or leave the step out"))
        last = 0
        for done in range(n):
            i = self._next(f"{n} deltas", lambda e: e.type in DELTAS, note=f"after {done} of them")
            last = self._consume([i])
        return self._timed(f"{n} deltas", self._told[last], when, last)

    def tool_call(self, name: Any, *, arguments: Any = _ANY, choice: int = 0, **times: Unpack[Times]) -> Self:
        """A tool call, with all of its arguments' deltas; `arguments` is compared with the parsed JSON.

        Calls that are written at the same time come one after the other here, in the order in which they began.
        """
        __tracebackhide__ = True
        when = self._when(self.tool_call, times)
        what = f"a call of the tool {name!r}"
        begin = self._next(what, lambda e: isinstance(e, ToolCallStarted) and e.name == name, choice=choice)
        pieces, text = self._call(begin)
        if arguments is not _ANY:
            wanted = f"{what} with arguments {arguments!r}"
            if text is None:
                self._fail(wanted, "none: the inference ended before they came", begin)
            try:
                parsed = json.loads(text or "{}")
            except (ValueError, RecursionError) as error:
                self._fail(wanted, f"arguments that are not JSON: {text!r} ({error})", begin)
            if parsed != arguments:
                self._fail(wanted, f"the arguments {parsed!r}", begin)
        last = self._consume([begin, *pieces])
        return self._timed(what, self._told[last], when, last)

    def signal(self, name: Any, data: Any = _ANY, **times: Unpack[Times]) -> Self:
        """A signal of that name, and with that data if any is given."""
        __tracebackhide__ = True
        what = f"the signal {name!r}" + ("" if data is _ANY else f" with {data!r}")
        return self._one(
            what,
            lambda e: isinstance(e, Signal) and e.name == name and (data is _ANY or e.data == data),
            self._when(self.signal, times),
        )

    def where(self, predicate: Callable[[Event], bool], **times: Unpack[Times]) -> Self:
        """An event of which the predicate is true; it is the next event that counts."""
        __tracebackhide__ = True
        what = f"an event where {getattr(predicate, '__name__', predicate)} holds"
        return self._one(what, predicate, self._when(self.where, times))

    def skip_until(self, event: str | Callable[[Event], bool]) -> Self:
        """Pass over everything up to, not including, the first event of that type, or of which that is true."""
        __tracebackhide__ = True
        wanted: Callable[[Event], bool] = (lambda e: e.type == event) if isinstance(event, str) else event
        found = next((i for i, each in self._ahead() if wanted(each.event)), None)
        if found is None:
            what = event if isinstance(event, str) else getattr(event, "__name__", event)
            self._fail(f"{what} at some time", "nothing of the kind up to the end")
        self._begun = True
        self._at = found
        self._hand = self._told[found].at_hand
        return self

    def silence(self, seconds: float) -> Self:
        """Nothing that counts for at least so long after the step before. The test has to have waited so long."""
        __tracebackhide__ = True
        try:
            until = self._previous_ns + duration("silence()", seconds)
        except (TypeError, TranscriptError) as error:
            self._refuse(error)
        self._require_times("silence()")
        expected = f"silence for {seconds:g} s, until t={until / NS:.9g} s"
        i = self._counting()
        if i < len(self._told):
            if nanoseconds(self._told[i].event) < until:
                self._fail(expected, self._show(i), i)
        elif (end := round(self._transcript.elapsed() * NS)) < until:
            got = (
                f"a transcript that ends at t={end / NS:.9g} s, so that nobody knows. Have the test wait that long before "
                f"it asks: await anyio.sleep({(until - end) / NS:.9g})"
            )
            self._fail(expected, got, i)
        self._begun = True
        self._previous_ns = until
        return self

    def completed(self, **times: Unpack[Times]) -> Self:
        """The inference ends by itself."""
        __tracebackhide__ = True
        return self._one("completed", lambda e: isinstance(e, InferenceCompleted), self._when(self.completed, times))

    def aborted(self, *, by: Any = _ANY, reason: Any = _ANY, **times: Unpack[Times]) -> Self:
        """The inference is aborted."""
        __tracebackhide__ = True
        given = [f"{key}={value!r}" for key, value in (("by", by), ("reason", reason)) if value is not _ANY]
        return self._one(
            f"aborted({', '.join(given)})",
            lambda e: (
                isinstance(e, InferenceAborted)
                and (by is _ANY or e.by == by)
                and (reason is _ANY or e.reason == reason)
            ),
            self._when(self.aborted, times),
        )

    def failed(self, *, kind: Any = _ANY, **times: Unpack[Times]) -> Self:
        """The inference fails."""
        __tracebackhide__ = True
        what = "failed" if kind is _ANY else f"failed(kind={kind!r})"
        return self._one(
            what,
            lambda e: isinstance(e, InferenceFailure) and (kind is _ANY or e.kind == kind),
            self._when(self.failed, times),
        )

    def upstream_closed(self, **times: Unpack[Times]) -> Self:
        """The connection that carried the inference of the step before is closed; of several, the last.

        `within` counts from the step before, such as the abort.
        """
        __tracebackhide__ = True
        when = self._when(self.upstream_closed, times)
        story = self._hand or next((each.at_hand for each in self._told if each.at_hand is not None), None)
        exchanges = [exchange for exchange in self._transcript.exchanges if exchange.story == story]
        # What an agent asks elsewhere in the meantime may stay open: its answer does not come from there.
        exchanges = [exchange for exchange in exchanges if exchange.dialect is not None] or exchanges
        if not exchanges:
            self._fail("upstream closed", "no HTTP exchange of this source, or of this inference of it")
        closings = {id(each.origin): each for each in self._everything if isinstance(each.event, ExchangeClosed)}
        still_open = [exchange for exchange in exchanges if id(exchange) not in closings]
        if still_open:
            self._fail("upstream closed", f"an exchange that is still open: {still_open[0].method} {still_open[0].url}")
        self._begun = True
        last = max((closings[id(exchange)] for exchange in exchanges), key=lambda each: each.event.time)
        i = next((i for i, each in enumerate(self._told) if each is last), None)
        return self._timed("upstream closed", last, when, i)

    def nothing_more(self) -> None:
        """Nothing else that counts comes from this source. Ends the chain."""
        __tracebackhide__ = True
        self.finished = True
        i = self._counting()
        if i < len(self._told):
            self._fail("nothing more", self._show(i), i)

    def rest(self) -> None:
        """Whatever else comes does not matter. Ends the chain."""
        self.finished = True

    def _one(self, what: str, wanted: Callable[[Event], bool], when: When) -> Self:
        """A step of one event."""
        __tracebackhide__ = True
        i = self._next(what, wanted)
        self._consume([i])
        return self._timed(what, self._told[i], when, i)

    def _said(
        self,
        what: str,
        kind: type[TextDelta | ReasoningDelta | RefusalDelta],
        exact: Any,
        contains: str | None,
        matches: str | re.Pattern[str] | None,
        choice: int,
        when: When,
    ) -> Self:
        """A step of a run of deltas, compared by what they say together."""
        __tracebackhide__ = True
        pattern = matches.pattern if isinstance(matches, re.Pattern) else matches
        if sum(value is not None and value is not _ANY for value in (exact, contains, matches)) > 1:
            msg = f"{what}(): give the exact {what}, contains= or matches=, not several of them"
            self._refuse(TranscriptError(msg))
        if any(isinstance(value, str) and not value for value in (exact, contains, pattern)):
            msg = f"{what}(): empty {what} says nothing. For any {what} at all write .{what}(); for none leave it out"
            self._refuse(TranscriptError(msg))
        wanted = what
        if exact is not _ANY:
            wanted = f"{what} {exact!r}"
        elif contains is not None:
            wanted = f"{what} that contains {contains!r}"
        elif matches is not None:
            wanted = f"{what} that matches {pattern!r}"
        run = self._run(kind, choice)
        if not run:
            self._fail(wanted, self._show(self._counting()))
        said = "".join(event.text for i in run if isinstance(event := self._told[i].event, kind))
        holds = (
            (exact is _ANY or exact == said)
            and (contains is None or contains in said)
            and (matches is None or re.search(matches, said) is not None)
        )
        if not holds:
            self._fail(wanted, f"{what} {said!r}", run[0])
        last = self._consume(run)
        return self._timed(wanted, self._told[last], when, last)

    def _call(self, begin: int) -> tuple[list[int], str | None]:
        """The rest of a tool call that begins there: its deltas, by index, and its arguments; None if it never ended."""
        start = self._told[begin]
        assert isinstance(start.event, ToolCallStarted)
        key = start.event.id, start.event.choice
        pieces: list[int] = []
        text = ""
        whole = False
        for i in range(begin + 1, len(self._told)):
            each = self._told[i]
            if each.story != start.story:
                continue
            match each.event:
                case ToolCallDelta() as delta if (delta.id, delta.choice) == key:
                    pieces.append(i)
                    text += delta.arguments
                case ItemCompleted(item=FunctionCall() as call) if (call.id, call.choice) == key:
                    return pieces, text or call.arguments
                case ToolCallStarted() as another if (another.id, another.choice) == key:
                    return pieces, text
                case InferenceCompleted():
                    whole = True
            if each.event.type in TERMINALS:
                break
        return pieces, text if text or whole else None
