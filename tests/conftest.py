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
