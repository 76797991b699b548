"""Takes secrets out of the report of a test that has a cassette: what it captured, printed, and failed with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_streamrt.plugin.state import state_of

__all__ = ["mask"]


def mask(item: pytest.Item, report: pytest.TestReport) -> None:
    """Replace every secret that the test's cassette knows of, wherever it stands in the report."""
    cassette = state_of(item).cassette
    assert cassette is not None
    clean = cassette.redactor.text
    report.sections = [(title, clean(text)) for title, text in report.sections]
    report.longrepr = _masked(report.longrepr, clean)


def _masked(value: Any, clean: Callable[[str], str]) -> Any:
    """That value with clean texts; pytest's own objects of a traceback are changed in place."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_masked(each, clean) for each in value]
    if type(value) is tuple:
        return tuple(_masked(each, clean) for each in value)
    if type(value).__module__.startswith("_pytest._code"):
        for name, inner in vars(value).items():
            setattr(value, name, _masked(inner, clean))
    return value
