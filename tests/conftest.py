"""What every test may use: pytest in a subprocess, and hypothesis without clocks."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["pytester"]

# Deadlines measure real time, which no test here may depend on.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")
