"""How messages count, and guess. Imports nothing until it is asked, so that every layer may use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["counted", "did_you_mean", "no_attribute"]


def counted(number: int, one: str, several: str = "") -> str:
    """So many of a thing: ``1 delta``, ``2 deltas``, ``10,000 deltas``.

    Args:
        number: how many there are.
        one: what one is called, with whatever agrees with it in number.
        several: what several are called, or none; without it, `one` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence to go after another, with a space in front: the known name that is most like it; "" where none is."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


def no_attribute(owner: object, name: str, guesses: Mapping[str, str]) -> str:
    """That an object has no such attribute, and which was likely meant: for ``__getattr__``.

    Args:
        owner: the object, which may not have been initialised, as while it is copied.
        name: the attribute that there is not.
        guesses: names from elsewhere that are not like the right one, each with that.
    """
    meant = ""
    if name in guesses:
        meant = f" Did you mean {guesses[name]!r}?"
    elif not name.startswith("_"):  # protocols ask for those, and expect that they may not be there
        meant = did_you_mean(name, (each for each in dir(owner) if not each.startswith("_")))
    return f"{type(owner).__name__} has no attribute {name!r}.{meant}"
