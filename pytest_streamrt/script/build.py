"""A whole script: its parts in order, and the times at which they come. Composition and timing live here."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.numbers import is_number, is_whole
from pytest_streamrt.script.kinds import (
    Fault,
    Group,
    Interleaved,
    Pace,
    Part,
    Pause,
    ReasoningPart,
    Speech,
    TextPart,
    ToolCallPart,
)
from pytest_streamrt.script.parts import require_time
from pytest_streamrt.wording import counted

__all__ = ["Script", "Step", "build"]

__tracebackhide__ = True  # what is raised here is about what was given, and is shown where that was


@dataclass(frozen=True)
class Step:
    """One thing to play.

    Attributes:
        delay: nanoseconds before it, counted from the step before it, or from the start.
        part: the part it belongs to.
        piece: the delta's text; None where the part is no speech.
        first: whether it is the first step of its part.
        last: whether it is the last step of its part.
    """

    delay: int
    part: Part
    piece: str | None
    first: bool = True
    last: bool = True


@dataclass(frozen=True)
class Script:
    """What a fake is to say, and when. Made by `script`; immutable; ``len(s)`` is its number of deltas."""

    parts: tuple[Part, ...]
    every: float = 0.0
    ttft: float | None = None
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.parts, tuple) or not all(isinstance(part, Part) for part in self.parts[:1]):
            msg = f"Script: what it is made of is checked by the function of that name: script('Hello.'), not Script({self.parts!r:.80})"
            raise ScriptError(msg)

    def __len__(self) -> int:
        return sum(len(part.pieces) for part in self.parts if isinstance(part, Speech | Interleaved))

    def __bool__(self) -> bool:
        return True  # a script of faults alone has no delta, and is still a script

    def __add__(self, other: Script | Part | str) -> Script:
        """First this, then that. Another script keeps its own times; a part comes at the times of this one."""
        return compose([self, other]) if isinstance(other, Script | Part | str) else NotImplemented

    def __radd__(self, other: Part | str) -> Script:
        """First that, at the times of this script, then this."""
        if not isinstance(other, Part | str):
            return NotImplemented
        return replace(self, parts=numbered(check((other, *self.parts), self.pace)))

    def __mul__(self, times: int) -> Script:
        """This, so many times over, one after the other."""
        if not is_whole(times):
            return NotImplemented
        if times < 1:
            msg = f"script * {times}: it is said at least once"
            raise ScriptError(msg)
        return compose([self] * times)

    __rmul__ = __mul__

    @property
    def pace(self) -> Pace:
        """When its deltas come, as a part."""
        return Pace(self.every, self.ttft, self.jitter, self.seed)

    @property
    def text(self) -> str:
        """All of the answer's text, in its first choice: what the strings say."""
        return "".join(
            piece for part in self.spoken() if isinstance(part, TextPart) and part.choice == 0 for piece in part.pieces
        )

    def spoken(self) -> Iterator[Part]:
        """The parts one by one, those that are spoken by turns one after the other."""
        for part in self.parts:
            if isinstance(part, Interleaved):
                yield from part.parts
            else:
                yield part

    def prefix(self, n: int) -> Script:
        """What had been said after the first n deltas, as a script that ends with the nth: faults and all come after."""
        if not is_whole(n, 0, len(self)):
            msg = f"prefix({n!r}): this script has {counted(len(self), 'delta')}"
            raise ScriptError(msg)
        said: list[Part] = []
        for part in self.parts:
            if n == 0:
                break
            if isinstance(part, Speech):
                said.append(_cut(part, n))
                n -= min(n, len(part.pieces))
            elif isinstance(part, Interleaved):
                said.append(_cut_turns(part, n))
                n -= min(n, len(part.pieces))
            else:
                said.append(part)
        return replace(self, parts=tuple(said))

    def steps(self) -> Iterator[Step]:
        """The script as it is played, one step after the other. The same script always gives the same steps."""
        delays = _delays(self.pace)
        waiting = 0.0
        for part in self.parts:
            if isinstance(part, Pause):
                waiting += part.seconds
            elif isinstance(part, Pace):
                delays = _delays(part)
            elif isinstance(part, Speech | Interleaved) and part.pieces:
                parts = part.parts if isinstance(part, Interleaved) else (part,)
                turns = part.turns() if isinstance(part, Interleaved) else [(0, i) for i in range(len(part.pieces))]
                for at, i in turns:
                    spoken = parts[at]
                    own = next(delays) if spoken.delays is None else spoken.delays[i]
                    delay = round((waiting + own) * 1e9)
                    yield Step(delay, spoken, spoken.pieces[i], first=i == 0, last=i == len(spoken.pieces) - 1)
                    waiting = 0.0
            else:
                yield Step(round(waiting * 1e9), part, None)
                waiting = 0.0
        if waiting:  # a pause before the end
            yield Step(round(waiting * 1e9), self.parts[-1], None)


def _delays(pace: Pace) -> Iterator[float]:
    """The delay of one delta after the other, in seconds."""
    rng = random.Random(pace.seed)  # noqa: S311 - repeatable times, not a secret
    for n in itertools.count():
        own = pace.ttft if n == 0 and pace.ttft is not None else pace.every
        yield own * (1 + rng.uniform(-pace.jitter, pace.jitter)) if pace.jitter else own


def _cut(part: Speech, n: int) -> Speech:
    """The part as far as its first n deltas. What comes after the last one, such as a signature, is not said then."""
    if n >= len(part.pieces):
        return part
    cut = replace(part, pieces=part.pieces[:n], delays=part.delays[:n] if part.delays is not None else None)
    return replace(cut, signature=None) if isinstance(cut, ReasoningPart) else cut


def _cut_turns(part: Interleaved, n: int) -> Interleaved:
    if n >= len(part.pieces):
        return part
    order = [at for at, _ in part.turns()[:n]]
    left = sorted(set(order))
    parts = tuple(_cut(part.parts[at], order.count(at)) for at in left)
    return Interleaved(parts, None if part.order is None else tuple(left.index(at) for at in order))


def build(
    parts: Sequence[str | Part | Script],
    *,
    every: float | None,
    ttft: float | None,
    tps: float | None,
    jitter: float,
    seed: int,
) -> Script:
    """Check what `script` was given, and make the script of it."""
    __tracebackhide__ = True
    if every is not None and tps is not None:
        msg = f"script: every={every} and tps={tps} both say how fast it goes; give one of them"
        raise ScriptError(msg)
    if tps is not None:
        if not (is_number(tps) and 0 < tps < math.inf):
            msg = f"script: tps={tps!r} deltas a second is no speed"
            raise ScriptError(msg)
        every = 1 / tps
    for name, seconds in (("every", every), ("ttft", ttft)):
        if seconds is not None:
            require_time(f"script: {name}", seconds)
    if not (is_number(jitter) and 0 <= jitter <= 1):
        msg = f"script: jitter={jitter!r} is a share of the delay, from 0 to 1"
        raise ScriptError(msg)
    if not is_whole(seed):
        msg = f"script: seed is a whole number, not {seed!r}"
        raise ScriptError(msg)
    pace = Pace(every or 0.0, ttft, jitter, seed)
    return Script(numbered(check(parts, pace)), pace.every, pace.ttft, pace.jitter, pace.seed)


def compose(pieces: Sequence[Script | Part | str]) -> Script:
    """One after the other, the first of them a script: each script at its own times, and a part at those before it."""
    first = pieces[0]
    assert isinstance(first, Script)
    parts: list[Part | str] = [*first.parts]
    for piece in pieces[1:]:
        parts += (piece.pace, *piece.parts) if isinstance(piece, Script) else (piece,)
    return replace(first, parts=numbered(check(parts, first.pace)))


def check(parts: Sequence[object], pace: Pace) -> list[Part]:
    """Check the parts of a script of that pace, and take those out that stand for several."""
    checked: list[Part] = []
    ending: Part | None = None
    for part in parts:
        if ending is not None and not isinstance(part, Pace):
            msg = f"script: {part!r} comes after {ending!r}, which ends the stream: it would never be played"
            raise ScriptError(msg)
        if isinstance(part, Script):
            # Where it has times, it keeps them, and the times of the script around it go on after it.
            after = replace(pace, ttft=None)
            checked += part.parts if part.pace == Pace() else (part.pace, *part.parts, after)
        elif isinstance(part, Group):
            checked += check(part.parts, pace)
        elif isinstance(part, str):
            if not part:
                msg = 'script: "" is no delta; pause(seconds) lets time pass'
                raise ScriptError(msg)
            checked.append(TextPart((part,)))
        elif isinstance(part, Fault) and (part.after is not None or part.exchange is not None):
            msg = (
                f"script: {part!r} says where in a recording it strikes; in a script a fault stands where it is to strike, "
                "without after= and exchange="
            )
            raise ScriptError(msg)
        elif isinstance(part, Part):
            checked.append(part)
        else:
            msg = f"script: {part!r:.80} is neither a string nor a part such as tool_call(…){_hint_at(part)}"
            raise ScriptError(msg)
        ending = next((each for each in checked[-2:] if each.ends), None)
    return _without_idle_paces(checked, pace)


def _hint_at(part: object) -> str:
    """What to write instead of what is no part, where that can be guessed."""
    if isinstance(part, list | tuple):
        return ". Give them one by one: script(*parts)"
    if callable(part):
        return f". It is to be called: {getattr(part, '__name__', 'it')}(…)"
    return ""


def _without_idle_paces(parts: Sequence[Part], pace: Pace) -> list[Part]:
    """The parts without the changes of pace that change nothing."""
    kept: list[Part] = []
    current, coming = pace, None
    for part in parts:
        if isinstance(part, Pace):
            coming = part
            continue
        # A pace with a first delay of its own, or with chance in it, begins anew; any other is the same all the time.
        if coming is not None and (coming != current or coming.ttft is not None or coming.jitter):
            kept.append(coming)
            current = coming
        coming = None
        kept.append(part)
    return kept


def numbered(parts: Sequence[Part], taken: Collection[str | None] = ()) -> tuple[Part, ...]:
    """The parts, with an id for each tool call that was given none: "call_0" and so on, but for those that are taken."""
    calls = [part for part in Script(tuple(parts)).spoken() if isinstance(part, ToolCallPart)]
    taken = {*taken, *(call.id for call in calls if not call.numbered)}
    free = (id for id in map("call_{}".format, itertools.count()) if id not in taken)

    def with_id(part: Part) -> Part:
        if isinstance(part, ToolCallPart) and (part.id is None or part.numbered):
            return replace(part, id=next(free), numbered=True)
        if isinstance(part, Interleaved):
            return replace(part, parts=tuple(each for each in map(with_id, part.parts) if isinstance(each, Speech)))
        return part

    return tuple(map(with_id, parts))
