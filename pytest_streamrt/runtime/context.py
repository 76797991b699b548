"""What a model is given to go on from: the durable items so far, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, get_args

from pytest_streamrt.events.items import Item

__all__ = ["ModelContext"]

_ITEMS: Final = get_args(Item)


class ModelContext:
    """The items a model sees. An agent adds what it is asked and what it answers; a test may read or add any."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        __tracebackhide__ = True
        if isinstance(items, str) or not isinstance(items, Iterable):
            msg = f"ModelContext: items come in a list, such as [Message('Be brief.', role='system')], not {items!r}"
            raise TypeError(msg)
        self._items: list[Item] = []
        self.add(*items)

    def add(self, *items: Item) -> None:
        """Append items.

        Raises:
            TypeError: one of them is none.
        """
        __tracebackhide__ = True
        for item in items:
            if not isinstance(item, _ITEMS):
                msg = f"ModelContext: {item!r:.80} is no item. Items are {', '.join(each.__name__ for each in _ITEMS)}, of pytest_streamrt.events"
                raise TypeError(msg)
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
