"""Replaces an attribute of somebody else's for as long as anyone needs it, however their times overlap."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["SharedPatch", "all_applied"]


class SharedPatch:
    """One attribute, replaced from the first use to the end of the last.

    Two clocks, or two portals, may overlap in time, and the first to begin may be the first to end. If each put back what
    it had found, the last would put back another's replacement, for good.

    Args:
        owner: a class, or a module.
        name: its attribute.
        replacement: gives what takes its place, from the original.
    """

    def __init__(self, owner: Any, name: str, replacement: Callable[[Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._replacement = replacement
        self._lock = threading.Lock()
        self._uses = 0
        self._original: Any = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """For the length of the block, the attribute is replaced."""
        with self._lock:
            self._uses += 1
            if self._uses == 1:
                self._original = inspect.getattr_static(self._owner, self._name)
                setattr(self._owner, self._name, self._replacement(getattr(self._owner, self._name)))
        try:
            yield
        finally:
            with self._lock:
                self._uses -= 1
                if self._uses == 0:
                    setattr(self._owner, self._name, self._original)


@contextmanager
def all_applied(patches: Iterable[SharedPatch]) -> Iterator[None]:
    """For the length of the block, the attributes of all of them are replaced."""
    with ExitStack() as applied:
        for patch in patches:
            applied.enter_context(patch.applied())
        yield
