"""The options of the report, and its hooks: a page for each test that has a transcript, and an index of the run's pages.

Imported only where a report is asked for, so that others do not pay for it. Each process writes the pages of its own
tests; under pytest-xdist what the index says of them travels with the tests' reports, and the controller writes it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_streamrt.plugin.options import option
from pytest_streamrt.plugin.state import state_of
from pytest_streamrt.wording import counted

if TYPE_CHECKING:
    from pytest_streamrt.cassette.redact import Redactor

__all__ = ["begin_report"]

_PAGE: Final = "streamrt_page"  # the attribute of a test's report that says what the index is to say
_LONGEST: Final = 100  # characters of a test's name in a file's
_PHASES = pytest.StashKey[dict[str, pytest.TestReport]]()


def begin_report(config: pytest.Config) -> None:
    """Have the run's pages written."""
    config.pluginmanager.register(_Report(config, option(config, "streamrt_report")), "streamrt-report")


class _Report:
    """Writes pages as tests end, and the index when all have."""

    def __init__(self, config: pytest.Config, when: str) -> None:
        given = config.getoption("streamrt_output")
        base = config.invocation_params.dir if given else config.rootpath
        self._folder: Path = base / option(config, "streamrt_output")
        _check_writable(self._folder)
        self._when = when
        self._is_worker = hasattr(config, "workerinput")
        self._pages: dict[str, dict[str, Any]] = {}
        self._unwritten = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep how each phase of a test went; after the last, write its page."""
        report = yield
        phases = item.stash.setdefault(_PHASES, {})
        if report.when == "setup":
            phases.clear()  # it may be run again
        phases[report.when] = report
        if report.when == "teardown":
            setattr(report, _PAGE, self._write_page(item, phases))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down what the index is to say; also of the tests of other processes."""
        page = getattr(report, _PAGE, None)
        if report.when == "teardown":
            self._pages.pop(report.nodeid, None)  # of an earlier run of it
        if page is not None and "unwritten" in page:
            self._unwritten = page["unwritten"]
        elif page is not None:
            self._pages[report.nodeid] = page

    def pytest_sessionfinish(self) -> None:
        """Write the index."""
        if self._is_worker or not self._pages:
            return
        from pytest_streamrt.report.html import index_page

        outcomes = [page["outcome"] for page in self._pages.values()]
        counts = ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(outcomes))
        summary = f"{counted(len(outcomes), 'test')} with a transcript: {counts}."
        try:
            _write(self._folder / "index.html", index_page(list(self._pages.values()), summary=summary))
        except OSError as error:
            self._unwritten = f"{self._folder / 'index.html'}: {error.strerror or error}"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the pages are."""
        if self._unwritten:
            terminalreporter.write_sep("-", "streamrt report")
            terminalreporter.write_line(f"pages are missing, for they could not be written, the last {self._unwritten}")
        elif self._pages:
            terminalreporter.write_sep("-", "streamrt report")
            terminalreporter.write_line(f"{counted(len(self._pages), 'page')}: {self._folder / 'index.html'}")

    def _write_page(self, item: pytest.Item, phases: Mapping[str, pytest.TestReport]) -> dict[str, Any] | None:
        path = self._folder / _file_name(item.nodeid)
        transcript = state_of(item).transcript_made
        failed = [report for report in phases.values() if report.failed]
        if transcript is None or not transcript.events or (self._when == "retain-on-failure" and not failed):
            path.unlink(missing_ok=True)  # of an earlier run
            return None
        from pytest_streamrt.report.html import timeline_page
        from pytest_streamrt.report.html_data import Problem, page_data

        outcome = "failed" if failed else "skipped" if any(r.skipped for r in phases.values()) else "passed"
        took = sum(report.duration for report in phases.values())
        data = page_data(
            transcript.logged,
            title=item.nodeid,
            virtual=transcript.virtual,
            outcome=outcome,
            facts=[f"the test took {took:.3f} s"],
            problems=[Problem(f"The test failed in its {r.when}", _reason(r)) for r in failed],
            leaks=transcript.leaks,
            redactor=_redactor_of(item),
            secrets=transcript.secrets,
            index=True,
        )
        try:
            _write(path, timeline_page(data))
        except OSError as error:  # a page that cannot be written is no reason for the run to break off
            return {"unwritten": f"{path}: {error.strerror or error}"}
        aborted = data["types"].index("inference.aborted") if "inference.aborted" in data["types"] else None
        return {
            "name": data["title"],
            "href": path.name,
            "outcome": outcome,
            "seconds": took,
            "events": len(data["events"]),
            "sources": data["sources"],
            "stopped": sum(row[2] == aborted for row in data["events"]),
            "problems": [problem["title"] for problem in data["problems"]],
        }


def _redactor_of(item: pytest.Item) -> Redactor | None:
    """What kept the test's cassette clean, or would have: then what is secret there is secret here."""
    config = getattr(item, "funcargs", {}).get("streamrt_config")
    if state_of(item).cassette is None and config is None:
        return None
    from pytest_streamrt.plugin.cassettes import redactor_for

    return redactor_for(item, config or {})


def _reason(report: pytest.TestReport) -> str:
    """Why it failed, as pytest says it, without the traceback where there is a message to be had."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message) if crash is not None and crash.message else report.longreprtext


def _file_name(nodeid: str) -> str:
    """A name that any file system and any link takes, told apart from all others by a hash."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", nodeid.replace("::", "."))[-_LONGEST:].strip("-.")
    return f"{readable}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}.html"


def _check_writable(folder: Path) -> None:
    """Find out before anything runs whether pages can be written there."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    problem = f"{there} is not a folder" if not there.is_dir() else f"nothing can be written in {there}"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise pytest.UsageError(f"--streamrt-report: {problem}. Choose another --streamrt-output")


def _write(path: Path, text: str) -> None:
    """Write it, whole or not at all."""
    from pytest_streamrt.cassette.replacing import replace_file

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, [text.encode()], sync=False)
