"""How messages count. Imports nothing, so that every layer may use it."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, several: str = "") -> str:
    """So many of a thing: ``1 delta``, ``2 deltas``, ``10,000 deltas``.

    Args:
        number: how many there are.
        one: what one is called, with whatever agrees with it in number.
        several: what several are called, or none; without it, `one` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
