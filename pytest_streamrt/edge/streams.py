"""`assert_streams(response)`: runs the checks of `checks` on a response while it is read, and says what to change."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Self

from pytest_streamrt.clock import active_clock, now_ns
from pytest_streamrt.edge.arrived import ASKED, Arrived, Problem, tap
from pytest_streamrt.edge.checks import (
    CHECKS,
    End,
    NotChecked,
    behind_nginx,
    check_end,
    check_first_byte,
    check_frames,
    check_headers,
    check_ids,
    check_keep_alive,
    check_resumed,
)
from pytest_streamrt.events.order import DELTAS
from pytest_streamrt.numbers import require_seconds
from pytest_streamrt.runtime.environment import Environment
from pytest_streamrt.transcript import Transcript
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.wording import counted

__all__ = ["StreamCheck", "assert_streams"]

_CUTS: Final = 5  # at how many events, at most, a stream is resumed


def assert_streams(
    response: Any,
    *,
    transcript: Transcript | None = None,
    keep_alive: float | None = None,
    end: End = None,
    resume: Callable[[str], AbstractAsyncContextManager[Any]] | None = None,
    skip: Collection[str] = (),
) -> StreamCheck:
    """Assert that a response of server-sent events streams, all the way to a browser.

    ``await assert_streams(response)`` reads it to its end. To read it yourself, `async with assert_streams(response):` and
    read within the block; what arrived is checked as it is left. The headers are checked at once, in either case.

    Args:
        response: of an async client of httpx or httpx2, opened by ``client.stream(…)`` and not yet read.
        transcript: the test's; with it, the order of the provider's deltas and of the first byte is known exactly, even
            where a script takes no time.
        keep_alive: seconds after which something must have come, if only a comment; None to leave that unchecked.
        end: how an answer ends: the data or the name of its last event, or a function that is given an event. By default
            any of the usual ones, such as ``data: [DONE]``.
        resume: opens the same stream again, given the id of the last event that was had:
            ``lambda id: client.stream("GET", "/runs/1", headers={"Last-Event-ID": id})``. It is called up to five times.
        skip: names of checks to leave out; `CHECKS` has them all.

    Returns:
        What arrived, and what could not be checked and why.

    Raises:
        AssertionError: it does not; for each problem it says what to change in the app.
        TypeError: `skip` is no list, or `keep_alive` no number.
        ValueError: the response has been read, or is not one of an async client, or `skip` names no check.
    """
    __tracebackhide__ = True
    if isinstance(skip, str) or not isinstance(skip, Collection):
        msg = f'assert_streams: skip is a list of checks, such as ["frames"], not {skip!r}'
        raise TypeError(msg)
    if keep_alive is not None:
        require_seconds("assert_streams: keep_alive", keep_alive, zero=False)
    unknown = sorted(set(skip) - set(CHECKS))
    if unknown:
        msg = f"assert_streams: skip={unknown}: there is no such check; there are: {', '.join(CHECKS)}"
        raise ValueError(msg)
    if not hasattr(response, "aiter_raw"):
        msg = f"assert_streams: a response of httpx or httpx2 is needed, not {type(response).__name__}"
        raise ValueError(msg)
    if not hasattr(response.stream, "__aiter__"):
        msg = (
            "assert_streams: the response is one of a sync client, and is watched by an async one alone: httpx2.AsyncClient, or "
            "the fixture asgi_client: async with asgi_client(app) as client, client.stream(…) as response: …"
        )
        raise ValueError(msg)
    if response.is_stream_consumed or response.is_closed:
        msg = (
            "assert_streams: the response has been read or closed already, so nobody can tell when what came. Open it with "
            "`async with client.stream(…) as response:`, and not with client.get(…)"
        )
        raise ValueError(msg)
    check = StreamCheck(response, transcript, keep_alive=keep_alive, end=end, resume=resume, skip=skip)
    check.begin()
    return check


class StreamCheck:
    """One response under `assert_streams`.

    Attributes:
        arrived: what came, and when.
        not_checked: the checks for which there was no evidence, each with what is missing.
    """

    def __init__(
        self,
        response: Any,
        transcript: Transcript | None,
        *,
        keep_alive: float | None,
        end: End,
        resume: Callable[[str], AbstractAsyncContextManager[Any]] | None,
        skip: Collection[str],
    ) -> None:
        self.not_checked: dict[str, str] = {}
        self.arrived = _arrived(response)
        self._response = response
        self._transcript = transcript
        self._keep_alive = keep_alive
        self._end = end
        self._resume = resume
        self._skip = frozenset(skip)
        self._before: list[int] = []  # how many events the transcript had when the first byte came
        self._used = True

    def __del__(self) -> None:
        if not self._used:
            what = "assert_streams(…) was neither awaited nor entered: it has looked at the headers alone"
            warnings.warn(what, RuntimeWarning, stacklevel=2)

    def begin(self) -> None:
        """Check the headers, and watch from now on."""
        __tracebackhide__ = True
        self._raise(check_headers(self.arrived))
        if behind_nginx(self.arrived):
            self._leave_out("nginx takes it out; the first byte tells", "x-accel-buffering")
        self._used = False
        transcript, before = self._transcript, self._before
        if transcript is not None:  # without a reference to self, so that one that nobody awaits is missed at once
            self.arrived.on_first = lambda: before.append(len(transcript.events))
        tap(self._response, self.arrived)

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._whole().__await__()

    async def __aenter__(self) -> Self:
        self._used = True
        return self

    async def __aexit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        __tracebackhide__ = True
        if error is None:
            await self._finish()

    async def _whole(self) -> Self:
        __tracebackhide__ = True
        self._used = True
        await self._finish()
        return self

    async def _finish(self) -> None:
        __tracebackhide__ = True
        arrived = self.arrived
        if not self._response.is_stream_consumed and not self._response.is_closed:
            await _read(self._response, arrived)
        arrived.deltas = self._deltas()
        problems = check_keep_alive(arrived, self._keep_alive) if self._keep_alive is not None else []
        if arrived.packed:
            self._leave_out("the body is compressed", "first-byte", "frames", "end", "ids", "resume")
        else:
            problems += self._checked("first-byte", lambda: check_first_byte(arrived))
            problems += check_frames(arrived)
            problems += self._checked("end", self._ending)
            problems += self._checked("ids", lambda: check_ids(arrived))
            if self._resume is not None:
                problems += await self._resumed(self._resume)
        self._raise(problems)

    def _ending(self) -> list[Problem]:
        if self.arrived.ended is None and self.arrived.broke is None:
            msg = "the client left before the end"
            raise NotChecked(msg)
        return check_end(self.arrived, self._end)

    def _checked(self, name: str, check: Callable[[], list[Problem]]) -> list[Problem]:
        try:
            return check()
        except NotChecked as error:
            self._leave_out(str(error), name)
            return []

    def _leave_out(self, why: str, *names: str) -> None:
        self.not_checked.update(dict.fromkeys((name for name in names if name not in self._skip), why))

    async def _resumed(self, resume: Callable[[str], AbstractAsyncContextManager[Any]]) -> list[Problem]:
        if "resume" in self._skip:
            return []
        ids = [event.id for event in self.arrived.events if event.id is not None]
        if not ids:
            what = "the events have no ids, so a browser that lost its connection cannot say which was its last."
            return [Problem("resume", what, "number the events of a run from 1 on: f'id: {n}'.")]
        step = max(len(ids) // _CUTS, 1)
        for id in reversed(ids[: step * _CUTS : step]):
            async with resume(id) as response:
                again = _arrived(response)
                tap(response, again)
                await _read(response, again)
            problems = check_resumed(self.arrived, id, again)
            if problems:
                return problems
        return []

    def _deltas(self) -> tuple[int, int] | None:
        """Of the provider's last answer: how many deltas had been made when the first byte came, and in all."""
        if self._transcript is None or not self._before:
            return None
        made = [
            (i, (id(origin), event.inference))
            for i, (origin, event) in enumerate(self._transcript.logged)
            if event.type in DELTAS and isinstance(origin, (Exchange, Environment))
        ]
        last = [i for i, of in made if of == made[-1][1]]
        return sum(i < self._before[0] for i in last), len(last)

    def _raise(self, problems: list[Problem]) -> None:
        __tracebackhide__ = True
        problems = [problem for problem in problems if problem.check not in self._skip]
        if not problems:
            return
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(problems, 1))
        count = counted(len(problems), "problem")
        names = ", ".join(f'"{name}"' for name in dict.fromkeys(problem.check for problem in problems))
        msg = (
            f"{self.arrived.what} does not stream as a browser needs it: {count}\n{lines}\n\n{self.arrived.summary()}\n"
            f"To leave a check out: assert_streams(response, skip={{{names}}})"
        )
        raise AssertionError(msg) from self.arrived.broke


def _arrived(response: Any) -> Arrived:
    request = response.request
    url = request.url.copy_with(query=None, fragment=None, username=None, password=None)  # they may hold a key
    return Arrived(
        what=f"{request.method} {url}",
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        asked=response.extensions.get(ASKED),
        began=now_ns(),
        virtual=active_clock() is not None,
    )


async def _read(response: Any, arrived: Arrived) -> None:
    """Read it to its end; that the connection broke or fell silent is for the checks to say, what an app raised is not."""
    try:
        async for _ in response.aiter_raw():
            pass
    except Exception as error:
        if type(error).__name__ not in ("RemoteProtocolError", "ReadError", "ReadTimeout"):
            raise
        arrived.broke = error
