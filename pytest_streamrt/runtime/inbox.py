"""How much of what others say may wait for a participant, and what gives way when it is more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pytest_streamrt.numbers import require_whole

__all__ = ["Inbox"]

__tracebackhide__ = True  # what is raised here is about what was given, also in what makes a dataclass

Policy = Literal["block", "drop_oldest", "coalesce", "unbounded"]


@dataclass(frozen=True)
class Inbox:
    """A participant's stance towards what it has yet to hear. Make one with the four class methods.

    It is about deltas alone: any other event always arrives, and arrives whole.

    Attributes:
        policy: which of the four it is.
        capacity: how many deltas may wait; None for any number.

    Raises:
        TypeError: the capacity is no whole number.
        ValueError: it is below 1, or there is no such policy.
    """

    policy: Policy
    capacity: int | None = None

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            makers = ", ".join(f"Inbox.{name}" for name in get_args(Policy))
            msg = f"there is no inbox {self.policy!r}; write one of {makers}"
            raise ValueError(msg)
        if self.policy == "unbounded":
            if self.capacity is not None:
                msg = f"an unbounded inbox has no capacity, and not {self.capacity!r}. Write Inbox.unbounded()"
                raise ValueError(msg)
            return
        require_whole(f"Inbox.{self.policy}: the capacity", self.capacity, 1)

    def __repr__(self) -> str:
        return f"Inbox.{self.policy}({'' if self.capacity is None else self.capacity})"

    @classmethod
    def block(cls, n: int) -> Inbox:
        """Lose nothing: streams wait while n events do. The one being handled counts until its handler has returned."""
        return cls("block", n)

    @classmethod
    def drop_oldest(cls, n: int) -> Inbox:
        """Hold nobody up: when n deltas wait, the oldest of them goes for a new one. The one being handled does not count.

        Each gap is in the transcript, as `deltas.dropped`.
        """
        return cls("drop_oldest", n)

    @classmethod
    def coalesce(cls, n: int) -> Inbox:
        """Lose no text: when n deltas wait, a new one is added to the last of them, where it goes on with the same item.

        Where it does not (another inference, another kind, or an event between the two), streams wait. The one being
        handled does not count.
        """
        return cls("coalesce", n)

    @classmethod
    def unbounded(cls) -> Inbox:
        """Lose nothing and hold nobody up. More than 10,000 waiting events are worth a `StreamrtWarning`, once.

        Where warnings are errors, leaving the room raises it, and nothing is interrupted.
        """
        return cls("unbounded")
