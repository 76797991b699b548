"""Chains of expectations on one source: each step consumes what it expects, or says what came instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Self, Unpack

from pytest_streamrt.clock import NS
from pytest_streamrt.errors import InferenceFailed, TranscriptError
from pytest_streamrt.events.items import Item
from pytest_streamrt.events.types import (
    Citation,
    Event,
    ExchangeClosed,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    Signal,
    Status,
    ToolProgress,
    ToolResult,
    Usage,
)
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.transcript.abort import abort_timing, exchanges_of
from pytest_streamrt.transcript.explain import no_such_inference, no_such_step
from pytest_streamrt.transcript.speech import Speech
from pytest_streamrt.transcript.stories import nanoseconds
from pytest_streamrt.transcript.times import Times, When, duration
from pytest_streamrt.transcript.values import ANY, agrees, agrees_as_json, asked, name_of, show_value
from pytest_streamrt.wording import did_you_mean

__all__ = ["Expectation"]


class Expectation(Speech):
    """A chain of expectations; begin one with ``transcript.expect(source)``.

    Strict over text, reasoning, refusal, citations, tools, signals and ends: none of these is passed over in silence.

    A chain that begins with how the inference ends passes over what was said before that, provided that it ends with `rest`.

    Every step takes times, in seconds, compared as whole nanoseconds: `at`, since the transcript began; `after`, since
    the inference of that step started; `within`, at most so long after the step before. A step of several events has the
    time of its last. Times need virtual time; elsewhere they raise `TranscriptError`.

    A value may be the value itself, a compiled pattern, a predicate, or anything with an opinion on equality, also within
    a dict or a list.

    What makes no sense, and could only pass by accident, is refused: `TranscriptError` for a value, `TypeError` for a
    keyword that a step does not take.
    """

    if not TYPE_CHECKING:  # type checkers are to see a wrong name, and know nothing of this

        def __getattr__(self, name: str) -> NoReturn:
            __tracebackhide__ = True
            raise AttributeError(no_such_step(name, type(self)))

    def inference(self, n: int) -> Self:
        """Look at the source's nth inference alone, from 1. To be called before any step."""
        __tracebackhide__ = True
        self._goes_on("inference")
        if self._begun:
            self._refuse(TranscriptError(f"inference({n}) comes before any step: begin another chain with expect()"))
        if not is_whole(n):
            self._refuse(TypeError(f"inference(): which one is a whole number from 1 on, not {n!r}"))
        stories = list(dict.fromkeys(each.story for each in self._told if each.story and each.event.inference_seq))
        if not stories:
            self._fail(f"an inference number {n}", f"no inference of {self.source!r} at all", 0)
        if not 1 <= n <= len(stories):
            theirs = [[e.event for e in self._told if e.story == story and e.event.inference_seq] for story in stories]
            self._refuse(AssertionError(no_such_inference(self.source, n, theirs, described=self._described)))
        self._begun = True
        self._told = [each for each in self._told if each.story == stories[n - 1]]
        self._previous_ns = max(self._previous_ns, self._start_ns())
        return self

    def item(
        self,
        wanted: Any = ANY,
        *,
        text: Any = ANY,
        name: Any = ANY,
        arguments: Any = ANY,
        output: Any = ANY,
        summary: Any = ANY,
        refusal: Any = ANY,
        role: Any = ANY,
        id: Any = ANY,
        **times: Unpack[Times],
    ) -> Self:
        """A finished item. It is written after its deltas, which are to be consumed before it.

        Args:
            wanted: the item itself, its type ("model_message", "reasoning", "function_call", "function_call_output",
                "message"), or a predicate of it.
            text: what it says.
            name: the tool that it calls.
            arguments: of the call, compared with the parsed JSON.
            output: what a tool gave back, compared with the parsed JSON unless a string is expected.
            summary: of the reasoning.
            refusal: of the message.
            role: of the message: "user", "developer" or "system".
            id: that of the call.
        """
        __tracebackhide__ = True
        fields = {"text": text, "name": name, "arguments": arguments, "output": output, "summary": summary}
        fields |= {"refusal": refusal, "role": role, "id": id}
        fields = {field: value for field, value in fields.items() if value is not ANY}
        kind = wanted if isinstance(wanted, str) else ANY
        whole = ANY if isinstance(wanted, str) else wanted

        def holds(event: Event) -> bool:
            return (
                isinstance(event, ItemCompleted)
                and agrees(kind, event.item.type)
                and agrees(whole, event.item)
                and all(_field_agrees(value, event.item, field) for field, value in fields.items())
            )

        what = _called("an item" if wanted is ANY else f"the item {show_value(wanted)}", **fields)
        return self._one(what, holds, self._when(self.item, times), kind="item.completed")

    def tool_result(
        self, name: Any = ANY, *, output: Any = ANY, status: Any = ANY, id: Any = ANY, **times: Unpack[Times]
    ) -> Self:
        """What a tool gave back. `output` is compared with the parsed JSON, unless a string is expected.

        Args:
            name: the tool's.
            output: what it gave.
            status: "completed", "failed" or "cancelled".
            id: that of the call.
        """
        __tracebackhide__ = True
        what = _called("a tool result", name=name, output=output, status=status, id=id)
        return self._one(
            what,
            lambda e: (
                isinstance(e, ToolResult)
                and agrees(name, e.name)
                and (output is ANY or agrees_as_json(output, e.output))
                and agrees(status, e.status)
                and agrees(id, e.id)
            ),
            self._when(self.tool_result, times),
        )

    def tool_progress(self, name: Any = ANY, data: Any = ANY, **times: Unpack[Times]) -> Self:
        """A running tool reports how far it is."""
        __tracebackhide__ = True
        what = _called("tool progress", name=name, data=data)
        return self._one(
            what,
            lambda e: isinstance(e, ToolProgress) and agrees(name, e.name) and agrees(data, e.data),
            self._when(self.tool_progress, times),
        )

    def citation(self, url: Any = ANY, *, title: Any = ANY, data: Any = ANY, **times: Unpack[Times]) -> Self:
        """The answer cites a source."""
        __tracebackhide__ = True
        what = _called("a citation", url=url, title=title, data=data)
        return self._one(
            what,
            lambda e: (
                isinstance(e, Citation) and agrees(url, e.url) and agrees(title, e.title) and agrees(data, e.data)
            ),
            self._when(self.citation, times),
        )

    def usage(self, input_tokens: Any = ANY, output_tokens: Any = ANY, **times: Unpack[Times]) -> Self:
        """What the provider says of tokens."""
        __tracebackhide__ = True
        what = _called("usage", input_tokens=input_tokens, output_tokens=output_tokens)
        return self._one(
            what,
            lambda e: (
                isinstance(e, Usage) and agrees(input_tokens, e.input_tokens) and agrees(output_tokens, e.output_tokens)
            ),
            self._when(self.usage, times),
            kind="usage",
        )

    def status(self, name: Any, data: Any = ANY, **times: Unpack[Times]) -> Self:
        """A note on how the work goes."""
        __tracebackhide__ = True
        return self._one(
            _called(f"the status {show_value(name)}", data=data),
            lambda e: isinstance(e, Status) and agrees(name, e.name) and agrees(data, e.data),
            self._when(self.status, times),
            kind="status",
        )

    def signal(self, name: Any, data: Any = ANY, **times: Unpack[Times]) -> Self:
        """A signal of that name, and with that data if any is given."""
        __tracebackhide__ = True
        return self._one(
            _called(f"the signal {show_value(name)}", data=data),
            lambda e: isinstance(e, Signal) and agrees(name, e.name) and agrees(data, e.data),
            self._when(self.signal, times),
        )

    def where(self, predicate: Callable[[Event], bool], **times: Unpack[Times]) -> Self:
        """An event of which the predicate is true; it is the next event that counts."""
        __tracebackhide__ = True
        what = f"an event where {name_of(predicate)} holds"
        return self._one(what, lambda e: asked(predicate, e), self._when(self.where, times))

    def skip_until(self, event: str | Callable[[Event], bool]) -> Self:
        """Pass over everything up to, not including, the first event of that type, or of which that is true."""
        __tracebackhide__ = True
        self._goes_on("skip_until")
        if not isinstance(event, str) and not callable(event):
            self._refuse(
                TypeError(
                    f"skip_until(): it takes the type of an event, such as 'text.delta', or a predicate, not {event!r}"
                )
            )
        if isinstance(event, str):
            found = next((i for i, each in self._ahead() if each.event.type == event), None)
        else:
            found = next((i for i, each in self._ahead() if self._asked(event, each.event)), None)
        if found is None:
            what = event if isinstance(event, str) else name_of(event)
            kinds = {each.event.type for each in self._told}
            hint = did_you_mean(event, kinds) if isinstance(event, str) and event not in kinds else ""
            self._fail(f"{what} at some time", f"nothing of the kind up to the end.{hint}".removesuffix("."))
        self._begun, self._fresh = True, False
        self._at = found
        self._hand = self._told[found].at_hand
        return self

    def silence(self, seconds: float) -> Self:
        """Nothing that counts for at least so long after the step before. The test has to have waited so long."""
        __tracebackhide__ = True
        self._goes_on("silence")
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
        self._begun, self._fresh = True, False
        self._previous_ns = until
        return self

    def completed(self, **times: Unpack[Times]) -> Self:
        """The inference ends by itself."""
        __tracebackhide__ = True
        return self._one("completed", lambda e: isinstance(e, InferenceCompleted), self._when(self.completed, times))

    def aborted(self, *, by: Any = ANY, reason: Any = ANY, **times: Unpack[Times]) -> Self:
        """The inference is aborted, and no delta of it comes after that, nor is any read off the wire."""
        __tracebackhide__ = True
        self._one(
            _called("aborted", by=by, reason=reason),
            lambda e: isinstance(e, InferenceAborted) and agrees(by, e.by) and agrees(reason, e.reason),
            self._when(self.aborted, times),
        )
        assert self._moment is not None
        timing = abort_timing(self._transcript, self._moment)
        if timing.deltas_after or timing.deltas_read_after:
            heard, read = timing.deltas_after, timing.deltas_read_after
            got = f"{heard} that came after it" if heard else f"{read} that were read off the wire after it"
            self._fail("no delta after the abort", got, self._index_of(self._moment))
        return self

    def failed(self, *, kind: Any = ANY, message: Any = ANY, **times: Unpack[Times]) -> Self:
        """The inference fails. Kinds are "transport", "provider", "model", "tool" and "limit"."""
        __tracebackhide__ = True
        if isinstance(kind, str) and kind not in InferenceFailed.KINDS:
            self._refuse(TranscriptError(f"failed(kind={kind!r}): the kinds are {', '.join(InferenceFailed.KINDS)}"))
        return self._one(
            _called("failed", kind=kind, message=message),
            lambda e: isinstance(e, InferenceFailure) and agrees(kind, e.kind) and agrees(message, e.message),
            self._when(self.failed, times),
        )

    def upstream_closed(self, *, unread_deltas: Any = ANY, **times: Unpack[Times]) -> Self:
        """The connection that carried the inference of the step before is closed; of several, the last.

        `within` counts from the step before, such as the abort.

        Args:
            unread_deltas: how many deltas are to have been sent, or recorded, that the client never asked for.
            times: when.
        """
        __tracebackhide__ = True
        when = self._when(self.upstream_closed, times)
        story = self._hand or next((each.at_hand for each in self._told if each.at_hand is not None), None)
        exchanges = exchanges_of(self._transcript, story)
        if not exchanges:
            self._fail("upstream closed", "no HTTP exchange of this source, or of this inference of it")
        closings = {id(each.origin): each for each in self._everything if isinstance(each.event, ExchangeClosed)}
        still_open = [exchange for exchange in exchanges if id(exchange) not in closings]
        if still_open:
            self._fail("upstream closed", f"an exchange that is still open: {still_open[0].method} {still_open[0].url}")
        unread = sum(exchange.unread_deltas for exchange in exchanges)
        if not self._agrees(unread_deltas, unread):
            self._fail(
                f"{show_value(unread_deltas)} {'delta' if unread_deltas == 1 else 'deltas'} never asked for",
                f"{unread} of them",
            )
        self._begun, self._fresh = True, False
        last = max((closings[id(exchange)] for exchange in exchanges), key=lambda each: each.event.time)
        i = next((i for i, each in enumerate(self._told) if each is last), None)
        return self._timed("upstream closed", last, when, i)

    def nothing_more(self) -> Self:
        """Nothing else that counts comes from this source. Ends the chain."""
        __tracebackhide__ = True
        self._goes_on("nothing_more")
        self.finished = True
        if self._before_end is not None:
            self._fail("nothing else", f"{self._show(self._before_end)}, passed over before the end", self._before_end)
        i = self._counting()
        if i < len(self._told):
            self._fail("nothing more", self._show(i), i)
        return self

    def rest(self) -> Self:
        """Whatever else comes does not matter. Ends the chain."""
        __tracebackhide__ = True
        self._goes_on("rest")
        self.finished = True
        return self

    def _one(self, what: str, wanted: Callable[[Event], bool], when: When, kind: str | None = None) -> Self:
        """A step of one event."""
        __tracebackhide__ = True
        i = self._next(what, wanted, kind=kind)
        self._consume([i])
        return self._timed(what, self._told[i], when, i)


def _called(what: str, **fields: Any) -> str:
    """What is expected, in words: with the values that were given."""
    given = ", ".join(f"{field}={show_value(value)}" for field, value in fields.items() if value is not ANY)
    if not given:
        return what
    return f"{what} with {given}" if " " in what else f"{what}({given})"


def _field_agrees(expected: Any, item: Item, field: str) -> bool:
    actual: Any = getattr(item, field, ANY)
    if actual is ANY:
        return False
    return agrees_as_json(expected, actual) if field in ("arguments", "output") else agrees(expected, actual)
