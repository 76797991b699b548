"""The moments that timers were asked for: floats of seconds, of which many lie within one nanosecond."""

from __future__ import annotations

from typing import Final

__all__ = ["Asked"]

_PRUNE: Final = 1_000  # moments, at the least, that are kept before those that have passed are swept out


class Asked(dict[int, float]):
    """By nanosecond: the latest moment within half of one that a timer was asked for, where that is a little after it.

    Such a moment is a loop's own time in that nanosecond: whoever compares the two (anyio's scopes do) must find that what
    was asked for has come when it has.
    """

    def __init__(self) -> None:
        super().__init__()
        self._prune_at = _PRUNE

    def note(self, ns: int, when: float, now: int) -> None:
        """A timer was asked for at that moment, and will fall due in that nanosecond; it is now that one."""
        self[ns] = max(when, self.get(ns, when))
        if len(self) > self._prune_at:
            for passed in [due for due in self if due < now]:
                del self[passed]
            self._prune_at = max(_PRUNE, 2 * len(self))  # else many that lie ahead would be gone through each time
