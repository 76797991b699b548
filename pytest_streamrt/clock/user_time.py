"""Makes the module `time` tell virtual time to the test, and to the worker threads it sends to work. To nobody else.

`time.monotonic` and `time.time` go on from where they were, so that what was noted before the test still lies in the past;
`time.perf_counter`, of which only differences mean anything, begins at 0, where floats are finest.

What was imported by name before (``from time import monotonic``) is out of reach, and so is `datetime.datetime.now`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pytest_streamrt.clock.current import active_clock, asyncio_loop_here, is_clock_thread
from pytest_streamrt.clock.patching import SharedPatch, all_applied
from pytest_streamrt.clock.timeline import NS, VirtualClock

__all__ = ["patched_time"]

_real: Final[dict[str, Callable[..., Any]]] = {
    name: getattr(time, name)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")
}


@contextmanager
def patched_time(clock: VirtualClock) -> Iterator[None]:
    """While the block runs, `time` is virtual where that clock runs, unless its options say otherwise."""
    if not clock.options.patch_time:
        yield
        return
    if clock.began_ns is None:
        clock.began_ns = (_real["time_ns"]() - clock.ns, _real["monotonic_ns"]() - clock.ns)
    with all_applied(_PATCHES):
        yield


def _clock() -> tuple[VirtualClock, tuple[int, int]] | None:
    """The clock that tells this thread the time, and where it began."""
    clock = active_clock()
    if clock is None or clock.began_ns is None:
        return None
    if not is_clock_thread() and asyncio_loop_here() is not None:
        return None  # a loop that a worker thread runs by itself: it waits in real time, and must see that pass
    return clock, clock.began_ns


def _time_ns() -> int:
    found = _clock()
    ns: int = _real["time_ns"]() if found is None else found[1][0] + found[0].read()
    return ns


def _time() -> float:
    return _time_ns() / NS


def _monotonic_ns() -> int:
    found = _clock()
    ns: int = _real["monotonic_ns"]() if found is None else found[1][1] + found[0].read()
    return ns


def _monotonic() -> float:
    return _monotonic_ns() / NS


def _perf_counter_ns() -> int:
    found = _clock()
    ns: int = _real["perf_counter_ns"]() if found is None else found[0].read()
    return ns


def _perf_counter() -> float:
    return _perf_counter_ns() / NS


def _sleep(seconds: float, /) -> None:
    __tracebackhide__ = True
    found = _clock()
    if found is None or not isinstance(seconds, int | float) or not seconds >= 0:
        _real["sleep"](seconds)  # which says what is wrong with it
    else:
        found[0].sleep(seconds)


def _patch(name: str, replacement: Callable[..., Any]) -> SharedPatch:
    return SharedPatch(time, name, lambda _: replacement)


_PATCHES: Final = (
    _patch("time", _time),
    _patch("time_ns", _time_ns),
    _patch("monotonic", _monotonic),
    _patch("monotonic_ns", _monotonic_ns),
    _patch("perf_counter", _perf_counter),
    _patch("perf_counter_ns", _perf_counter_ns),
    _patch("sleep", _sleep),
)
