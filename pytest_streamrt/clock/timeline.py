"""The virtual timeline: integer nanoseconds, who waits for a turn, what holds it back, and when it gives up.

One timeline serves both backends. How a loop is made to follow it is the business of its driver (`asyncio_driver`,
`trio_driver`); what the time is, who may move it and how far, is decided here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

from pytest_streamrt.clock.threads import Threads, current_work, is_blocked
from pytest_streamrt.errors import ClockError, VirtualTimeStuck
from pytest_streamrt.numbers import is_number, require_seconds
from pytest_streamrt.wording import counted

__all__ = ["ClockOptions", "Driver", "LeakPolicy", "RealIO", "VirtualClock"]

_real_ns: Final = time.monotonic_ns
_real_sleep: Final = time.sleep
NS: Final = 1_000_000_000
_READS_A_SPIN: Final = 5  # reading the time costs about a fifth of an iteration of a loop

RealIO = Literal["settle", "hold", "error"]
"""What to do before a jump while a socket is open that is not ours."""

LeakPolicy = Literal["warn", "fail", "ignore"]
"""What to do about tasks, async generators and responses that a test leaves behind."""


@dataclass(frozen=True)
class ClockOptions:
    """How virtual time behaves, and how far it may go before a test counts as stuck.

    Attributes:
        real_io: before a jump while a socket is open that is not ours: "settle" waits `settle_time` for it and counts
            the jump as racy, "hold" waits for it, "error" fails the test.
        patch_time: whether `time.time`, `monotonic`, `perf_counter`, `sleep` and their ``_ns`` twins are virtual too.
        leaked_tasks: what to do about tasks, async generators and responses that the test leaves behind.
        max_virtual: seconds of virtual time a test may take.
        max_events: how often the clock may jump without any progress: no turn taken, nothing logged.
        watchdog: real seconds to wait for worker threads and sockets before giving up on them.
        settle_time: real seconds a live socket must be quiet before the clock jumps.
        spin_limit: how many loop iterations may pass without the clock moving, nor a turn taken.
    """

    real_io: RealIO = "settle"
    patch_time: bool = True
    leaked_tasks: LeakPolicy = "warn"
    max_virtual: float = 86_400.0
    max_events: int = 100_000
    watchdog: float = 10.0
    settle_time: float = 0.005
    spin_limit: int = 100_000

    def __post_init__(self) -> None:
        for name, choices in (("real_io", get_args(RealIO)), ("leaked_tasks", get_args(LeakPolicy))):
            if getattr(self, name) not in choices:
                msg = f"virtual_time: {name} is one of {', '.join(choices)}, not {getattr(self, name)!r}"
                raise ClockError(msg)
        if not isinstance(self.patch_time, bool):
            msg = f"virtual_time: patch_time is True or False, not {self.patch_time!r}"
            raise ClockError(msg)
        for name in ("max_virtual", "max_events", "watchdog", "settle_time", "spin_limit"):
            value = getattr(self, name)
            if not is_number(value) or not value > 0:
                msg = f"virtual_time: {name} is a number above 0, not {value!r}"
                raise ClockError(msg)


class Driver(Protocol):
    """What a backend does for the timeline."""

    thread: int
    """The thread that its loop runs in."""

    threads: Threads
    """Other threads, as far as the loop has to wait for them."""

    def wake(self) -> None:
        """Have the loop look again. For other threads."""
        ...

    def spawn(self, function: Callable[..., Coroutine[Any, Any, object]], *args: object) -> None:
        """Run that in a task of its own. From within the loop's thread, in or out of a task."""
        ...

    async def turn(self) -> None:
        """Wait in the queue of `VirtualClock.turn`."""
        ...

    async def settle(self) -> None:
        """Wait as `VirtualClock.settle` does."""
        ...

    def thread_sleep(self, seconds: float) -> None:
        """Let the calling worker thread sleep on virtual time."""
        ...

    def dump(self) -> str:
        """Every task, and where it waits: a line each."""
        ...


class VirtualClock:
    """A clock that jumps to the next thing to happen as soon as nothing is left to do.

    Use it through the fixture `virtual_clock`, or as what `virtual_time()` gives.
    """

    def __init__(self, options: ClockOptions | None = None) -> None:
        __tracebackhide__ = True
        if not isinstance(options, ClockOptions | None):
            msg = (
                f"VirtualClock: what it is made with are ClockOptions, not {options!r}. Most make it by virtual_time(…)"
            )
            raise TypeError(msg)
        self.options = options or ClockOptions()
        self.ns = 0
        """Virtual nanoseconds since it was switched on."""
        self.jumps = 0
        """How often it has jumped."""
        self.racy_jumps = 0
        """How often it has jumped while a socket was open that might have had more to say."""
        self.failure: VirtualTimeStuck | None = None
        """Why it gave up, if it did."""
        self.started = False
        """Whether it has been switched on."""
        self.running = False
        """Whether it is on."""
        self.began_ns: tuple[int, int] | None = None
        """What `time.time_ns` and `time.monotonic_ns` were at its 0, if they are virtual."""
        self.is_live = False
        """Whether a request of ours is on a real socket."""
        self._holds = 0
        self._live = 0
        self._live_since = 0
        self._spins = 0
        self._spinning_since = 0  # real time at which there were too many while somebody outside was at work
        self._reads = 0
        self._jumps_without_progress = 0
        self._furthest = self.options.max_virtual * NS
        self._drivers: list[tuple[Driver, Callable[[], None]]] = []  # the last of which is:
        self._driver: Driver | None = None
        self._cancel_body: Callable[[], None] | None = None

    @property
    def now(self) -> float:
        """Virtual seconds since it was switched on."""
        return self.ns / NS

    def __repr__(self) -> str:
        return f"<VirtualClock at {self.now:.9g} s>"

    def advance(self, seconds: float) -> None:
        """Move the time forward by hand. What falls due on the way runs when the caller next waits.

        Raises:
            TypeError: `seconds` is no number.
            ClockError: it is negative, for time does not run backwards; or it has no end.
        """
        __tracebackhide__ = True
        require_seconds(
            "virtual_clock.advance: how far the time moves forward, never back,", seconds, (TypeError, ClockError)
        )
        self.flow(self.ns + round(seconds * NS))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the time from moving, as long as something outside of the loop, such as a subprocess, is at work."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            driver = self._driver
            if driver is not None and driver.thread != threading.get_ident():
                driver.wake()

    @property
    def held(self) -> bool:
        """Whether somebody holds it, in whatever thread."""
        return self._holds > 0

    @contextmanager
    def live(self) -> Iterator[None]:
        """For requests on real sockets: meanwhile the time runs, but no faster than real time."""
        if not self._live:
            self._live_since = self.ns - _real_ns()
        self._live += 1
        self.is_live = True
        try:
            yield
        finally:
            self._live -= 1
            self.is_live = self._live > 0

    @property
    def live_ns(self) -> int:
        """For drivers: where the time would be by now, had it run with real time since the requests began."""
        return self._live_since + _real_ns()

    @contextmanager
    def live_blocking(self) -> Iterator[None]:
        """For requests on real sockets that block their thread: as much time passes as has really passed meanwhile."""
        began = _real_ns()
        try:
            yield
        finally:
            if self._driver is None or self._driver.thread == threading.get_ident():
                self.flow(self.ns + _real_ns() - began)

    async def turn(self) -> None:
        """Resume when nothing else can run, without moving the time: one waiter at a time, in the order of asking."""
        await self._driving().turn()

    async def settle(self) -> None:
        """Resume when nothing else can run and nobody waits for a turn: all that can happen now has happened."""
        await self._driving().settle()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread on virtual time.

        In a worker thread, others go on meanwhile. In the loop's own thread time passes at once, and nothing else happens.
        """
        driver = self._driver
        if driver is not None and driver.thread != threading.get_ident():
            driver.thread_sleep(seconds)
            return
        if driver is None and current_work() is not None:  # its loop has ended: nobody waits for it any more
            _real_sleep(seconds)
            return
        ns = self.ns + round(seconds * NS)
        problem = self._out_of_bounds(ns)
        if problem is not None:
            self.stuck(*problem, here=True)
        self.flow(ns)

    def read(self) -> int:
        """The time, for code that may be waiting for it to move."""
        self._reads += 1
        if self._reads > self.options.spin_limit * _READS_A_SPIN:
            self._reads = 0
            self.stuck(
                f"livelock: the time was read {counted(self.options.spin_limit * _READS_A_SPIN, 'time')}, and it has not moved",
                "Code that waits without sleeping, such as `while time.monotonic() < deadline: pass`: computing takes no "
                "virtual time.",
                "Sleep in the loop, or allow more: --streamrt-spin-limit. @pytest.mark.virtual_time(patch_time=False) gives "
                "it the real time.",
                here=True,
            )
        return self.ns

    def progress(self) -> None:
        """Something worth waiting for has happened: the test is not going nowhere."""
        self._spins = self._reads = self._spinning_since = 0
        self._jumps_without_progress = 0

    def spin(self, outside_at_work: Callable[[], bool]) -> None:
        """For drivers: one more iteration of the loop has begun without the clock moving.

        Somebody outside who is at work (a thread, a request on a real socket) may be what is waited for: anyio's cancel
        scopes, for one, try again in each iteration as long as a task cannot end. Then it counts as a livelock only when
        that does not report back.
        """
        self._reads = 0
        self._spins += 1
        if self._spins > self.options.spin_limit:
            self._spins = 0
            if outside_at_work():
                self._spinning_since = self._spinning_since or _real_ns()
                if _real_ns() - self._spinning_since < self.options.watchdog * NS:
                    return
            self.stuck(
                f"livelock: {counted(self.options.spin_limit, 'iteration')} of the loop, and the clock has not moved",
                "A task that runs again and again without sleeping, such as `while not done: await sleep(0)`.",
                "Wait for an event instead, or allow more: --streamrt-spin-limit.",
            )

    def flow(self, ns: int) -> None:
        """For drivers: real time has passed, up to `ns`."""
        if ns > self.ns:
            self.ns = ns
            self._spins = self._reads = self._spinning_since = 0

    def jump(self, ns: int) -> None:
        """For drivers: nothing is left to do at this instant; go to the next deadline, at `ns`."""
        problem = self._out_of_bounds(ns)
        if problem is not None:
            self.stuck(*problem)
            return
        self.flow(ns)
        self.jumps += 1

    def deadlock(self) -> None:
        """For drivers: no task can run, no timer is set, and nothing outside is at work."""
        self.stuck(
            "deadlock: every task waits, no timer is set, and nothing outside of the loop is at work",
            "Something is awaited that nobody is left to do: an event nobody sets, a stream that stalled without a "
            "timeout, or two tasks that wait for each other.",
            "Look at where each task waits. Give a wait that may last for ever a timeout.",
        )

    def no_answer(self, what: str) -> None:
        """For drivers: what the clock waited for in the real world has not come."""
        self.stuck(
            f"{what} did not report back within {self.options.watchdog:g} s of real time",
            "A worker thread or a peer that hangs; or a thread that waits for this loop unseen, as by "
            "asyncio.run_coroutine_threadsafe(…).result().",
            "Give it a timeout of its own, have it call by anyio.from_thread.run(…), or allow more: --streamrt-watchdog.",
        )

    def wait_for_loop(self, woken: threading.Event) -> None:
        """For drivers: block a worker thread that sleeps until the loop wakes it, unless that can never be."""
        while not woken.wait(self.options.watchdog):
            driver = self._driver
            if driver is not None and is_blocked(driver.thread):
                self.stuck(
                    "deadlock: a worker thread sleeps on virtual time, and the loop's own thread is blocked",
                    "The loop's thread waits for the worker, as ThreadPoolExecutor does when its block ends, and cannot move "
                    "the time meanwhile.",
                    "Await what the thread does before that.",
                    here=True,
                )

    def open_socket(self, which: str) -> None:
        """For drivers: the clock would jump while a socket is open, and the policy is that it must not."""
        self.stuck(
            f"the clock would jump while a socket is open, which real_io='error' forbids: {which}",
            "The test talks to the real world beside its virtual clock: what comes from there comes at a random moment.",
            "Record the traffic in a cassette, run it in process, or choose real_io='settle' or 'hold'.",
        )

    def stuck(self, what: str, cause: str, remedy: str, *, here: bool = False) -> None:
        """Give the test up: end its body by cancellation, or, if it outlives that, by an error out of its loop.

        Args:
            what: what happened.
            cause: what is likely to be behind it.
            remedy: what to do about it.
            here: raise where this is called: it is user code that does not come round to being cancelled.
        """
        tasks = self._driver.dump() if self._driver is not None else ""
        where = f"\n\nTasks, and where they wait:\n{tasks}" if tasks else ""
        failure = VirtualTimeStuck(
            f"{what}, at virtual t={self.now:.9g} s{where}\n\nLikely cause: {cause}\nRemedy: {remedy}"
        )
        again = self.failure is not None
        self.failure = self.failure or failure
        if here or again or self._cancel_body is None:
            raise failure
        self._cancel_body()

    def _out_of_bounds(self, ns: int) -> tuple[str, str, str] | None:
        """Why the time may not move to `ns`, if it may not: what, the likely cause, the remedy."""
        if ns > self._furthest >= self.ns:
            return (
                f"went on past max_virtual={self.options.max_virtual:g} s",
                "A heartbeat or a retry that goes on for ever, beside tasks that wait for something else.",
                "End it, or allow more: @pytest.mark.virtual_time(max_virtual=…).",
            )
        self._jumps_without_progress += 1
        if self._jumps_without_progress > self.options.max_events:
            self._jumps_without_progress = 0
            return (
                f"went nowhere: {counted(self.options.max_events, 'timer')} in a row, and no stream has moved",
                "A heartbeat or a poll that goes on for ever, beside tasks that wait for something else.",
                "End it, or allow more: @pytest.mark.virtual_time(max_events=…).",
            )
        return None

    @contextmanager
    def driven_by(self, driver: Driver, cancel_body: Callable[[], None]) -> Iterator[None]:
        """For drivers: in this block, that driver makes a loop follow it, and the body is cancelled like that.

        A loop in another thread may take over for a while from the one that waits for it.
        """
        mine = driver, cancel_body
        self._drivers.append(mine)
        self._driver, self._cancel_body = mine
        try:
            yield
        finally:
            self._drivers.remove(mine)  # the first to begin may be the first to end
            self._driver, self._cancel_body = self._drivers[-1] if self._drivers else (None, None)

    @property
    def driver(self) -> Driver | None:
        """What makes a loop follow it at the moment, if one runs."""
        return self._driver

    def _driving(self) -> Driver:
        if self._driver is None:
            msg = "this virtual clock is not running: it does so only within the test body, or within virtual_time()"
            raise ClockError(msg)
        return self._driver
