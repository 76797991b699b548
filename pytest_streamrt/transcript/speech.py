"""The steps for what an answer says: text, reasoning, refusal, deltas, tool calls. Each consumes a run of deltas."""

from __future__ import annotations

import json
import re
from typing import Any, Self, Unpack

from pytest_streamrt.errors import TranscriptError
from pytest_streamrt.events.items import FunctionCall
from pytest_streamrt.events.order import DELTAS, TERMINALS
from pytest_streamrt.events.types import (
    InferenceCompleted,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.transcript.chain import Chain
from pytest_streamrt.transcript.explain import alike, where_they_differ
from pytest_streamrt.transcript.times import Times, When
from pytest_streamrt.transcript.values import ANY, agrees, differences, show_value
from pytest_streamrt.wording import counted

__all__ = ["Speech"]


class Speech(Chain):
    """The steps of an `Expectation` that consume what was said."""

    def text(
        self,
        exact: Any = ANY,
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
        exact: Any = ANY,
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
        exact: Any = ANY,
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
        if not is_whole(n):
            self._refuse(TypeError(f"deltas(): how many is a whole number from 1 on, not {n!r}"))
        if n < 1:
            self._refuse(TranscriptError(f"deltas({n}) expects nothing: give 1 or more, or leave the step out"))
        what, last = counted(n, "delta"), 0
        for done in range(n):
            i = self._next(what, lambda e: e.type in DELTAS, note=f", after {done} of them")
            last = self._consume([i])
        return self._timed(what, self._told[last], when, last)

    def tool_call(self, name: Any, *, arguments: Any = ANY, choice: int = 0, **times: Unpack[Times]) -> Self:
        """A tool call, with all of its arguments' deltas; `arguments` is compared with the parsed JSON.

        Calls that are written at the same time come one after the other here, in the order in which they began.
        """
        __tracebackhide__ = True
        when = self._when(self.tool_call, times)
        what = f"a call of the tool {show_value(name)}"
        begin = self._next(what, lambda e: isinstance(e, ToolCallStarted) and agrees(name, e.name), choice=choice)
        pieces, text = self._call(begin)
        if arguments is not ANY:
            wanted = f"{what} with arguments {show_value(arguments)}"
            if text is None:
                self._fail(wanted, "none: the inference ended before they came", begin)
            try:
                parsed = json.loads(text or "{}")
            except (ValueError, RecursionError) as error:
                self._fail(wanted, f"arguments that are not JSON: {text!r} ({error})", begin)
            if not self._agrees(arguments, parsed):
                hint = _as_json(arguments) if isinstance(arguments, str) else _by_field(arguments, parsed)
                self._fail(wanted, f"the arguments {parsed!r}{hint}", begin)
        last = self._consume([begin, *pieces])
        return self._timed(what, self._told[last], when, last)

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
        if sum(value is not None and value is not ANY for value in (exact, contains, matches)) > 1:
            msg = f"{what}(): give the exact {what}, contains= or matches=, not several of them"
            self._refuse(TranscriptError(msg))
        if any(isinstance(value, str) and not value for value in (exact, contains, pattern)):
            msg = f"{what}(): empty {what} says nothing. For any {what} at all write .{what}(); for none leave it out"
            self._refuse(TranscriptError(msg))
        try:
            re.search(matches or "", "")
        except (re.error, TypeError) as error:
            msg = f"{what}(matches={matches!r}): this is no regular expression: {error}. For a text as it stands: contains="
            self._refuse(TranscriptError(msg))
        wanted = what
        if exact is not ANY:
            wanted = f"{what} {exact!r}" if isinstance(exact, str) else f"{what}: {show_value(exact)}"
        elif contains is not None:
            wanted = f"{what} that contains {contains!r}"
        elif matches is not None:
            wanted = f"{what} that matches {pattern!r}"
        run = self._run(kind, choice)
        if not run:
            self._fail(wanted, self._show(self._counting()))
        said = "".join(event.text for i in run if isinstance(event := self._told[i].event, kind))
        holds = (
            self._agrees(exact, said)
            and (contains is None or contains in said)
            and (matches is None or re.search(matches, said) is not None)
        )
        if not holds:
            if not isinstance(exact, str):
                self._fail(wanted, f"{what} {said!r}", run[0])
            at = self._delta_at(run, alike(exact, said))
            self._fail(wanted, f"{what} {said!r}{where_they_differ(exact, said)}", at)
        last = self._consume(run)
        return self._timed(wanted, self._told[last], when, last)

    def _delta_at(self, run: list[int], character: int) -> int:
        """The index of the delta of a run that says that character; that of the last, where the run is over before."""
        for i in run:
            character -= len(getattr(self._told[i].event, "text", ""))
            if character < 0:
                return i
        return run[-1]

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


def _as_json(expected: str) -> str:
    """What to write instead of arguments as a provider sends them; "" where that text is none."""
    try:
        return f"; arguments are compared as parsed JSON: write arguments={json.loads(expected)!r}"
    except (ValueError, RecursionError):
        return ""


def _by_field(expected: Any, actual: Any) -> str:
    """Where they differ, a line for each field; "" where there is but one thing to compare."""
    if type(expected) is not dict or not isinstance(actual, dict) or len(expected) + len(actual) <= 2:
        return ""
    return "".join(f"\n   differs: {each}" for each in differences(expected, actual))
