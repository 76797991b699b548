"""The public surface as a type checker sees it: never run, only checked, by mypy and pyright in strict mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, assert_type

import httpx
import httpx2

from pytest_streamrt import (
    Agent,
    CassetteTransport,
    Environment,
    FakeModel,
    FakeProvider,
    Inference,
    Observer,
    Outcome,
    Participant,
    Script,
    Signal,
    Transcript,
    VirtualClock,
    assert_streams,
    choice,
    citation,
    corrupt,
    disconnect,
    duplicate,
    error,
    fake_provider_context,
    finish,
    fold,
    hidden,
    http,
    interleave,
    misbehave,
    reasoning,
    script,
    status,
    tool_call,
    truncate,
    use_cassette,
    virtual_time,
)
from pytest_streamrt.edge import growing_json, sse_json
from pytest_streamrt.events import Event, Fold, ModelMessage, TextDelta, ToolCall
from pytest_streamrt.providers import decode, encode
from pytest_streamrt.transcript import Leak
from pytest_streamrt.wire import ServerSentEvent, SSEDecoder, rechunk

PLAN = script("a", reasoning("b"), tool_call("t", {"x": 1}), disconnect(), every=0.05)
assert_type(PLAN, Script)
assert_type(PLAN.prefix(2) + PLAN * 2 + "b", Script)
assert_type(
    "a" + script(interleave(tool_call("t", {}), choice(1, "b")), citation("u"), status("s"), finish("length")), Script
)
assert_type(script.from_text("a b", tokens=2, every=0.1), Script)
assert_type(script(script.tool_call("t", {}), script.stall(), ttft=1, tps=20, jitter=0.1, seed=1).text, str)


class Reviewer(Agent):
    """Overrides handlers with their full types."""

    async def on_external_event(self, source: Participant, event: Event) -> None:
        """Narrow an event by its class."""
        if isinstance(event, TextDelta):
            assert_type(event.text, str)
            if event.inference is not None:
                await self.abort(event.inference, reason=event.text)

    async def on_external_model_message(self, source: Participant, item: ModelMessage) -> None:
        """Take an item."""
        assert_type(item.text, str)


async def runtime() -> None:
    """The runtime."""
    agent = Reviewer("agent", model=FakeModel(PLAN))
    async with Environment(agent, Observer("log"), transcript=Transcript()) as room:
        inference = agent.infer("Hi", deadline=2.5, max_deltas=10)
        assert_type(inference, Inference)
        assert_type(await inference, Outcome)
        await inference.abort("enough", by="me")
        room.emit(Signal("ping", {"n": 1}))
        await room.settled()


async def recorded(transcript: Transcript, pieces: AsyncIterator[str]) -> None:
    """A stream that is recorded is what it was."""
    assert_type(transcript.record(pieces, source="agent"), AsyncIterator[str])
    async for piece in transcript.record(pieces, source="agent", decode=TextDelta):
        assert_type(piece, str)


async def tests(transcript: Transcript, virtual_clock: VirtualClock) -> None:
    """What a test does."""
    chain = transcript.expect("agent").text("a", at=0.1, within=0.2).reasoning(contains="b")
    chain.tool_call("t", arguments={"x": 1}).deltas(2).aborted(by="x", reason="y").nothing_more()
    assert_type(transcript.text("agent"), str)
    assert_type(transcript.assert_lawful(skip=[1]).checked, list[int])
    transcript.assert_no_leak(hidden=["secret", hidden.reasoning("agent")], visible=["agent"], min_quote=20)
    assert_type(transcript.leaks, tuple[Leak, ...])
    assert_type(transcript.marbles(frame=0.01), str)
    first = (
        transcript.expect("agent")
        .describe("it looks")
        .tool_result("t", output={"a": 1})
        .item("message", text="x")
        .rest()
    )
    transcript.order(first, transcript.mark("over"), lambda event: event.type == "text.delta")
    assert_type(transcript.metrics("agent").ttft, float)
    assert_type(transcript.metrics("agent", inference=1).gaps, tuple[float, ...])
    assert_type(transcript.abort_timing("agent").never_waited_for, int)
    with virtual_time(max_virtual=10) as clock:
        assert_type(clock, VirtualClock)
        await clock.turn()
    with use_cassette(Path("x.jsonl"), record="once", timing=2.0, rechunk="byte") as cassette:
        assert_type(cassette.requests, int)
    with use_cassette("x.jsonl", filter_headers=["a", ("b", None)], match_on=["host", "body"], on_secret="fail"):
        httpx2.AsyncClient(transport=CassetteTransport("x.jsonl", record="once", filter_patterns=["a+"]))
        httpx.Client(transport=CassetteTransport(cassette))
    with fake_provider_context(PLAN, rechunk=7, transcript=transcript, ignore_hosts=["localhost"]) as provider:
        assert_type(provider, FakeProvider)
        provider.enqueue(PLAN, PLAN)
        provider.respond(lambda request: script(request.headers["x-question"], str(request.json)))
        assert_type(provider.calls[0].dialect, str)
        await provider.emitted(2)
        assert_type(provider.calls[0].emitted, int)
        provider.enqueue(
            script(http(gzip=True), "a", corrupt("utf8"), duplicate(), misbehave("reordered"), truncate(byte=9))
        )
        provider.enqueue(script(error(429, "later", retry_after=2.5)))
        provider.reset()
    model = FakeModel(PLAN)
    model.respond(lambda call: script(*[str(item) for item in call.items]))
    assert_type(virtual_clock.now, float)


async def edge(response: httpx2.Response, client: httpx2.AsyncClient, transcript: Transcript) -> None:
    """The user's own endpoint."""
    check = await assert_streams(response, transcript=transcript, keep_alive=15, end="bye", skip={"ids"})
    assert_type(check.arrived.events, list[ServerSentEvent])
    async with assert_streams(response, resume=lambda last: client.stream("GET", "/", headers={"Last-Event-ID": last})):
        await response.aread()
    transcript.record(response.aiter_lines(), source="browser", decode=sse_json(kinds={"part": "text"}))
    assert_type(growing_json(transcript.of("browser"), tool="x"), list[tuple[float, Any]])


def pure() -> None:
    """The layers without I/O."""
    events = decode(b"".join(encode(PLAN, "openai.chat")), "openai.chat")
    assert_type(events, list[Event])
    said = fold(events)
    assert_type(said, Fold)
    assert_type(said.tool_calls, list[ToolCall])
    assert_type(SSEDecoder("sdk").feed(b""), list[ServerSentEvent])
    assert_type(rechunk(b"", 7), list[bytes])
