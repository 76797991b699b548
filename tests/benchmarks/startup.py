"""Start-up: what having the plugin installed adds to every run of pytest, in processor time. Peers' plugins beside it."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable

from tests.benchmarks.table import Row

RUNS = 15
BUDGET = 10  # ms
PEERS = {"pytest-recording": "pytest_recording.plugin", "respx": "respx.plugin", "syrupy": "syrupy"}


def start(*plugins: str) -> float:
    """Milliseconds of processor time of a run of pytest with those plugins, and no others, on nothing."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # users compile each module once, not in every run
    options = [option for plugin in plugins for option in ("-p", plugin)]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            folder,
            *options,
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environment, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ((after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)) * 1e3


def added(plugin: list[str], before: list[str]) -> list[float]:
    """What those plugins add to these, in milliseconds: run for run, in order of speed, the quicker half.

    What slows a start-up down is never the start-up; so the slower half says more of the machine than of the plugin.
    """
    start(*before, *plugin)
    pairs = [(start(*before, *plugin), start(*before)) for _ in range(RUNS)]
    with_it, without = (sorted(each)[: RUNS // 2 + 1] for each in zip(*pairs, strict=True))
    return [a - b for a, b in zip(with_it, without, strict=True)]


def rows() -> Iterable[Row]:
    """The budget first, then what comes on top of bare pytest, then peers."""
    ours = "pytest_streamrt.plugin"
    yield Row("start-up, added to pytest with anyio's plugin", ours=added([ours], ["anyio"]), limit=BUDGET)
    yield Row("start-up, added to bare pytest, anyio's plugin included", ours=added(["anyio", ours], []))
    for name, plugin in PEERS.items():
        if importlib.util.find_spec(plugin.split(".")[0]) is None:
            yield Row(f"start-up, {name}", note="not installed")
        else:
            yield Row(f"start-up, {name}, added to bare pytest", ours=added([plugin], []))
