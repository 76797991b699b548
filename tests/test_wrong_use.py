"""Wrong types and values, over the whole public surface: each is refused where it is given, by name, with no line of ours shown.

What a layer refuses for reasons of its own is in the tests of that layer.
"""

from __future__ import annotations

import math
from pathlib import Path

import anyio
import httpx2
import openai
import pytest

import pytest_streamrt
from pytest_streamrt import (
    Agent,
    CassetteError,
    CassetteTransport,
    ClockError,
    Environment,
    FakeModel,
    Inbox,
    LeakageGate,
    ModelContext,
    Observer,
    OpenAIChatModel,
    OpenAIResponsesModel,
    Script,
    ScriptError,
    StreamingASGITransport,
    Tool,
    Transcript,
    TranscriptError,
    VirtualClock,
    assert_streams,
    disconnect,
    fake_provider_context,
    fold,
    script,
    use_cassette,
    virtual_time,
)
from pytest_streamrt.cassette import scripts_of
from pytest_streamrt.edge import growing_json, read_partial, sse_json
from pytest_streamrt.events import Signal, TextDelta, to_json
from pytest_streamrt.plugin.insides import insides_hidden
from pytest_streamrt.providers import Quirks, decode, encode, encode_whole
from pytest_streamrt.wire import SSEDecoder, rechunk

OURS = Path(pytest_streamrt.__file__).parent
HERE = Path(__file__)


def transcript():
    log = Transcript()
    list(log.record(iter(["a", "b"]), source="agent"))
    return log


def cassette(path="nowhere.jsonl", **options):
    with use_cassette(path, **options):
        pass


def provider(*scripts, **options):
    with fake_provider_context(*scripts, **options):
        pass


def clock(**options):
    with virtual_time(**options):
        pass


def client_of(app, **options):
    return StreamingASGITransport(app, **options)


async def app(scope, receive, send):
    pass


class Unmade(Observer):
    def __init__(self):
        pass


async def in_a_room(do):
    async with Environment() as room:
        given = do(room)
        if given is not None:
            await given


EVENTS = "it takes events, as decode(data, dialect), transcript.events or transcript.of(source) gives them, not"
MISTAKES = [
    # Scripts
    (lambda: script(disconnect), ScriptError, "It is to be called: disconnect(…)"),
    (lambda: script(["a", "b"]), ScriptError, "Give them one by one: script(*parts)"),
    (lambda: Script("a"), ScriptError, "script('Hello.'), not Script('a')"),
    (lambda: script("a", every=True), ScriptError, "script: every is a number of seconds from 0 on, not True"),
    (lambda: script("a", tps=True), ScriptError, "tps=True deltas a second is no speed"),
    (lambda: script("a", seed="x"), ScriptError, "seed is a whole number, not 'x'"),
    (lambda: script.reasoning("a", signature=5), ScriptError, "reasoning: signature is a string, not 5"),
    (lambda: script.tool_call("f", [1]), ScriptError, "the arguments are a mapping, such as {'city': 'Paris'}"),
    (lambda: script.tool_call("f", {}, pieces=[1]), ScriptError, "the pieces are a list of strings, not [1]"),
    (lambda: script.tool_call("f", {}, id=5), ScriptError, "its id is a string, not 5"),
    (lambda: script.usage("1", 2), ScriptError, "usage: input_tokens is a whole number from 0 on, not '1'"),
    (lambda: script.error(429, 5), ScriptError, "error: the message is a string, not 5"),
    (lambda: script.http(200, headers=[("a", "b")]), ScriptError, "http: the headers are a mapping"),
    (lambda: script.http(200, headers={"a": "b\nc"}), ScriptError, "'b\\nc' cannot stand in a header"),
    (lambda: script.http(200, body={"a": 1}), ScriptError, "http: the body is bytes or text, not {'a': 1}"),
    (lambda: script.from_text("abc", lambda _: 5), ScriptError, "in pieces, which are strings, and gave 5"),
    (lambda: script.from_events(transcript()), ScriptError, f"from_events: {EVENTS} <Transcript"),
    # Fakes
    (lambda: FakeModel([script("a")]), ScriptError, "Give them one by one, with a star: *scripts"),
    (lambda: FakeModel(lambda call: script("a")), ScriptError, "A function of the request is given to respond(…)"),
    (lambda: provider("a"), ScriptError, "fake_provider plays scripts; 'a' is none. Write script('a')"),
    (lambda: provider(ignore_hosts="example.com"), ScriptError, "ignore_hosts is a list of texts, not 'example.com'"),
    (lambda: provider(transcript="x"), ScriptError, "fake_provider: transcript is a Transcript, not 'x'"),
    (lambda: provider(quirks={"comments": 1}), ScriptError, "fake_provider: quirks is a Quirks, not {'comments': 1}"),
    (lambda: provider(rechunk="x"), ScriptError, 'rechunk: cut "recorded", "whole", "event", "byte" or by an integer'),
    # The clock
    (lambda: clock(real_io="x"), ClockError, "real_io is one of settle, hold, error, not 'x'"),
    (lambda: clock(patch_time="no"), ClockError, "patch_time is True or False, not 'no'"),
    (lambda: clock(clock=5), ClockError, "virtual_time(clock=…): it is a VirtualClock, not 5"),
    (lambda: VirtualClock(5), TypeError, "what it is made with are ClockOptions, not 5"),
    (lambda: anyio.run(VirtualClock().turn), ClockError, "this virtual clock is not running"),
    # The transcript
    (lambda: transcript().of(5), TranscriptError, "a source is called by its name, such as 'agent', not by 5"),
    (lambda: transcript().metrics(Observer("bot")), TranscriptError, "Write 'bot'."),
    (lambda: transcript().metrics("agent").ttft, TranscriptError, "were not measured: the test ran on real time"),
    (lambda: transcript().metrics("agent").stalls("x"), TypeError, "stalls(over=…): a time is a number of seconds"),
    (lambda: transcript().expect("agent").text(matches=b"a"), TranscriptError, "this is no regular expression"),
    (lambda: transcript().mark(5), TranscriptError, "a mark has a name, such as 'half-time', and not 5"),
    (lambda: transcript().expect("agent").skip_until(None), TypeError, "the type of an event, such as 'text.delta'"),
    (lambda: transcript().expect("agent").skip_until("text.dlta"), AssertionError, "Did you mean 'text.delta'?"),
    (lambda: transcript().assert_lawful(skip=None), TypeError, "it is a list of laws, such as skip=[8], not None"),
    (lambda: transcript().assert_no_leak(hidden=5, visible="agent"), TypeError, "hidden is a list of secrets"),
    (lambda: transcript().assert_no_leak(hidden=["x"], visible=5), TypeError, "visible is the name of a source"),
    (lambda: transcript().record(iter("a"), source="x", decode=sse_json), TypeError, "call it: decode=sse_json()"),
    # Events, the wire, dialects
    (lambda: fold(transcript()), TypeError, f"fold: {EVENTS} <Transcript"),
    (lambda: fold("ab"), TypeError, f"fold: {EVENTS} 'ab'"),
    (lambda: to_json(TextDelta("a")), TypeError, f"to_json: {EVENTS} one alone"),
    (lambda: to_json([1]), TypeError, f"to_json: {EVENTS} 1"),
    (lambda: to_json([Signal("s", object())]), TypeError, "cannot be JSON: Object of type object"),
    (lambda: rechunk("abc", "byte"), TypeError, "rechunk: a stream is bytes, or chunks of bytes, not 'abc'"),
    (lambda: SSEDecoder().feed("data: x"), TypeError, "SSEDecoder.feed: a stream is bytes, not 'data: x'"),
    (lambda: decode("data: x", "openai.chat"), TypeError, "decode: a stream is bytes, or chunks of bytes, not 'data: x'"),
    (lambda: decode(["data: x"], "openai.chat"), TypeError, "SSEDecoder.feed: a stream is bytes, not 'data: x'"),
    (lambda: decode(b"", ["openai.chat"]), ValueError, "no dialect ['openai.chat']; there are: openai.responses"),
    (lambda: encode("a", "openai.chat"), ScriptError, "encode: it writes scripts, and 'a' is none. Write script('a')"),
    (lambda: encode_whole(None, "openai.chat"), ScriptError, "encode_whole: it writes scripts, and None is none"),
    (lambda: encode(script("a"), "openai.chat", 5), TypeError, "encode: quirks are Quirks(…), not 5"),
    # Rooms
    (lambda: Agent("a", FakeModel), TypeError, "FakeModel'> is no model"),
    (lambda: Agent("a", FakeModel(), tools=len), TypeError, "tools are functions, in a list"),
    (lambda: OpenAIChatModel(httpx2.AsyncClient(), "m"), TypeError, "like AsyncOpenAI(), with `client.chat`; <httpx2."),
    (lambda: OpenAIResponsesModel(openai.AsyncOpenAI, "m"), TypeError, "<class 'openai.AsyncOpenAI'> is none"),
    (lambda: anyio.run(in_a_room, lambda room: room.join(Unmade())), TypeError, "Unmade is to call super().__init__(name)"),
    (lambda: Tool(5), TypeError, "a tool is made of a function, not of 5"),
    (lambda: ModelContext("Be brief."), TypeError, "items come in a list, such as [Message("),
    (lambda: ModelContext([{"role": "user"}]), TypeError, "{'role': 'user'} is no item. Items are Message, ModelMessage"),
    (lambda: Environment(gates=LeakageGate()), TypeError, "gates is a list of gates, such as [LeakageGate()]"),
    (lambda: Inbox.block("x"), TypeError, "Inbox.block: the capacity is a whole number from 1 on, not 'x'"),
    (lambda: Environment(transcript=5), TypeError, "Environment(transcript=…): it is a Transcript, not 5"),
    (lambda: anyio.run(in_a_room, lambda room: room.emit("x")), TypeError, "what participants and tests emit are signals"),
    (lambda: anyio.run(in_a_room, lambda room: room.join("x")), TypeError, "such as Agent or Observer; 'x' is none"),
    (lambda: LeakageGate(hide=5), TypeError, "it is a list of pairs, such as [('<think>', '</think>')]"),
    (lambda: LeakageGate(show_after=5), ValueError, "LeakageGate(show_after=5): it is a marker"),
    # Cassettes
    (lambda: cassette(5), CassetteError, "use_cassette: a cassette is a file, such as 'cassettes/capital.jsonl', and not 5"),
    (lambda: cassette(""), CassetteError, "and not ''"),
    (lambda: cassette("a\0b"), CassetteError, "and not 'a\\x00b'"),
    (lambda: cassette("x" * 300), CassetteError, "use_cassette: no cassette can be at xxx"),
    (lambda: scripts_of(5), CassetteError, "scripts_of: a cassette is a file"),
    (lambda: cassette(timing=math.inf), CassetteError, "or a factor above 0, not inf"),
    (lambda: cassette(faults=[disconnect]), CassetteError, "Call it: disconnect(…). There are corrupt, disconnect"),
    (lambda: cassette(faults=5), CassetteError, "faults is a list of faults, such as [disconnect(after=5)], not 5"),
    (lambda: cassette(ignore_hosts=[None]), CassetteError, "ignore_hosts is a list of texts, and None is none"),
    (lambda: cassette(transcript=5), CassetteError, "a cassette writes to a Transcript, not to 5"),
    (lambda: CassetteTransport("x", transport=5), TypeError, "the transport is one of httpx or httpx2, not 5"),
    # Endpoints
    (lambda: client_of("app:app"), TypeError, "'app:app' is no ASGI application, but a text. Import it"),
    (lambda: httpx2.Client(transport=client_of(app)).get("http://t"), AttributeError, "It is for async clients"),
    (lambda: client_of(lambda: app), TypeError, "Of a function that makes one, give what it makes"),
    (lambda: client_of(app, shutdown_timeout=-1), ValueError, "shutdown_timeout is a number of seconds from 0 on, not -1"),
    (lambda: assert_streams(httpx2.Response(200), skip="end"), TypeError, "skip is a list of checks, such as"),
    (lambda: assert_streams(httpx2.Response(200), keep_alive="15"), TypeError, "keep_alive is a number of seconds above 0"),
    (lambda: growing_json(transcript()), TypeError, f"growing_json: {EVENTS} <Transcript"),
    (lambda: read_partial(5), TypeError, "read_partial: JSON is text, not 5"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=[each[2][:40] for each in MISTAKES])
def test_a_mistake_is_named_where_it_is_made(mistake, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(error) as caught:
        mistake()

    assert message in str(caught.value)
    with insides_hidden(caught.value):
        shown = [Path(entry.path) for entry in caught.traceback.filter(caught)]
    assert HERE in shown
    assert not [path for path in shown if path.is_relative_to(OURS) or path.name == "contextlib.py"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_right_goes_through():
    assert rechunk(bytearray(b"ab"), "byte") == rechunk(memoryview(b"ab"), "byte") == [b"a", b"b"]
    assert encode(script("a"), "openai.chat", Quirks())
    assert read_partial(b'{"a": 1') == {"a": 1}
    assert len(ModelContext(ModelContext())) == 0
    client_of(app, shutdown_timeout=None)
