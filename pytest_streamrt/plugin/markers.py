"""Reads the arguments of the project's markers, and says what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

import pytest

__all__ = ["marker_arguments", "marker_of", "warn_of_marks_in_conftests"]

_OURS: Final = ("streamrt", "virtual_time", "real_time")


def marker_of(item: pytest.Item, name: str) -> str:
    """A marker and its test, for a message about what is wrong with it."""
    return f"@pytest.mark.{name} of {item.nodeid}"


def warn_of_marks_in_conftests(config: pytest.Config) -> None:
    """Warn of a `pytestmark` of ours in a conftest.py: pytest looks for none there, so its tests are not what they seem."""
    for module in config.pluginmanager.get_plugins():
        if not isinstance(module, ModuleType) or not hasattr(module, "pytestmark"):
            continue
        given = module.pytestmark
        names = {getattr(each, "name", None) for each in (given if isinstance(given, list | tuple) else [given])}
        for name in _OURS:
            if name in names:
                from pytest_streamrt.errors import StreamrtWarning

                msg = (
                    f"{module.__file__} has pytestmark = pytest.mark.{name}, and pytest looks for no marks there: no test has it. "
                    "Put it into each test module; or mark all tests in conftest.py: def pytest_collection_modifyitems(items), "
                    f"with item.add_marker(pytest.mark.{name}) for each"
                )
                try:
                    warnings.warn(StreamrtWarning(msg), stacklevel=1)
                except StreamrtWarning:  # which an error is made of
                    raise pytest.UsageError(msg) from None


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
