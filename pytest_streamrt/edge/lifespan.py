"""The application's start and shutdown, as a server runs them: ASGI's lifespan protocol, version 2.0."""

from __future__ import annotations

from typing import Any, Final, Literal

import anyio
import anyio.lowlevel

from pytest_streamrt.edge.tasks import Application, Message, is_cancellation, start_task
from pytest_streamrt.runtime.waking import Bell

__all__ = ["Lifespan", "LifespanMode"]

LifespanMode = Literal["auto", "on", "off"]
"""As uvicorn's option: "auto" takes an application that raises before it has started for one that has no lifespan."""

_GRACE: Final = 1.0  # seconds for an application that has said that it fails to raise why, as Starlette does


class Lifespan:
    """The lifespan of one application.

    Args:
        app: the application.
        mode: whether it has a lifespan.
    """

    def __init__(self, app: Application, mode: LifespanMode) -> None:
        self.state: dict[str, Any] = {}
        """What the application has put there as it started; each request gets a copy."""
        self._app = app
        self._mode = mode
        self._asked: list[str] = []  # "startup", then "shutdown"; none before it is begun, nor after its loop is gone
        self._told = 0  # how many of these the application has been told
        self._answers: dict[str, Message] = {}
        self._error: BaseException | None = None
        self._finished = False
        self._change: Bell
        self._scope: anyio.CancelScope

    async def start(self) -> None:
        """Start the application, unless it has been started; returns when it is ready.

        Raises:
            Exception: what the application raised as it started, if it has a lifespan.
            RuntimeError: it said that it cannot start.
        """
        if self._mode == "off":
            return
        if not self._asked:
            self._begin()
            start_task(self._run, "ASGI lifespan")
        await self._answered("startup")
        if self._mode == "on" or "startup" in self._answers:
            await self._check("startup")

    async def stop(self, patience: float | None) -> bool:
        """Shut the application down, if it was started; False if that took longer than `patience` seconds.

        Raises:
            Exception: what the application raised as it shut down.
            RuntimeError: it said that it failed to.
        """
        if self._asked != ["startup"] or self._finished:
            return True
        self._ask("shutdown")
        with anyio.move_on_after(patience) as waiting:
            await self._answered("shutdown")
            while not self._finished:
                await self._change.wait()
        with anyio.move_on_after(patience):
            await self._end()
            await self._check("shutdown")
        return not waiting.cancelled_caught

    def _begin(self) -> None:
        """In the loop that it is to run in: a client may have been made before there was one."""
        self._asked = ["startup"]
        self._told = 0
        self._answers = {}
        self._finished = False
        self._change = Bell()
        self._scope = anyio.CancelScope()
        self.state.clear()

    async def _check(self, phase: str) -> None:
        """Raise what went wrong in that phase, if anything did."""
        answer = self._answers.get(phase)
        failed = answer is not None and answer["type"] == f"lifespan.{phase}.failed"
        if failed:
            with anyio.move_on_after(_GRACE):
                while not self._finished:
                    await self._change.wait()
            await self._end()
        elif self._error is None:
            return
        error, self._error = self._error, None
        if error is not None:
            raise error
        reason = (answer or {}).get("message") or "it did not say why"
        msg = f"the application answered 'lifespan.{phase}' with {phase}.failed: {reason}"
        raise RuntimeError(msg)

    async def _end(self) -> None:
        self._scope.cancel()
        while not self._finished:
            await self._change.wait()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            with self._scope:
                await self._app(scope, self._receive, self._send)
        except BaseException as error:
            if is_cancellation(error):
                self._asked = []  # its loop ends; with the next one, it begins anew
                raise
            self._error = error
        finally:
            self._finished = True
            self._change.ring()

    async def _receive(self) -> Message:
        await anyio.lowlevel.checkpoint()
        while self._told == len(self._asked):
            await self._change.wait()
        self._told += 1
        return {"type": f"lifespan.{self._asked[self._told - 1]}"}

    async def _send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        type_ = message["type"]
        phase = type_.removeprefix("lifespan.").rpartition(".")[0]
        # One that is cancelled says that it has shut down without being asked, as Starlette does.
        in_turn = phase == "startup" or (phase == "shutdown" and "startup" in self._answers)
        known = type_ in (f"lifespan.{phase}.complete", f"lifespan.{phase}.failed")
        if not (in_turn and known) or phase in self._answers:
            msg = f"the ASGI message {type_!r} was sent in answer to 'lifespan.{self._asked[-1]}'"
            raise RuntimeError(msg)
        self._answers[phase] = message
        self._change.ring()

    async def _answered(self, phase: str) -> None:
        while phase not in self._answers and not self._finished:
            await self._change.wait()

    def _ask(self, phase: str) -> None:
        self._asked.append(phase)
        self._change.ring()
