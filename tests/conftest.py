"""What every test may use: pytest in a subprocess, and hypothesis without clocks."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.loopback import serve

pytest_plugins = ["pytester", "tests.chromium", "tests.userproject"]

# Deadlines measure real time, which no test here may depend on.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture
def server():
    """A real HTTP server on loopback; see `tests.loopback`."""
    with serve() as server:
        yield server


# What starts pytest, a browser or a server in a process of its own, or runs the examples of the documentation.
_SLOW_FIXTURES = frozenset({"browser", "nginx", "project", "pytester"})
_SLOW_FOLDERS = ("tests/cli/", "tests/docs/")


def pytest_configure(config):
    """Register the marker, whatever configuration the tests run under."""
    config.addinivalue_line(
        "markers", "slow: starts another process, or runs the documentation; tests/conftest.py says which"
    )


def pytest_collection_modifyitems(items):
    """Mark what takes long: CI runs all of it on one CPython alone, so that the whole fits a quarter of an hour."""
    for item in items:
        if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or item.nodeid.startswith(_SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
