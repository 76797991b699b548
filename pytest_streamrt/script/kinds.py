"""What a script is made of: frozen data, a class for each kind of part. The functions that make them are in `parts`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, fields
from typing import ClassVar

__all__ = [
    "CitationPart",
    "Disconnect",
    "ErrorPart",
    "Fault",
    "FinishPart",
    "Group",
    "Interleaved",
    "Pace",
    "Part",
    "Pause",
    "ReasoningPart",
    "RefusalPart",
    "Speech",
    "Stall",
    "StatusPart",
    "TextPart",
    "ToolCallPart",
    "UsagePart",
]


@dataclass(frozen=True, repr=False)
class Part:
    """Base of every part."""

    ends: ClassVar[bool] = False
    """Whether nothing can follow it."""

    def __repr__(self) -> str:
        """Only what differs from the default."""
        values = [(each, getattr(self, each.name)) for each in fields(self) if each.repr]
        given = (f"{each.name}={value!r}" for each, value in values if value != each.default)
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, repr=False)
class Speech(Part):
    """Base of what comes out in deltas: one for each piece.

    `choice` tells the alternatives of one answer apart. `delays` are the seconds before each piece, where they are not those
    of the script, as in one made from a recording.
    """

    pieces: tuple[str, ...]
    choice: int = field(default=0, kw_only=True)
    delays: tuple[float, ...] | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class TextPart(Speech):
    """A piece of the answer."""


@dataclass(frozen=True, repr=False)
class ReasoningPart(Speech):
    """Reasoning, or a summary of it; or, without pieces, reasoning of which there is only the encrypted form."""

    summary: bool = False
    signature: str | None = None
    redacted: str | None = None


@dataclass(frozen=True, repr=False)
class RefusalPart(Speech):
    """The model refuses, and says so."""


@dataclass(frozen=True, repr=False)
class ToolCallPart(Speech):
    """A tool call; `pieces` joined are its arguments, as JSON text. A script gives it an `id` where it has none."""

    name: str = ""
    id: str | None = None
    numbered: bool = field(default=False, kw_only=True, compare=False, repr=False)
    """Whether the id is from the script: another script that takes the part over gives it one of its own."""


@dataclass(frozen=True, repr=False)
class Interleaved(Part):
    """Parts that are spoken by turns: one piece of each, over and over, as long as it has any.

    `order` says whose turn it is, by the part's place, where it is another order.
    """

    parts: tuple[Speech, ...]
    order: tuple[int, ...] | None = None

    def turns(self) -> list[tuple[int, int]]:
        """Whose turn it is, one after the other: the part's place, and the place of its piece."""
        if self.order is not None:
            numbers = [itertools.count() for _ in self.parts]
            return [(at, next(numbers[at])) for at in self.order]
        longest = max((len(part.pieces) for part in self.parts), default=0)
        return [(at, i) for i in range(longest) for at, part in enumerate(self.parts) if i < len(part.pieces)]

    @property
    def pieces(self) -> tuple[str, ...]:
        """All pieces in the order in which they are spoken."""
        return tuple(self.parts[at].pieces[i] for at, i in self.turns())


@dataclass(frozen=True, repr=False)
class CitationPart(Part):
    """What has been said cites a source. No delta, and no time."""

    url: str
    title: str = ""
    text: str = ""
    choice: int = field(default=0, kw_only=True)


@dataclass(frozen=True, repr=False)
class StatusPart(Part):
    """A note on how the work goes. No delta, and no time."""

    name: str


@dataclass(frozen=True, repr=False)
class FinishPart(Part):
    """Why the answer ends, of one choice or of all. Nothing but usage comes after it."""

    reason: str
    choice: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, repr=False)
class UsagePart(Part):
    """The provider reports the tokens used. No delta, and no time."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, repr=False)
class Pause(Part):
    """Time passes before the next part."""

    seconds: float


@dataclass(frozen=True, repr=False)
class Pace(Part):
    """From here on the deltas come at these times: where scripts were put together."""

    every: float = 0.0
    ttft: float | None = None
    jitter: float = 0.0
    seed: int = 0


@dataclass(frozen=True, repr=False)
class Group(Part):
    """Several parts in the place of one. A script takes them out."""

    parts: tuple[str | Part, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Fault(Part):
    """Base of what goes wrong with a stream; most of it breaks the stream off.

    `after` and `exchange` say where, for a fault that is laid over a recording. In a script a fault stands where it is, or
    strikes after so many bytes of the body: `byte`.
    """

    ends = True
    byte: int | None = field(default=None, repr=False)
    after: int | None = field(default=None, repr=False)
    exchange: int | None = field(default=None, repr=False)


@dataclass(frozen=True, repr=False)
class Stall(Fault):
    """The stream stays open and says nothing more."""


@dataclass(frozen=True, repr=False)
class Disconnect(Fault):
    """The connection breaks."""


@dataclass(frozen=True, repr=False)
class ErrorPart(Fault):
    """The provider reports an error: an HTTP status where nothing has been said yet, else an error in the stream."""

    code: int | str
    message: str
    retry_after: float | None = field(default=None, kw_only=True)
