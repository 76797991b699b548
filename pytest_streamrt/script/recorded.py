"""From a recorded answer to a script that says the same: the events of one inference, as parts with pauses between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.events.given import given
from pytest_streamrt.events.items import Reasoning
from pytest_streamrt.events.types import (
    Citation,
    Event,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ReasoningDelta,
    RefusalDelta,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pytest_streamrt.script.build import Script, numbered
from pytest_streamrt.script.kinds import (
    CitationPart,
    Disconnect,
    ErrorPart,
    FinishPart,
    Interleaved,
    Part,
    Pause,
    ReasoningPart,
    RefusalPart,
    Speech,
    Stall,
    StatusPart,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = ["script_of"]

__tracebackhide__ = True  # what is raised here is about what was given, and is shown where that was

# What a provider says of an answer that is complete, or that calls tools: what each says by itself.
_AS_EVER = frozenset({"STOP", "completed", "end_turn", "stop", "tool_calls", "tool_use"})
_TOO_LONG = frozenset({"MAX_TOKENS", "length", "max_output_tokens", "max_tokens"})


def script_of(events: Iterable[Event], *, timed: bool) -> Script:
    """The script of one inference. See `script.from_events`."""
    __tracebackhide__ = True
    recorder = _Recorder(timed=timed)
    for event in given("from_events", events, ScriptError):
        recorder.add(event)
    if not recorder.heard:
        msg = "from_events: no answer is in these events; give those of one inference, as decode(data, dialect) or transcript.of(source) does"
        raise ScriptError(msg)
    return Script(numbered(recorder.finish()))


@dataclass
class _Draft:
    """A part that is being written down."""

    part: Part
    pieces: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def finish(self, *, timed: bool) -> Part:
        if not isinstance(self.part, Speech):
            return self.part
        pieces = tuple(self.pieces)
        return replace(self.part, pieces=pieces, delays=tuple(self.delays) if timed and any(self.delays) else None)


class _Recorder:
    """Writes down one event after the other."""

    def __init__(self, *, timed: bool) -> None:
        self._timed = timed
        self._time: float | None = None  # when the last delta came
        self._started = False
        self._drafts: list[_Draft] = []
        self._turns: list[int] = []  # the drafts in the order in which something of them came
        self._calls: dict[str, int] = {}
        self._end: Event | None = None

    def add(self, event: Event) -> None:
        """Take the next event."""
        if self._time is None:
            self._time = event.time
        match event:
            case InferenceStarted():
                if self._started:
                    msg = "from_events: these are the events of several inferences; a script is one answer"
                    raise ScriptError(msg)
                self._started = True
            case TextDelta():
                self._speak(self._new(TextPart((), choice=event.choice)), event.text, event)
            case RefusalDelta():
                self._speak(self._same(RefusalPart((), choice=event.choice)), event.text, event)
            case ReasoningDelta():
                part = ReasoningPart((), event.summary, choice=event.choice)
                self._speak(self._same(part), event.text, event)
            case ToolCallStarted():
                self._calls[event.id] = self._new(ToolCallPart((), event.name, event.id, choice=event.choice))
                self._turns.append(self._calls[event.id])
            case ToolCallDelta() if event.id in self._calls:
                self._speak(self._calls[event.id], event.arguments, event)
            case ItemCompleted(item=Reasoning() as thought):
                self._thought(thought)
            case Citation():
                self._note(CitationPart(event.url or "", event.title or "", choice=event.choice))
            case Status():
                self._note(StatusPart(event.name))
            case Usage():
                self._note(UsagePart(event.input_tokens, event.output_tokens))
            case InferenceCompleted() | InferenceAborted() | InferenceFailure():
                self._end = event

    @property
    def heard(self) -> bool:
        """Whether there was anything of an answer."""
        return self._started or bool(self._drafts) or self._end is not None

    def _new(self, part: Part) -> int:
        self._drafts.append(_Draft(part))
        return len(self._drafts) - 1

    def _same(self, part: Part) -> int:
        """The draft that was written last, if it is such a part, or else a new one."""
        if self._turns and self._drafts[self._turns[-1]].part == part:
            return self._turns[-1]
        return self._new(part)

    def _speak(self, at: int, piece: str, event: Event) -> None:
        self._turns.append(at)
        self._drafts[at].pieces.append(piece)
        self._drafts[at].delays.append(self._since_the_last(event))

    def _since_the_last(self, event: Event) -> float:
        """Seconds since the last delta, of whole nanoseconds."""
        before, self._time = self._time or 0.0, event.time
        return max(round(event.time * 1e9) - round(before * 1e9), 0) / 1e9

    def _note(self, part: Part) -> None:
        self._turns.append(self._new(part))

    def _thought(self, thought: Reasoning) -> None:
        """What only the finished item says: its signature, or its encrypted form."""
        sealed = thought.signature or thought.encrypted
        if sealed is None:
            return
        if not thought.text and not thought.summary:
            self._note(ReasoningPart((), redacted=sealed, choice=thought.choice))
            return
        for draft in reversed(self._drafts):
            if isinstance(draft.part, ReasoningPart) and draft.pieces and draft.part.choice == thought.choice:
                draft.part = replace(draft.part, signature=sealed)
                return

    def finish(self) -> list[Part]:
        """The parts. Those whose pieces came by turns are one part."""
        lasts = {at: n for n, at in enumerate(self._turns)}
        parts: list[Part] = []
        group: list[int] = []
        end = -1
        for n, at in enumerate(self._turns):
            group.append(at)
            end = max(end, lasts[at])
            if n == end:
                parts += self._group(group)
                group = []
        return [*parts, *self._ending()]

    def _group(self, turns: list[int]) -> list[Part]:
        drafts = [self._drafts[at] for at in dict.fromkeys(turns)]
        for draft in drafts:
            if isinstance(draft.part, ToolCallPart) and not draft.pieces:
                draft.pieces, draft.delays = [""], [0.0]  # a call that was announced, and had no arguments
        spoken = [draft for draft in drafts if draft.pieces]
        if len(spoken) < 2:
            return [draft.finish(timed=self._timed) for draft in drafts]
        places = {id(draft): n for n, draft in enumerate(spoken)}
        left = {id(draft): len(draft.pieces) for draft in spoken}
        order = []
        announced: set[int] = set()
        for at in turns:
            draft = self._drafts[at]
            call = isinstance(draft.part, ToolCallPart)
            if id(draft) not in places or (call and at not in announced and left[id(draft)] < turns.count(at)):
                announced.add(at)
                continue
            order.append(places[id(draft)])
            left[id(draft)] -= 1
        parts = tuple(part for part in (d.finish(timed=self._timed) for d in spoken) if isinstance(part, Speech))
        notes = [draft.part for draft in drafts if not draft.pieces]
        return [Interleaved(parts, tuple(order)), *notes]

    def _ending(self) -> list[Part]:
        """How it ends, and how long after the last delta."""
        late = self._since_the_last(self._end) if self._end is not None else 0.0
        wait: list[Part] = [Pause(late)] if late and self._timed else []
        match self._end:
            case InferenceCompleted(finish_reason=reason):
                if reason is None or reason in _AS_EVER:
                    return wait
                return [FinishPart("length" if reason in _TOO_LONG else reason), *wait]
            case InferenceFailure(kind="transport") | None:
                return [*wait, Disconnect()]
            case InferenceFailure(message=message):
                code, _, said = message.partition(": ")
                known = said and code.replace("_", "").isalnum()
                return [*wait, ErrorPart(code if known else "server_error", said if known else message)]
            case _:  # it was aborted: what the provider would have said is not known
                return [*wait, Stall()]
