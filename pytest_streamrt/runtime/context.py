"""What a model is given to go on from: the durable items so far, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_streamrt.events.items import Item

__all__ = ["ModelContext"]


class ModelContext:
    """The items a model sees. An agent adds what it is asked and what it answers; a test may read or add any."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items: list[Item] = list(items)

    def add(self, *items: Item) -> None:
        """Append items."""
        self._items.extend(items)

    @property
    def items(self) -> tuple[Item, ...]:
        """The items so far."""
        return tuple(self._items)

    def copy(self) -> ModelContext:
        """A context of its own with the same items."""
        return ModelContext(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"ModelContext({self._items!r})"
