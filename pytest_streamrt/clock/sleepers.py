"""Threads that sleep on virtual time: a loop's worker threads, and the one outside that calls into it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_streamrt.clock.current import is_clock_thread
from pytest_streamrt.clock.threads import Threads, current_work

__all__ = ["Sleepers"]


class Sleepers:
    """The threads that a loop will wake: each at its time, and all of them when nobody drives it any more.

    Args:
        threads: where a thread that sleeps is noted as waiting.
        call_soon: has the loop call a function, from any thread.
        call_later: for the loop: has it call a function after so many seconds of virtual time.
    """

    def __init__(
        self,
        threads: Threads,
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._threads = threads
        self._call_soon = call_soon
        self._call_later = call_later
        self._lock = threading.Lock()  # for these two
        self._asleep: set[threading.Event] = set()
        self._over = False
        self.timed = 0
        """How many the loop will wake at a time that it knows; read and changed by the loop alone."""

    def sleep(self, seconds: float, wait: Callable[[threading.Event], None]) -> None:
        """For a thread: sleep for that much virtual time, or until nobody drives the loop.

        Args:
            seconds: of virtual time.
            wait: blocks the thread until that event is set.
        """
        woken = threading.Event()
        outside = is_clock_thread()
        work = current_work()

        def arm() -> None:
            if woken.is_set():
                return
            self.timed += 1
            unpark = self._threads.park(work, outside=outside)

            def wake() -> None:
                unpark()
                self.timed -= 1
                self._asleep.discard(woken)
                woken.set()

            self._call_later(seconds, wake)

        with self._lock:  # so that the loop comes to it, or to its end
            if self._over:
                return
            self._asleep.add(woken)
            self._call_soon(arm)
        wait(woken)

    def end(self) -> None:
        """For the loop: nobody drives it any more. Who sleeps wakes, and nobody falls asleep."""
        with self._lock:
            self._over = True
        for woken in self._asleep:
            woken.set()
