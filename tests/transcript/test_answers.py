"""HTTP answers in the log: how they end, whatever their status, their encoding, and what a client leaves unread."""

from __future__ import annotations

import gzip
import zlib

import httpx2
import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Transcript, fold, script, use_cassette
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.providers import encode
from pytest_streamrt.wire import rechunk
from tests.cassette.recordings import ASK, URL, Network
from tests.transcript.scenes import JSON, STREAM, exchange

GET = ("GET", "https://api.example/v1/models")
EMBED = ("POST", "https://api.example/v1/embeddings")
ANSWER = b"".join(encode(script("a", "b", "c"), "openai.chat"))
WHOLE = (
    b'{"id": "x", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, '
    b'"finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
)


def failure(transcript, source="openai.chat"):
    """The failure on the record."""
    return next(event for event in transcript.of(source) if event.type == "inference.failed")


def raw_deflate(data):
    """Deflate as some servers understand it, without zlib's head."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


# Requests that are no inference.


@pytest.mark.parametrize("request_", [GET, EMBED])
@pytest.mark.parametrize("how", ["complete", "client", "disconnected"])
@pytest.mark.parametrize("status", [200, 307, 404])
def test_a_plain_http_request_is_no_inference(request_, how, status):
    transcript = Transcript()
    exchange(transcript, request_, chunks=[b'{"data": []}'], headers=JSON, status=status, how=how)

    assert [event.type for event in transcript.of("http")] == ["exchange.opened", "exchange.closed"]
    assert {event.inference for event in transcript.of("http")} == {None}
    transcript.assert_lawful()
    transcript.expect("http").upstream_closed().nothing_more()


async def _look_up():
    async with httpx2.AsyncClient(verify=False) as client:
        await client.get(GET[1])


@pytest.mark.anyio
async def test_a_room_in_whose_test_plain_requests_are_made_is_lawful(tmp_path):
    class Looker(Agent):
        async def on_internal_event(self, event):
            if event.type == "participant.joined":
                await _look_up()

    class AsyncNetwork(Network):
        async def handle_async(self, library, transport, request, forward):
            class Body(library.AsyncByteStream):
                async def __aiter__(self):
                    yield b'{"data": []}'

            return library.Response(200, headers=JSON, stream=Body(), request=request)

    transcript = Transcript()
    with intercept(AsyncNetwork()), use_cassette(tmp_path / "x.jsonl", record="rewrite", transcript=transcript):
        await _look_up()
        async with Environment(Looker("looker", FakeModel()), transcript=transcript):
            pass

    assert {"http", "looker"} <= set(transcript.sources)
    assert [each.how for each in transcript.exchanges] == ["complete", "complete"]
    transcript.assert_lawful()
    assert "http" not in transcript.marbles()


# How an answer ends.


def test_closed_by_the_client_before_the_end_is_an_abort():
    transcript = Transcript()
    chunks = encode(script("a", "b", "c"), "openai.chat")
    logged = exchange(transcript, chunks=chunks[:3], how="client", unread=chunks[3:])

    transcript.expect("openai.chat").text("ab").aborted(by="client").upstream_closed().nothing_more()
    aborted = next(event for event in transcript.events if event.type == "inference.aborted")
    assert aborted.partial == "ab"
    assert (logged.unread_chunks, logged.unread_deltas) == (len(chunks) - 3, 1)


def test_closed_by_the_client_after_the_providers_last_event_is_complete():
    transcript = Transcript()
    logged = exchange(transcript, chunks=encode(script("a"), "openai.chat"), how="client")

    assert logged.how == "complete"
    transcript.expect("openai.chat").text("a").completed().nothing_more()


@pytest.mark.parametrize("how", ["disconnected", "timeout", "failed"])
def test_a_broken_connection_is_a_failure_of_the_transport(how):
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a", "b"), "openai.chat")[:2], how=how)

    transcript.expect("openai.chat").text("a").failed(kind="transport").nothing_more()


def test_a_body_that_ends_too_early_is_a_failure_of_the_transport():
    transcript = Transcript()
    exchange(transcript, chunks=encode(script("a", "b"), "openai.chat")[:2])

    transcript.expect("openai.chat").text("a").failed(kind="transport").nothing_more()


@pytest.mark.parametrize(
    ("damage", "at"), [(b"data: {oops\n\n", 0), (b"data: \xff\n\n", len("data: ")), (b"data: []\n\n", 0)]
)
def test_a_stream_that_is_nonsense_is_a_failure_of_the_provider_that_names_the_place(damage, at):
    transcript = Transcript()
    chunks = encode(script("a", "b"), "openai.chat")
    exchange(transcript, chunks=[*chunks[:2], damage, *chunks[2:]])

    transcript.expect("openai.chat").text("a").failed(kind="provider").nothing_more()
    failed = next(event for event in transcript.events if event.type == "inference.failed")
    assert f"at byte {sum(map(len, chunks[:2])) + at}" in failed.message


def test_an_answer_that_is_cut_short_is_a_failure_of_the_transport_also_where_it_is_packed():
    transcript = Transcript()
    packed = gzip.compress(ANSWER)
    exchange(transcript, chunks=[packed[:-30]], headers=[*STREAM, ("content-encoding", "gzip")])

    assert failure(transcript).kind == "transport"


# HTTP statuses.


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "slow down", "code": "rate_limit"}}', "HTTP 429: slow down"),
        (b'{"error": "slow down"}', "HTTP 429: slow down"),
        (b'{"detail": "slow down"}', 'HTTP 429: {"detail": "slow down"}'),
        (b'{"error": {"code": 7}}', 'HTTP 429: {"error": {"code": 7}}'),
        (b"slow down\n", "HTTP 429: slow down"),
        (b'["slow"]', 'HTTP 429: ["slow"]'),
        (b"", "HTTP 429"),
    ],
)
@pytest.mark.parametrize("how", ["complete", "client"])
def test_an_http_error_is_a_failure_of_the_provider_whoever_closes_it(body, said, how):
    transcript = Transcript()
    exchange(transcript, chunks=[body], status=429, headers=JSON, how=how)

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
    assert failure(transcript).message == said
    transcript.assert_lawful()


@pytest.mark.parametrize("headers", [JSON, STREAM])
def test_an_http_error_that_nobody_reads_is_a_failure_of_the_provider(headers):
    transcript = Transcript()
    exchange(transcript, chunks=[], status=500, headers=headers, how="client", unread=[b"{}"])

    transcript.expect("openai.chat").failed(kind="provider").upstream_closed().nothing_more()


def test_a_retry_of_the_sdk_after_an_error_leaves_a_failure_and_an_answer(tmp_path):
    import openai

    class Flaky(Network):
        def handle(self, library, transport, request, forward):
            self.status = 500 if len(self.bodies) == 2 else 200
            return super().handle(library, transport, request, forward)

    transcript = Transcript()
    with (
        intercept(Flaky([b"no"], encode(script("a"), "openai.chat"), headers=[("retry-after-ms", "1")])),
        use_cassette(tmp_path / "x.jsonl", record="rewrite", transcript=transcript),
        openai.OpenAI(api_key="x", base_url=URL.removesuffix("/chat/completions"), max_retries=1) as client,
    ):
        for _ in client.chat.completions.create(**ASK):
            pass

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
    transcript.expect("openai.chat#2").text("a").completed().nothing_more()


def test_a_connection_that_breaks_in_an_http_error_is_a_failure_of_the_transport():
    transcript = Transcript()
    exchange(transcript, chunks=[b"{"], status=500, headers=JSON, how="disconnected")

    assert failure(transcript).kind == "transport"


def test_a_packed_http_error_is_read_too():
    transcript = Transcript()
    body = gzip.compress(b'{"error": {"message": "slow down"}}')
    exchange(transcript, chunks=[body], status=429, headers=[*JSON, ("content-encoding", "gzip")])

    assert failure(transcript).message == "HTTP 429: slow down"


def test_an_http_error_that_is_packed_otherwise_than_it_says_is_still_one():
    transcript = Transcript()
    body = gzip.compress(b"slow down")[:10] + b"\xff" * 20
    exchange(transcript, chunks=[body], status=429, headers=[*JSON, ("content-encoding", "gzip")])

    assert failure(transcript).message == "HTTP 429"


@pytest.mark.parametrize("how", ["complete", "client"])
def test_a_redirect_is_a_failure_of_the_provider_that_says_where_to(how):
    transcript = Transcript()
    headers = [("location", "https://other.example/v1/chat/completions?key=secret")]
    exchange(transcript, chunks=[], status=307, headers=headers, how=how)
    exchange(transcript, chunks=[ANSWER])

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
    assert failure(transcript).message == "HTTP 307: redirected to https://other.example/v1/chat/completions"
    transcript.expect("openai.chat#2").text("abc").completed().nothing_more()


# Answers that are no streams.


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/plain; charset=utf-8", ""])
@pytest.mark.parametrize("how", ["whole", "byte", 7])
@pytest.mark.parametrize("lead", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_answer_that_was_not_streamed_is_decoded_whatever_it_is_called(kind, how, lead):
    transcript = Transcript()
    exchange(transcript, chunks=rechunk(lead + WHOLE, how), headers=[("content-type", kind)] if kind else [])

    transcript.expect("openai.chat").text("Hi").completed().nothing_more()
    assert fold(transcript.of("openai.chat")).usage.output_tokens == 2


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream", ""])
@pytest.mark.parametrize("how", ["whole", "byte", 7])
def test_a_stream_is_decoded_whatever_it_is_called(kind, how):
    transcript = Transcript()
    exchange(transcript, chunks=rechunk(ANSWER, how), headers=[("content-type", kind)] if kind else [])

    transcript.expect("openai.chat").text("abc").completed().nothing_more()


def test_a_page_instead_of_an_answer_is_a_failure_of_the_provider_that_shows_it():
    transcript = Transcript()
    exchange(transcript, chunks=[b"<html>Please log in</html>"], headers=[("content-type", "text/html")])

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()
    assert "Please log in" in failure(transcript).message


# Content encodings.


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(ANSWER)),
        ("GZIP", gzip.compress(ANSWER)),
        ("x-gzip", gzip.compress(ANSWER)),
        ("deflate", zlib.compress(ANSWER)),
        ("deflate", raw_deflate(ANSWER)),
        ("deflate, gzip", gzip.compress(zlib.compress(ANSWER))),
        ("identity", ANSWER),
        ("gzip", ANSWER),  # as some servers do
    ],
)
@pytest.mark.parametrize("how", ["whole", "byte", 7])
def test_a_packed_stream_is_decoded_too(encoding, packed, how):
    transcript = Transcript()
    exchange(transcript, chunks=rechunk(packed, how), headers=[*STREAM, ("content-encoding", encoding)])

    transcript.expect("openai.chat").text("abc").completed().nothing_more()


def test_a_body_that_is_not_packed_as_it_says_is_a_failure_of_the_provider():
    transcript = Transcript()
    packed = gzip.compress(ANSWER)
    exchange(transcript, chunks=[packed[:10], b"\xff" * 20], headers=[*STREAM, ("content-encoding", "gzip")])

    transcript.expect("openai.chat").skip_until("inference.failed").failed(kind="provider").nothing_more()
    assert "not the gzip that its content-encoding says, after byte 10" in failure(transcript).message


def test_a_packed_stream_closed_after_the_providers_last_event_is_complete():
    transcript = Transcript()
    packed = gzip.compress(ANSWER)
    logged = exchange(transcript, chunks=[packed], headers=[*STREAM, ("content-encoding", "gzip")], how="client")

    assert logged.how == "complete"
    transcript.expect("openai.chat").text("abc").completed().nothing_more()


def test_the_deltas_nobody_read_are_counted_in_a_packed_stream():
    packer = zlib.compressobj(wbits=31)
    frames = encode(script("a", "b", "c", "d"), "openai.chat")
    packed = [packer.compress(frame) + packer.flush(zlib.Z_SYNC_FLUSH) for frame in frames]
    transcript = Transcript()
    headers = [*STREAM, ("content-encoding", "gzip")]
    logged = exchange(transcript, chunks=packed[:3], unread=packed[3:], headers=headers, how="client")

    assert logged.unread_deltas == 2
    transcript.expect("openai.chat").text("ab").aborted(by="client").nothing_more()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_an_answer_that_cannot_be_unpacked_is_no_failure_and_says_so_once(encoding, headers):
    transcript = Transcript()
    headers = [*headers, ("content-encoding", encoding)]
    logged = exchange(transcript, chunks=[b"\xff\xfe", b"\x00"], headers=headers)

    (note,) = [event for event in transcript.events if event.type == "provider.event"]
    assert note.data["encoding"] == encoding
    assert "Have the client send: accept-encoding: gzip" in note.data["message"]
    transcript.expect("openai.chat").completed().nothing_more()
    transcript.assert_lawful()
    assert (logged.how, logged.unread_deltas) == ("complete", 0)


def test_an_answer_that_cannot_be_unpacked_and_is_closed_early_is_an_abort_that_says_so():
    transcript = Transcript()
    exchange(transcript, chunks=[b"\xff\xfe"], headers=[*STREAM, ("content-encoding", "br")], how="client")

    transcript.expect("openai.chat").aborted(by="client").nothing_more()
    aborted = next(event for event in transcript.events if event.type == "inference.aborted")
    assert "packed as 'br'" in aborted.reason


def test_an_http_error_that_cannot_be_unpacked_is_a_failure_of_the_provider():
    transcript = Transcript()
    exchange(transcript, chunks=[b"\xff"], status=503, headers=[*JSON, ("content-encoding", "br")])

    assert failure(transcript).message.startswith("HTTP 503: the answer is packed as 'br'")
    assert not any(event.type == "provider.event" for event in transcript.events)
