"""A user's project in an empty folder, in which pytest is run for real, in a process of its own: the fixture `project`."""

from __future__ import annotations

import pytest

HANGS = 120  # real seconds after which a run counts as one that hangs
# Plugins of others that take longer to import than most of these runs take. A test that is about one puts it in again: -p respx
LEFT_OUT = "-p no:hypothesispytest -p no:langsmith_plugin -p no:rerunfailures -p no:respx"
INI = f"""
[pytest]
addopts = -p no:cacheprovider -p no:randomly {LEFT_OUT} --strict-markers
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Write test files with ``project.write(…)``, and run them with ``project.run(…)``."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("CI", raising=False)  # where it is set, pytest's summary says everything once more
    pytester.makefile(".ini", pytest=INI)
    return Project(pytester, monkeypatch)


class Project:
    """The user's folder."""

    def __init__(self, pytester, monkeypatch):
        self.path = pytester.path
        self._pytester = pytester
        self._monkeypatch = monkeypatch

    def write(self, source, name="test_mine"):
        """Write a test file."""
        self._pytester.makepyfile(**{name: source})

    def ini(self, line):
        """Add a line to the configuration."""
        ini = self.path / "pytest.ini"
        ini.write_text(f"{ini.read_text()}\n{line}\n")

    def run(self, *arguments):
        """Run pytest; gives its result, with `stdout` and `assert_outcomes`."""
        return self._pytester.runpytest_subprocess(*arguments, timeout=HANGS)

    def record(self, *arguments, mode="once"):
        """Run pytest in a mode that records, which needs a key."""
        with self._monkeypatch.context() as patched:
            patched.setenv("OPENAI_API_KEY", "sk-real-0123456789abcdef")
            return self.run(*arguments, *([f"--streamrt-record={mode}"] if mode else []))
