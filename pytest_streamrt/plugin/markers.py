"""Reads the arguments of the project's markers, and says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

__all__ = ["marker_arguments", "marker_of"]


def marker_of(item: pytest.Item, name: str) -> str:
    """A marker and its test, for a message about what is wrong with it."""
    return f"@pytest.mark.{name} of {item.nodeid}"


def marker_arguments(item: pytest.Item, name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a marker: those given closest to the test, else farther off, else the defaults.

    Fails the test where an argument is unknown, or positional.
    """
    arguments = dict(defaults)
    for marker in reversed(list(item.iter_markers(name))):
        unknown = [*map(repr, marker.args), *(key for key in marker.kwargs if key not in defaults)]
        if unknown:
            msg = f"{marker_of(item, name)} does not take {', '.join(unknown)}; it takes, by keyword: {', '.join(defaults)}"
            if marker.args:
                msg += f". Write {next(iter(defaults))}={marker.args[0]!r}"
            else:
                from pytest_streamrt.wording import did_you_mean

                msg += f".{did_you_mean(unknown[0], defaults)}".removesuffix(".")
            if any("record" in each for each in unknown):
                msg += ". What is recorded, the command line says: pytest --streamrt-record=once"
            pytest.fail(msg, pytrace=False)
        arguments.update(marker.kwargs)
    return arguments
