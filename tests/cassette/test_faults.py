"""Faults laid over a recording: where they strike, what the client sees, and that it is what a real socket gives."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from contextlib import contextmanager

import httpx
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import (
    CassetteError,
    StreamError,
    Transcript,
    corrupt,
    disconnect,
    duplicate,
    error,
    script,
    stall,
    tool_call,
    truncate,
    use_cassette,
    virtual_time,
)
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.faults import lay_over
from pytest_streamrt.providers import DIALECTS, decode, encode
from pytest_streamrt.wire import rechunk
from tests.cassette.written import URL, answered, cassette
from tests.loopback import PATIENCE, Answer
from tests.strategies import chunked, examples, said, sizes

pytestmark = [
    pytest.mark.anyio,
    # httpx and the OpenAI client leave generators of their own behind where a body is not read to its end, and trio warns
    # of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
WORDS = ["One", " two", " three", " four"]
CHUNKS = [frame.decode() for frame in encode(script(*WORDS), "openai.chat")]
FIRST = 1  # frames before the first delta: the role
QUESTION = '{"messages":[],"model":"m","stream":true}'


@pytest.fixture
def path(tmp_path):
    return cassette(tmp_path, answered(*CHUNKS, first=0.1, every=0.1), body=QUESTION)


async def ask(retries=0):
    """What an agent hears of the answer, through the OpenAI client, and the error with which it ends."""
    heard = []
    async with openai.AsyncOpenAI(api_key="sk-none", base_url="https://api.example/v1", max_retries=retries) as client:
        try:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            async for chunk in stream:
                heard += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        except Exception as problem:  # noqa: BLE001 - whatever it is, it is looked at
            return heard, problem
    return heard, None


def broken_off(library, url):
    """The error that a client of that library sees, and what it had read before."""
    read = b""
    with library.Client(timeout=PATIENCE, verify=False) as client:
        try:
            with client.stream("POST", url) as response:
                for data in response.iter_raw():
                    read += data
        except library.TransportError as problem:
            return read, type(problem), str(problem)
    return read, None, ""


@pytest.mark.parametrize("n", range(1, len(WORDS) + 1))
async def test_the_connection_breaks_after_so_many_deltas(n, path):
    transcript = Transcript()
    with virtual_time() as clock, use_cassette(path, faults=[disconnect(after=n)], transcript=transcript):
        heard, problem = await ask()

        assert heard == WORDS[:n]
        assert isinstance(problem, openai.APIConnectionError)
        assert isinstance(problem.__cause__, httpx2.RemoteProtocolError)
        assert clock.now == pytest.approx(0.1 + 0.1 * (FIRST + n))
    transcript.expect("openai.chat").text("".join(WORDS[:n])).failed(kind="transport").nothing_more()


@LIBRARIES
@pytest.mark.parametrize("length", [None, "100000"], ids=["chunked", "of known length"])
def test_a_broken_connection_is_what_a_socket_gives(library, length, server, tmp_path):
    headers = {"content-type": "text/event-stream"} | ({"content-length": length} if length else {})
    kept = CHUNKS[: FIRST + 2]
    server.enqueue(Answer([chunk.encode() for chunk in kept], breaks=True, headers=headers))
    real = broken_off(library, f"{server.url}/chat/completions")

    path = cassette(tmp_path, answered(*CHUNKS, headers=[list(pair) for pair in headers.items()]))
    with use_cassette(path, faults=[disconnect(after=2)]):
        played = broken_off(library, URL)

    assert played == real
    assert played[1] is library.RemoteProtocolError


@contextmanager
def silent_server():
    """It accepts one connection, and closes it when it has read the request."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
    thread.join(PATIENCE)
    listener.close()


@LIBRARIES
def test_a_connection_that_breaks_before_the_answer_is_what_a_socket_gives(library, path, tmp_path):
    with silent_server() as url:
        real = broken_off(library, url)
    path = cassette(tmp_path, answered(*CHUNKS))
    with use_cassette(path, faults=[disconnect()]):
        played = broken_off(library, URL)

    assert played == real
    assert played[1] is library.RemoteProtocolError


async def test_a_client_that_tries_again_gets_the_recorded_answer(path):
    with virtual_time() as clock, use_cassette(path, faults=[error(429), disconnect()]) as playing:
        heard, problem = await ask(retries=2)

        assert (heard, problem) == (WORDS, None)
        assert playing.requests == 3
        assert clock.now > 1  # it backed off between its tries


async def test_the_provider_answers_with_a_status(path):
    transcript = Transcript()
    with virtual_time(), use_cassette(path, faults=[error(429, "slow down")], transcript=transcript):
        heard, problem = await ask()

    assert heard == []
    assert isinstance(problem, openai.RateLimitError)
    assert problem.body["message"] == "slow down"
    transcript.expect("openai.chat").failed(kind="provider").nothing_more()


async def test_the_provider_reports_an_error_in_mid_stream(path):
    with virtual_time(), use_cassette(path, faults=[error("server_error", "out of order", after=2)]):
        heard, problem = await ask()

    assert heard == WORDS[:2]
    assert isinstance(problem, openai.APIError)
    assert "out of order" in str(problem)


@LIBRARIES
async def test_a_stalled_answer_times_out_as_on_a_socket(library, path, tmp_path):
    path = cassette(tmp_path, answered(*CHUNKS))
    read = b""
    with virtual_time() as clock, use_cassette(path, faults=[stall(after=1)]):
        async with library.AsyncClient(timeout=7, verify=False) as client:
            with pytest.raises(library.ReadTimeout):
                async with client.stream("POST", URL) as response:
                    async for data in response.aiter_raw():
                        read += data

        assert clock.now == pytest.approx(0.1 + 0.1 * (FIRST + 1) + 7)
    assert read.decode() == "".join(CHUNKS[: FIRST + 1])


@LIBRARIES
def test_so_it_does_instantly_and_for_a_sync_client(library, tmp_path):
    path = cassette(tmp_path, answered(*CHUNKS))
    with virtual_time() as clock, use_cassette(path, faults=[stall(after=1)], timing="instant"):
        with library.Client(timeout=7, verify=False) as client, pytest.raises(library.ReadTimeout):
            client.post(URL)

        assert clock.now == 7


async def test_a_truncated_answer_ends_in_good_order_without_the_last_word(path):
    transcript = Transcript()
    with virtual_time(), use_cassette(path, faults=[truncate(after=2)], transcript=transcript):
        heard, _ = await ask()

    assert heard == WORDS[:2]
    transcript.expect("openai.chat").text("One two").failed(kind="transport").nothing_more()


async def test_an_event_comes_twice_and_the_next_is_damaged(path):
    with virtual_time() as clock, use_cassette(path, faults=[corrupt(after=3), duplicate(after=2)]):
        heard, problem = await ask()

        assert clock.now == pytest.approx(0.1 + 0.1 * (FIRST + 4))  # each at the time of the event that it comes with
    assert heard == ["One", " two", " two", " three"]
    assert isinstance(problem, ValueError | openai.APIError)


@given(sizes=sizes, n=st.integers(1, len(WORDS)), damage=st.sampled_from(["json", "utf8"]))
@examples(30)
def test_only_the_event_that_is_meant_is_touched(sizes, n, damage):
    frames = encode(script(*WORDS), "openai.chat")
    recorded = recording("openai.chat", chunked(b"".join(frames), sizes))
    after = FIRST + n  # frames up to that delta

    twice, _ = lay_over([recorded], [duplicate(after=n), truncate(byte=len(b"".join(frames)))]).interactions
    broken, _ = lay_over([recorded], [corrupt(damage, after=n), truncate(byte=len(b"".join(frames)))]).interactions

    assert body_of(twice) == b"".join([*frames[:after], *frames[after - 1 :]])
    assert body_of(broken).startswith(b"".join(frames[:after]))
    assert body_of(broken).endswith(b"".join(frames[after + 1 :]))
    assert body_of(broken) != body_of(recorded)
    assert all(chunk.data for chunk in [*twice.chunks, *broken.chunks])
    assert len(twice.chunks) == len(recorded.chunks)


@pytest.mark.parametrize("fault", [disconnect(byte=40), truncate(byte=40), stall(byte=40)], ids=repr)
def test_a_fault_can_strike_at_a_byte(fault):
    recorded = recording("openai.chat", [chunk.encode() for chunk in CHUNKS])
    recorded.response_headers = (*recorded.response_headers, ("content-length", "100000"))

    struck, _ = lay_over([recorded], [fault]).interactions

    assert body_of(struck) == "".join(CHUNKS).encode()[:40]
    assert struck.response_headers[-1] == ("content-length", "40" if fault == truncate(byte=40) else "100000")


async def test_a_fault_strikes_the_exchange_of_its_number(tmp_path):
    path = cassette(tmp_path, answered(*CHUNKS), answered(*CHUNKS), body=QUESTION)
    with use_cassette(path, faults=[error(500, exchange=2)]):
        assert await ask() == (WORDS, None)
        heard, problem = await ask()

    assert heard == []
    assert isinstance(problem, openai.InternalServerError)


def test_without_a_number_it_strikes_the_first_answer_of_a_model(tmp_path):
    path = cassette(tmp_path, answered("{}", headers=[]), answered(*CHUNKS))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace("/chat/completions", "/models"), *lines[2:], ""]))

    played = lay_over(load_cassette(path), [disconnect(after=1)])

    assert [each.how for each in played.interactions] == ["complete", "disconnected", "complete"]
    assert played.spare == {2}  # what comes after a fault need not be asked for; what comes before it has to be


@pytest.mark.parametrize("name", DIALECTS)
@given(said=said(max_parts=4), sizes=sizes, data=st.data())
@examples(30)
def test_the_cut_is_at_the_delta_however_the_body_was_chunked(name, said, sizes, data, tmp_path_factory):
    whole = b"".join(encode(script("first", *said.script.parts), name))
    frames = rechunk(whole, "event")
    recorded = recording(name, chunked(whole, sizes))
    n = data.draw(st.integers(1, deltas(whole, name)))

    struck, _ = lay_over([recorded], [disconnect(after=n)]).interactions

    body = b"".join(chunk.data for chunk in struck.chunks)
    assert whole.startswith(body)
    assert body in [b"".join(frames[:i]) for i in range(len(frames) + 1)]  # whole frames
    assert deltas(body, name) == n
    assert [chunk.data for chunk in struck.chunks][:-1] == chunked(whole, sizes)[: len(struck.chunks) - 1]


def body_of(interaction):
    return b"".join(chunk.data for chunk in interaction.chunks)


def deltas(body, name):
    try:
        events = decode(body, name)
    except StreamError as cut_short:
        events = cut_short.events
    return sum(event.type.endswith(".delta") for event in events)


PATHS = {"openai.responses": "responses", "openai.chat": "chat/completions", "anthropic.messages": "messages"}


def recording(name, chunks):
    from pytest_streamrt.cassette import Interaction, RecordedChunk

    recorded = [RecordedChunk(n, data) for n, data in enumerate(chunks)]
    path = PATHS.get(name, "models/m:streamGenerateContent")
    head = (("content-type", "text/event-stream"),)
    return Interaction(
        1, 0, "POST", f"https://api.example/v1/{path}", (), b"", 200, 0, head, recorded, "complete", len(chunks)
    )


def test_a_packed_body_is_cut_at_the_chunk_in_which_the_delta_is_out():
    packer = gzip.zlib.compressobj(wbits=31)
    frames = encode(script("a", tool_call("f", {}), "b"), "openai.chat")
    chunks = [packer.compress(frame) + packer.flush(gzip.zlib.Z_SYNC_FLUSH) for frame in frames]
    recorded = recording("openai.chat", chunks)
    recorded.response_headers = (*recorded.response_headers, ("content-encoding", "gzip"))

    struck, _ = lay_over([recorded], [disconnect(after=2)]).interactions

    assert [chunk.data for chunk in struck.chunks] == chunks[: len(struck.chunks)]
    unpacked = gzip.zlib.decompressobj(wbits=31).decompress(b"".join(chunk.data for chunk in struck.chunks))
    assert deltas(unpacked, "openai.chat") == 2


def test_where_no_dialect_is_spoken_chunks_are_counted():
    recorded = recording("openai.chat", [b"a", b"b", b"c"])
    recorded.url = "https://example.org/feed"

    struck, _ = lay_over([recorded], [disconnect(after=2)]).interactions

    assert [chunk.data for chunk in struck.chunks] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (
            [disconnect(after=5)],
            r"Disconnect\(\) with after=5 never strikes: the recorded answer to POST .* has 4 deltas",
        ),
        ([error(429, after=1)], "never strikes: 429 is an HTTP status, and by then the answer has begun"),
        ([stall(exchange=2)], r"Stall\(\) with exchange=2 never strikes: the cassette has 1 recorded exchange$"),
        (["disconnect"], "'disconnect' is no fault of a recording; disconnect"),
        ([script.misbehave("two terminals")], r"Misbehave\(.*\) is no fault of a recording"),
        ([truncate(byte=9999)], r"with byte=9999 never strikes: the recorded answer has [\d,]+ bytes"),
        ([duplicate(after=1), disconnect(after=2), corrupt(after=9)], "after=9 never strikes"),
        ([corrupt(after=3), disconnect(after=2)], "after=3 never strikes: a fault before it ends the answer"),
        ([disconnect(after=2, exchange=3)], r"with after=2, exchange=3 never strikes"),
        (disconnect(), r"faults is a list of faults, such as \[disconnect\(after=5\)\], not Disconnect"),
    ],
)
def test_a_fault_that_never_strikes_is_refused_when_the_cassette_is_opened(faults, message, path):
    with pytest.raises(CassetteError, match=message), use_cassette(path, faults=faults):
        pass


def test_faults_are_never_recorded(path, tmp_path):
    with pytest.raises(CassetteError, match="with faults, record is \"none\", not 'rewrite'"):
        with use_cassette(path, faults=[stall()], record="rewrite"):
            pass
    with pytest.raises(CassetteError, match="there is no cassette at"), use_cassette(tmp_path / "no", faults=[stall()]):
        pass


def test_an_error_in_mid_stream_needs_a_stream():
    recorded = recording("openai.chat", [json.dumps({"data": []}).encode()])
    recorded.url = "https://example.org/feed"

    with pytest.raises(CassetteError, match="this is no plain stream of an API that is known here"):
        lay_over([recorded], [error("server_error")])
