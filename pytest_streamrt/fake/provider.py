"""A provider that plays scripts on the wire: to any client of httpx or httpx2, in the dialect and API each request speaks."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_streamrt import wire
from pytest_streamrt.cassette.config import config_from
from pytest_streamrt.cassette.keys import placeholder_keys
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.cassette.tee import live, live_blocking, tee
from pytest_streamrt.clock.current import asyncio_loop_here, in_trio
from pytest_streamrt.clock.tasks import where_called
from pytest_streamrt.errors import CassetteError, ProviderMiss, ScriptError
from pytest_streamrt.fake.calls import ProviderCall, check_function, no_script
from pytest_streamrt.fake.emissions import Emissions
from pytest_streamrt.fake.local import models_answer
from pytest_streamrt.fake.performance import Performance, check_playable, json_answer, perform
from pytest_streamrt.fake.played_script import PlayedScript
from pytest_streamrt.fake.respx_bridge import register_httpcore2, serves
from pytest_streamrt.providers import DIALECTS, Quirks, detect
from pytest_streamrt.runtime.acting import acting
from pytest_streamrt.script.build import Script, numbered
from pytest_streamrt.script.parts import ToolCallPart
from pytest_streamrt.transcript.exchange import Exchange, How
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wire import Cut
from pytest_streamrt.wording import counted, no_attribute

__all__ = ["FakeProvider", "fake_provider_context"]

# What others call it.
_GUESSES: Final[Mapping[str, str]] = {
    "add": "enqueue",
    "append": "enqueue",
    "script": "enqueue",
    "scripts": "enqueue",
    "request": "calls",
    "requests": "calls",
}


class FakeProvider:
    """Answers requests with scripts, one after the other: the first request gets the first script.

    Made by the fixture `fake_provider`, and by `fake_provider_context`. It stands where the real transports of httpx and
    httpx2 stand, so every client is answered, whatever its base URL. A script that was never played, and a request that it
    has no answer for, fail the test.
    """

    def __init__(
        self,
        *scripts: Script,
        rechunk: Cut = "event",
        transcript: Transcript,
        ignore_hosts: Collection[str] = (),
        quirks: Quirks | None = None,
    ) -> None:
        __tracebackhide__ = True
        try:
            wire.rechunk(b"", rechunk)
            config_from({"ignore_hosts": ignore_hosts}, "fake_provider")
        except (ValueError, CassetteError) as error:
            raise ScriptError(str(error)) from None
        for name, given, kind in (("transcript", transcript, Transcript), ("quirks", quirks or Quirks(), Quirks)):
            if not isinstance(given, kind):
                raise ScriptError(f"fake_provider: {name} is a {kind.__name__}, not {given!r:.80}")
        self.transcript = transcript
        self.misses: list[str] = []
        """What it was asked and had no answer for: a message each."""
        self.calls: list[ProviderCall] = []
        """Each time it was asked for an answer, in order."""
        self._scripts: deque[Script] = deque()
        self._function: Callable[[ProviderCall], Script] | None = None
        self._router: Any = None
        self._call_ids: set[str | None] = set()  # a provider never gives an id twice, and agents rely on that
        self._emissions = Emissions()
        self._rechunk = rechunk
        self._quirks = quirks or Quirks()
        self._ignore_hosts = frozenset(ignore_hosts)
        self.enqueue(*scripts)

    def __repr__(self) -> str:
        return (
            f"<FakeProvider, asked {counted(len(self.calls), 'time')}, {counted(len(self._scripts), 'script')} waiting>"
        )

    if not TYPE_CHECKING:  # type checkers are to see a wrong name, and know nothing of this

        def __getattr__(self, name: str) -> NoReturn:
            __tracebackhide__ = True
            raise AttributeError(no_attribute(self, name, _GUESSES))

    def enqueue(self, *scripts: Script) -> None:
        """Have more scripts played, after those that are waiting.

        Raises:
            ScriptError: one of them is no script, or cannot be played.
        """
        __tracebackhide__ = True
        for each in scripts:
            _check(each, "enqueue")
        self._scripts.extend(scripts)

    def respond(self, function: Callable[[ProviderCall], Script]) -> None:
        """Have that function answer the requests that no enqueued script is left for.

        It is given the request, as in `calls`, and gives a script.

        Raises:
            ScriptError: it is async, and a sync client could not wait for it.
        """
        __tracebackhide__ = True
        check_function(function, "fake_provider")
        self._function = function

    def reset(self) -> None:
        """Forget everything: scripts, function, calls and what was wrong with them."""
        self.calls.clear()
        self.misses.clear()
        self._scripts.clear()
        self._function = None
        self._call_ids.clear()
        self._emissions = Emissions()

    def mount(self, respx_mock: Any) -> None:
        """Answer through that router of respx, instead of before it: as its last route, for what the others let by.

        A router made with ``using="httpcore2"`` serves httpx2; this project teaches respx to, where it cannot yet. From then
        on, what neither the provider nor another route answers is for the router to refuse.

        Args:
            respx_mock: respx's fixture of that name, or what ``respx.mock`` gives, started or not.

        Raises:
            TypeError: it is no router of respx.
        """
        __tracebackhide__ = True
        if not hasattr(respx_mock, "route"):
            msg = f"fake_provider.mount takes a router of respx, such as its fixture respx_mock, not {respx_mock!r}"
            raise TypeError(msg)
        register_httpcore2()
        self._router = respx_mock
        respx_mock.route(name="fake_provider").mock(side_effect=self._as_route)
        if respx_mock.Mocker is None and respx_mock.using is not None:
            respx_mock.start()  # it was, before there was a mocker of that name

    def _as_route(self, request: Any) -> Any:
        """The side effect of the route: a response of httpx's, as respx will have it, or None where others are to answer.

        An async client is given the promise of one.
        """
        import httpx

        asking = _asking.get()
        if asking is None:  # respx stands before the transports, with using="httpx"
            is_async = in_trio() or asyncio_loop_here() is not None
            asking = _Asking(httpx, None, request, is_async=is_async)
        asked = asking.request
        if detect(asked.method, str(asked.url)) is None and models_answer(asked) is None:
            return None
        played = self._play(asking.library, asking.transport, asked, request.content, answers_as=httpx)
        return played.respond_async() if asking.is_async else played.respond()

    @staticmethod
    @contextmanager
    def _on_its_way(asking: _Asking) -> Iterator[None]:
        """While it is forwarded, the request can be seen from further down."""
        token = _asking.set(asking)
        try:
            yield
        finally:
            _asking.reset(token)

    async def emitted(self, n: int) -> None:
        """Wait until clients have been given n deltas, over all calls; with 0, until the first request has arrived.

        Whoever waits goes on when the client has dealt with the nth delta and before the next one comes. An answer that is
        not streamed gives all of its deltas at once. In a sync test nobody can wait while the client reads: see `emitted` of
        the call in `calls`.
        """
        __tracebackhide__ = True
        await self._emissions.reached(n)

    def problem(self) -> str | None:
        """What is wrong with how it was used, if anything: requests without an answer, or scripts that were not played."""
        if self.misses:
            return self.misses[0]
        if self._scripts:
            left = "; ".join(repr(each.text) for each in self._scripts)
            return (
                f"fake_provider was asked {counted(len(self.calls), 'time')}; "
                f"{counted(len(self._scripts), 'of its scripts was', 'of its scripts were')} never played: "
                f"{left}. Take them away, or make the code ask"
            )
        return None

    # As `cassette.seam.Interceptor`.

    def handle(self, library: ModuleType, transport: Any, request: Any, forward: Callable[[], Any]) -> Any:
        """Answer a request of a sync client."""
        __tracebackhide__ = True
        if self._router is not None and serves(self._router, library):
            with self._on_its_way(_Asking(library, transport, request, is_async=False)):
                return forward()
        if self._ignores(request):
            with live_blocking():
                response = forward()
            response.stream = tee(library, response.stream, _NoTape(), is_async=False)
            return response
        body = request.read()
        return self._play(library, transport, request, body).respond()

    async def handle_async(
        self, library: ModuleType, transport: Any, request: Any, forward: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Answer a request of an async client."""
        __tracebackhide__ = True
        if self._router is not None and serves(self._router, library):
            with self._on_its_way(_Asking(library, transport, request, is_async=True)):
                return await forward()
        if self._ignores(request):
            with live():
                response = await forward()
            response.stream = tee(library, response.stream, _NoTape(), is_async=True)
            return response
        body = await request.aread()
        return await self._play(library, transport, request, body).respond_async()

    def _ignores(self, request: Any) -> bool:
        return any(fnmatch(request.url.host, pattern) for pattern in self._ignore_hosts)

    def _play(
        self, library: ModuleType, transport: Any, request: Any, body: bytes, answers_as: ModuleType | None = None
    ) -> PlayedScript:
        """What answers that request."""
        method, url = request.method, str(request.url)
        dialect = detect(method, url)
        if dialect is None:
            models = models_answer(request)
            if models is None:
                raise self._miss(
                    f"fake_provider has no answer to {method} {url}: it is no API that it speaks "
                    f"({', '.join(DIALECTS)}), nor a list of models.\nLet requests to that host through to it: "
                    f"ignore_hosts=[{request.url.host!r}]"
                )
            call, performance = None, json_answer(models, "")
        else:
            call = ProviderCall(request, body, dialect)
            self.calls.append(call)
            performance = self._perform(call)
        exchange = self._exchange(method, url, body)
        if call is not None:
            call.exchange = exchange
            self._emissions.add(0)
        return PlayedScript(
            library, transport, request, performance, exchange, call, self._emissions, answers_as=answers_as
        )

    def _perform(self, call: ProviderCall) -> Performance:
        if self._scripts:
            script = self._scripts.popleft()
        elif self._function is not None:
            script = self._answer_of(self._function, call)
        else:
            raise self._miss(
                f"fake_provider has no script for {call.method} {call.url}: it was asked {counted(len(self.calls), 'time')} and "
                f"had {counted(len(self.calls) - 1, 'script')}.\nGive it one script for each request: fake_provider.enqueue(script(…)), or "
                "a function of the request: fake_provider.respond(…)"
            )
        script = replace(script, parts=numbered(script.parts, self._call_ids))
        self._call_ids.update(part.id for part in script.spoken() if isinstance(part, ToolCallPart))
        try:
            return perform(
                script,
                call.dialect,
                streams=call.streams,
                cut=self._rechunk,
                quirks=replace(self._quirks, model=call.model, answer=len(self.calls) - 1, array=call.wants_array),
            )
        except ScriptError as error:
            raise self._miss(f"fake_provider cannot play this script in {call.dialect}: {error}") from None

    def _answer_of(self, function: Callable[[ProviderCall], Script], call: ProviderCall) -> Script:
        name = getattr(function, "__qualname__", repr(function))
        try:
            script = function(call)
        except Exception as error:
            raise self._miss(
                f"fake_provider: the function given to respond(), {name}, raised {type(error).__name__}: {error}"
            ) from error
        try:
            _check(script, f"the function given to respond(), {name}")
        except ScriptError as error:
            raise self._miss(str(error)) from None
        return script

    def _exchange(self, method: str, url: str, body: bytes) -> Exchange:
        inference = acting.get().inference
        id = inference.id if inference is not None else None
        return self.transcript.begin_exchange(method, url, body, inference=id)

    def _miss(self, message: str) -> ProviderMiss:
        message = f"{message}\nThe request was made at {where_called()}"
        self.misses.append(message)
        return ProviderMiss(message)


@contextmanager
def fake_provider_context(
    *scripts: Script,
    rechunk: Cut = "event",
    transcript: Transcript | None = None,
    ignore_hosts: Collection[str] = (),
    quirks: Quirks | None = None,
    verify: bool = True,
) -> Iterator[FakeProvider]:
    """Answer the block's HTTP requests from scripts. Under pytest, the fixture `fake_provider` does this.

    Every request made through httpx or httpx2 in the block is seen, whichever client makes it. While the block runs, the
    environment has placeholders for the API keys that it lacks, so that SDKs start.

    Args:
        scripts: the answers, in order.
        rechunk: how to cut the bodies of streams, as `pytest_streamrt.wire.rechunk` can: "event" (a chunk for each SSE
            frame), "whole", "byte", or an integer, the seed of random cuts.
        transcript: where the exchanges are logged, instead of in one that nobody sees.
        ignore_hosts: hosts, perhaps with ``*`` in them, whose requests are let through to the network.
        quirks: the habits of the provider's server; an answer names itself after the model that was asked in any case.
        verify: whether to raise, on leaving, for requests without an answer and for scripts that were not played.

    Raises:
        ScriptError: an argument makes no sense; or, on leaving, scripts were not played.
        ProviderMiss: on leaving, requests were made that it has no answer for, and the block did not raise itself.
    """
    provider = FakeProvider(
        *scripts,
        rechunk=rechunk,
        transcript=Transcript() if transcript is None else transcript,
        ignore_hosts=ignore_hosts,
        quirks=quirks,
    )
    with placeholder_keys(), intercept(provider):
        yield provider
    if not verify:
        return
    if provider.misses:
        raise ProviderMiss(provider.misses[0])
    problem = provider.problem()
    if problem is not None:
        raise ScriptError(problem)


@dataclass(frozen=True)
class _Asking:
    """A request that is being forwarded."""

    library: ModuleType
    transport: Any
    request: Any
    is_async: bool


_asking: Final[ContextVar[_Asking | None]] = ContextVar("pytest_streamrt.asking", default=None)


class _NoTape:
    """Takes nothing down."""

    def chunk(self, data: bytes) -> None:
        """See `cassette.tee.Tape`."""

    def ended(self, how: How, error: Exception | None = None) -> None:
        """See `cassette.tee.Tape`."""


def _check(script: object, who: str) -> None:
    __tracebackhide__ = True
    if not isinstance(script, Script):
        raise ScriptError(f"{who}: fake_provider {no_script(script)}")
    check_playable(script)
