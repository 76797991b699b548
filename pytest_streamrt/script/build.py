"""A whole script: its parts in order, and the times at which they come. Composition and timing live here."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.script.parts import Fault, Part, Pause, Speech, TextPart, ToolCallPart, require_time

__all__ = ["Script", "Step", "build"]


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

    def __len__(self) -> int:
        return sum(len(part.pieces) for part in self.parts if isinstance(part, Speech))

    def __bool__(self) -> bool:
        return True  # a script of faults alone has no delta, and is still a script

    @property
    def text(self) -> str:
        """All of the answer's text: what the strings say."""
        return "".join(piece for part in self.parts if isinstance(part, TextPart) for piece in part.pieces)

    def prefix(self, n: int) -> Script:
        """What had been said after the first n deltas, as a script that ends with the nth: faults and all come after."""
        if not 0 <= n <= len(self):
            msg = f"prefix({n}): this script has {len(self)} deltas"
            raise ScriptError(msg)
        said: list[Part] = []
        for part in self.parts:
            if n == 0:
                break
            if isinstance(part, Speech):
                said.append(replace(part, pieces=part.pieces[:n]))
                n -= min(n, len(part.pieces))
            else:
                said.append(part)
        return replace(self, parts=tuple(said))

    def steps(self) -> Iterator[Step]:
        """The script as it is played, one step after the other. The same script always gives the same steps."""
        rng = random.Random(self.seed)  # noqa: S311 - repeatable times, not a secret
        waiting = 0.0
        deltas = 0
        for part in self.parts:
            if isinstance(part, Pause):
                waiting += part.seconds
            elif isinstance(part, Speech) and part.pieces:
                last = len(part.pieces) - 1
                for i, piece in enumerate(part.pieces):
                    own = self.ttft if deltas == 0 and self.ttft is not None else self.every
                    if self.jitter:
                        own *= 1 + rng.uniform(-self.jitter, self.jitter)
                    yield Step(round((waiting + own) * 1e9), part, piece, first=i == 0, last=i == last)
                    waiting = 0.0
                    deltas += 1
            else:
                yield Step(round(waiting * 1e9), part, None)
                waiting = 0.0
        if waiting:  # a pause before the end
            yield Step(round(waiting * 1e9), self.parts[-1], None)


def build(
    parts: Sequence[str | Part],
    *,
    every: float | None,
    ttft: float | None,
    tps: float | None,
    jitter: float,
    seed: int,
) -> Script:
    """Check what `script` was given, and make the script of it."""
    checked: list[Part] = []
    for part in parts:
        if checked and checked[-1].ends:
            msg = f"script: {part!r} comes after {checked[-1]!r}, which ends the stream: it would never be played"
            raise ScriptError(msg)
        if isinstance(part, str):
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
            msg = f"script: {part!r} is neither a string nor a part such as tool_call(…)"
            raise ScriptError(msg)
    if every is not None and tps is not None:
        msg = f"script: every={every} and tps={tps} both say how fast it goes; give one of them"
        raise ScriptError(msg)
    if tps is not None:
        if not (isinstance(tps, int | float) and 0 < tps < math.inf):
            msg = f"script: tps={tps} deltas a second is no speed"
            raise ScriptError(msg)
        every = 1 / tps
    for name, seconds in (("every", every), ("ttft", ttft)):
        if seconds is not None:
            require_time(f"script: {name}", seconds)
    if not (isinstance(jitter, int | float) and 0 <= jitter <= 1):
        msg = f"script: jitter={jitter} is a share of the delay, from 0 to 1"
        raise ScriptError(msg)
    return Script(_with_ids(checked), every or 0.0, ttft, jitter, seed)


def _with_ids(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, with an id for each tool call that was given none: "call_0" and so on, but for those that are taken."""
    taken = {part.id for part in parts if isinstance(part, ToolCallPart)}
    free = (id for id in map("call_{}".format, itertools.count()) if id not in taken)
    return tuple(
        replace(part, id=next(free)) if isinstance(part, ToolCallPart) and part.id is None else part for part in parts
    )
