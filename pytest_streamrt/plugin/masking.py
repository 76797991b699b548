"""Takes secrets out of the report of a test: what it captured, printed, and failed with.

Of a test that has a cassette, those that this knows; of one that fails and has a transcript, those of the environment and what
looks like a key; and what `assert_no_leak` was given, but for source lines and file names, which short words would garble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pytest_streamrt.plugin.state import state_of

__all__ = ["mask"]


def mask(item: pytest.Item, report: pytest.TestReport) -> None:
    """Replace every secret that is known, wherever it stands in the report."""
    state = state_of(item)
    redactor = state.cassette.redactor if state.cassette is not None else None
    clean_message: Callable[[Sequence[str]], list[str]] = list
    if report.failed and state.transcript_made is not None:
        from pytest_streamrt.cassette.redact import Redactor
        from pytest_streamrt.report import message_cleaner

        redactor = redactor or Redactor()
        clean_message = message_cleaner(state.transcript_made, redactor)
    if redactor is not None:
        _Mask(redactor.text, clean_message).report(report)


class _Mask:
    def __init__(self, clean: Callable[[str], str], clean_message: Callable[[Sequence[str]], list[str]]) -> None:
        self._clean = clean
        self._clean_message = clean_message

    def report(self, report: pytest.TestReport) -> None:
        report.sections = [(title, self._text(text)) for title, text in report.sections]
        report.longrepr = self._masked(report.longrepr)

    def _text(self, text: str) -> str:
        return self._clean("\n".join(self._clean_message(text.split("\n"))))

    def _masked(self, value: Any) -> Any:
        """That value with clean texts; pytest's own objects of a traceback are changed in place."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        if type(value) is tuple:
            return tuple(self._masked(each) for each in value)
        if type(value).__module__.startswith("_pytest._code"):
            for name, inner in vars(value).items():
                if name == "path":
                    setattr(value, name, self._clean(str(inner)))
                elif name == "lines" and hasattr(value, "reprfileloc"):
                    setattr(value, name, self._entry(inner))
                else:
                    setattr(value, name, self._masked(inner))
        return value

    def _entry(self, lines: Sequence[str]) -> list[str]:
        """The lines of an entry of a traceback: source, and then, each after an E, what the error says."""
        start = next((i for i, line in enumerate(lines) if line.startswith("E ")), len(lines))
        return list(map(self._clean, [*lines[:start], *self._clean_message(lines[start:])]))
