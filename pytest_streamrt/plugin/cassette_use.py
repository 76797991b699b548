"""Who uses which cassette, over the whole run and all its processes: one test records each, and none is left over.

Under pytest-xdist the processes share a folder of claims, which the controller makes and removes; which cassettes were used
travels to the controller when a worker ends, and the controller alone reports.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from pytest_streamrt.plugin.options import option
from pytest_streamrt.plugin.recorded import RecordedErrors

__all__ = ["begin_use", "claim", "namesake"]

_CLAIMS: Final = "streamrt_claims"
_USED: Final = "streamrt_used"

_recorders = pytest.StashKey[dict[Path, str]]()
_named = pytest.StashKey[dict[Path, str]]()  # cassettes that are named after a test


def begin_use(config: pytest.Config) -> None:
    """Watch over the use of cassettes, as far as that is asked for."""
    if option(config, "streamrt_record") != "none":
        config.pluginmanager.register(_Claims(), "streamrt-claims")
        if not option(config, "streamrt_record_errors"):
            config.pluginmanager.register(RecordedErrors(config), "streamrt-recorded-errors")
    if option(config, "streamrt_unused"):
        config.pluginmanager.register(_Unused(config), "streamrt-unused")


def claim(config: pytest.Config, path: Path, test: str) -> str | None:
    """Claim a cassette for a test that is going to record it. Gives the test that has claimed it before, if it is another."""
    owners = config.stash.setdefault(_recorders, {})
    if path not in owners:
        folder = getattr(config, "workerinput", {}).get(_CLAIMS)
        owners[path] = test if folder is None else _claim_for_all(Path(folder), path, test)
    return owners[path] if owners[path] != test else None


def namesake(config: pytest.Config, path: Path, test: str) -> str | None:
    """Another test of this run whose cassette has that name by itself, if there was one in this process."""
    first = config.stash.setdefault(_named, {}).setdefault(path, test)
    return first if first != test else None


def _claim_for_all(folder: Path, path: Path, test: str) -> str:
    """The same among processes: a file for each cassette, which comes to be in one step, with its owner in it."""
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    mine = folder / f"{name}.{os.getpid()}"
    mine.write_text(test, encoding="utf-8")
    try:
        os.link(mine, folder / name)
    except FileExistsError:
        return (folder / name).read_text(encoding="utf-8")
    finally:
        mine.unlink()
    return test


class _Claims:
    """On the controller of pytest-xdist: the folder that its workers share."""

    def __init__(self) -> None:
        self._folder: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A worker is about to start."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="pytest-streamrt-")
        node.workerinput[_CLAIMS] = self._folder

    def pytest_unconfigure(self) -> None:
        """The run is over."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Unused:
    """Finds the cassettes that are no test's. Registered only where that is asked for."""

    def __init__(self, config: pytest.Config) -> None:
        from pytest_streamrt.cassette.use import observers

        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        self._used: set[str] = set()  # those that were opened, and those of tests that were collected
        self._roots: set[str] = set()
        self._lost = False  # whether a worker did not live to tell
        self._unused: list[Path] = []
        self._why_not = ""
        self._observers = observers
        observers.append(self._note)

    def pytest_unconfigure(self) -> None:
        """The run is over."""
        self._observers.remove(self._note)

    def _note(self, path: Path) -> None:
        self._used.add(str(path.resolve()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Before any is deselected: what belongs to a test that is not run now is used all the same."""
        from pytest_streamrt.plugin.cassettes import cassette_path, cassette_root, is_name

        for item in items:
            self._roots.add(str(cassette_root(item).resolve()))
            names = [mark.kwargs["cassette"] for mark in item.iter_markers("streamrt") if "cassette" in mark.kwargs]
            name = names[0] if names else None
            if is_name(name):
                self._note(cassette_path(item, name))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """On the controller: a worker has ended."""
        del error
        told = getattr(node, "workeroutput", {}).get(_USED)
        if told is None:
            self._lost = True
            return
        self._used.update(told["used"])
        self._roots.update(told["roots"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller; or, there, look."""
        if self._is_worker:
            output = self._config.workeroutput  # type: ignore[attr-defined]
            output[_USED] = {"used": sorted(self._used), "roots": sorted(self._roots)}
            return
        self._why_not = self._partial(session)
        if self._why_not:
            return
        found = {path for root in self._roots for path in _cassettes_in(Path(root))}
        self._unused = sorted(path for path in found if str(path) not in self._used)
        if self._unused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was found."""
        if self._why_not:
            terminalreporter.write_sep("=", "cassettes that no test uses")
            terminalreporter.write_line(f"not looked for: {self._why_not}")
        if not self._unused:
            return
        terminalreporter.write_sep("=", "cassettes that no test uses")
        here = self._config.invocation_params.dir
        for path in self._unused:
            with contextlib.suppress(ValueError):
                path = path.relative_to(here)  # noqa: PLW2901 - the same, shorter
            terminalreporter.write_line(str(path))
        terminalreporter.write_line(
            "No test that was collected has them, and none opened them. Delete them, or rename them after their tests."
        )

    def _partial(self, session: pytest.Session) -> str:
        """Why nobody can tell what is unused, or "" where one can."""
        config = self._config
        given = (argument.split("::")[0] for argument in config.args)
        if any("::" in each for each in config.args) or not all(_is_folder(config, each) for each in given):
            return "only some of the tests were asked for; give folders, or nothing"
        if any(config.getoption(name, None) for name in ("lf", "ignore", "ignore_glob", "pyargs")):
            return "only some of the tests were collected"
        if self._lost:
            return "a worker crashed, and with it what it knew"
        if session.shouldstop or session.shouldfail or session.exitstatus not in (0, 1):
            return "the run was stopped"
        return ""


def _is_folder(config: pytest.Config, argument: str) -> bool:
    return (config.invocation_params.dir / argument).is_dir()


def _cassettes_in(root: Path) -> Iterable[Path]:
    for path in root.rglob("*.jsonl"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if b'"cassette": "pytest-streamrt"' in file.read(200):
                yield path.resolve()
