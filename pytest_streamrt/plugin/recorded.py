"""What a run that records says at its end: which cassettes it has made of nothing but errors.

What was recorded is known when a test has been torn down. It goes to the controller of pytest-xdist with the report of that.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, Final

import pytest

from pytest_streamrt.plugin.state import state_of

__all__ = ["RecordedErrors"]

_TOLD: Final = "streamrt_recorded_errors"


class RecordedErrors:
    """Registered only in a run that records."""

    def __init__(self, config: pytest.Config) -> None:
        self._here = config.invocation_params.dir

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """The report of a test that has recorded nothing but errors says so."""
        report = yield
        cassette = state_of(item).cassette
        if call.when == "teardown" and cassette is not None and cassette.recorded_errors is not None:
            path = os.path.relpath(cassette.path, self._here)
            setattr(report, _TOLD, f"{path}: {cassette.recorded_errors}")
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say it, and what to do."""
        reports = (each for group in terminalreporter.stats.values() for each in group)
        told = dict.fromkeys(line for each in reports if (line := getattr(each, _TOLD, None)))
        if not told:
            return
        terminalreporter.write_sep("=", "cassettes recorded with nothing but errors")
        for line in told:
            terminalreporter.write_line(line)
        terminalreporter.write_line(
            "These are played from now on. If it was a mishap, such as a wrong key, or no network, mend that and record them "
            "again: pytest --streamrt-record=rewrite. If errors are what a test is about, all is well; record it with "
            "--streamrt-record-errors, and this is not said."
        )
