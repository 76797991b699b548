"""One clock that drives all of it: virtual time for tests, real time elsewhere."""

from __future__ import annotations

from pytest_streamrt.clock.current import active_clock, now_ns, sleep_blocking_until, sleep_until, turn
from pytest_streamrt.clock.leaks import LeakWatch, no_task_leaks, note_open, report_left
from pytest_streamrt.clock.timeline import NS, ClockOptions, LeakPolicy, RealIO, VirtualClock
from pytest_streamrt.clock.virtual import virtual_time

__all__ = [
    "NS",
    "ClockOptions",
    "LeakPolicy",
    "LeakWatch",
    "RealIO",
    "VirtualClock",
    "active_clock",
    "no_task_leaks",
    "note_open",
    "now_ns",
    "report_left",
    "sleep_blocking_until",
    "sleep_until",
    "turn",
    "virtual_time",
]
