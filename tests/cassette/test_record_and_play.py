"""Recording over TCP from a real server, and playing it back: the same bytes, cuts, times and ends."""

from __future__ import annotations

import anyio
import httpx
import httpx2
import pytest

from pytest_streamrt import NotReplayable, Transcript, script, use_cassette, virtual_time
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer

pytestmark = pytest.mark.anyio

CHUNKS = encode(script("Hel", "lo ", "wörld 👋"), "openai.chat")
ASK = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
# httpx and httpx2 leave generators of their own behind where a body is not read to its end, and trio warns of them.
LEAVES_GENERATORS = pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object")
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


async def ask(library, server, *, url=None, body=ASK):
    """The raw chunks of one streamed answer."""
    async with (
        library.AsyncClient(timeout=PATIENCE, verify=False) as client,
        client.stream("POST", url or f"{server.url}/chat/completions", json=body) as response,
    ):
        return [chunk async for chunk in response.aiter_raw()]


def ask_sync(library, server):
    with (
        library.Client(timeout=PATIENCE, verify=False) as client,
        client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
    ):
        return list(response.iter_raw())


@LIBRARIES
async def test_an_async_client_gets_the_same_bytes_in_the_same_cuts(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = await ask(library, server)
    with use_cassette(path):
        played = await ask(library, server)

    assert b"".join(live) == b"".join(CHUNKS)
    assert played == live
    assert len(server.requests) == 1


@LIBRARIES
def test_a_sync_client_gets_the_same_bytes_in_the_same_cuts(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = ask_sync(library, server)
    with use_cassette(path):
        played = ask_sync(library, server)

    assert b"".join(live) == b"".join(CHUNKS)
    assert played == live


async def test_what_one_library_recorded_the_other_can_play(server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = ask_sync(httpx, server)
    with use_cassette(path):
        assert await ask(httpx2, server) == live


@LEAVES_GENERATORS
@LIBRARIES
async def test_the_first_chunk_arrives_before_the_second_is_sent(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS, stepwise=True))
    received = []
    with use_cassette(tmp_path / "cassette.jsonl", record="once"):
        async with (
            library.AsyncClient(timeout=PATIENCE, verify=False) as client,
            client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
        ):
            chunks = response.aiter_raw()
            for expected in CHUNKS:
                server.step()  # the server sends one more chunk only now
                received.append(await anext(chunks))
                assert received[-1] == expected

    (recorded,) = load_cassette(tmp_path / "cassette.jsonl")
    assert [chunk.data for chunk in recorded.chunks] == received


async def test_on_virtual_time_each_chunk_comes_at_its_recorded_microsecond(server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        await ask(httpx2, server)
    (recorded,) = load_cassette(path)

    with virtual_time() as clock:
        with use_cassette(path):
            async with (
                httpx2.AsyncClient(verify=False) as client,
                client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
            ):
                head = clock.ns
                times = [clock.ns async for _ in response.aiter_raw()]

    assert head == (recorded.response_at - recorded.at) * 1_000
    assert times == [(chunk.at - recorded.at) * 1_000 for chunk in recorded.chunks]
    assert times == sorted(times)


async def test_a_sync_client_on_virtual_time_lets_the_recorded_time_pass(server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = ask_sync(httpx2, server)
    (recorded,) = load_cassette(path)

    with virtual_time() as clock, use_cassette(path):
        assert ask_sync(httpx2, server) == live

        assert clock.ns == (recorded.end_at - recorded.at) * 1_000


@pytest.mark.parametrize(("timing", "factor"), [("recorded", 1), (2, 2), (0.5, 0.5), ("instant", None)])
async def test_the_speed_can_be_chosen(timing, factor, server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        await ask(httpx2, server)
    (recorded,) = load_cassette(path)

    with virtual_time() as clock:
        with use_cassette(path, timing=timing):
            await ask(httpx2, server)

        took = (recorded.end_at - recorded.at) * 1_000
        assert clock.ns == (0 if factor is None else round(took / factor))


@pytest.mark.parametrize("cut", ["whole", "event", "byte", 1, 2, 3])
async def test_played_chunks_can_be_cut_anew_and_no_byte_comes_before_its_time(cut, server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        live = await ask(httpx2, server)
    (recorded,) = load_cassette(path)

    with virtual_time() as clock, use_cassette(path, rechunk=cut):
        async with (
            httpx2.AsyncClient(verify=False) as client,
            client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
        ):
            pieces = [(clock.ns, piece) async for piece in response.aiter_raw()]

    assert b"".join(piece for _, piece in pieces) == b"".join(live)
    arrived = 0
    for when, piece in pieces:
        arrived += len(piece)
        by_then = sum(len(c.data) for c in recorded.chunks if (c.at - recorded.at) * 1_000 <= when)
        assert arrived <= by_then


@LIBRARIES
async def test_recording_on_virtual_time_takes_as_long_as_it_really_takes(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS, delay=0.3))
    path = tmp_path / "cassette.jsonl"
    ticks = []

    async def tick() -> None:
        while True:
            await anyio.sleep(0.05)
            ticks.append(clock.now)

    with virtual_time() as clock, use_cassette(path, record="once"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            with anyio.fail_after(PATIENCE):
                live = await ask(library, server)
            answered = clock.now
            tasks.cancel_scope.cancel()
        recorded_jumps = clock.racy_jumps
        await anyio.sleep(3_600)  # and from then on it runs as fast as ever, past the connection that is still open

    assert b"".join(live) == b"".join(CHUNKS)
    (recorded,) = load_cassette(path)
    assert recorded.how == "complete"
    assert recorded.response_at - recorded.at >= 300_000
    assert 0.3 <= answered < PATIENCE
    assert ticks[:5] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25])
    assert recorded_jumps == clock.racy_jumps == 0


async def test_a_timeout_of_the_clients_runs_in_real_time_meanwhile(server, tmp_path):
    server.enqueue(Answer(CHUNKS, stepwise=True))
    with virtual_time() as clock, use_cassette(tmp_path / "cassette.jsonl", record="once"):
        async with httpx2.AsyncClient(timeout=0.1, verify=False) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.post(f"{server.url}/chat/completions", json=ASK)

        assert clock.now >= 0.1


@LIBRARIES
def test_a_sync_client_that_records_lets_as_much_virtual_time_pass(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS, delay=0.3))
    with virtual_time() as clock, use_cassette(tmp_path / "cassette.jsonl", record="once"):
        assert b"".join(ask_sync(library, server)) == b"".join(CHUNKS)

        assert 0.3 <= clock.now < PATIENCE


@LEAVES_GENERATORS
async def test_closed_by_the_client_half_way_is_kept_and_nobody_can_read_on(server, tmp_path):
    server.enqueue(Answer(CHUNKS, stepwise=True))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        async with (
            httpx2.AsyncClient(timeout=PATIENCE, verify=False) as client,
            client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
        ):
            server.step(2)
            chunks = response.aiter_raw()
            first = [await anext(chunks), await anext(chunks)]
    assert server.client_gone.wait(PATIENCE)

    (recorded,) = load_cassette(path)
    assert recorded.how == "client"
    assert [chunk.data for chunk in recorded.chunks] == first
    with use_cassette(path), pytest.raises(NotReplayable, match=r"closed the response after 2 chunks.*rewrite"):
        await ask(httpx2, server)


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_a_broken_connection_is_recorded_and_breaks_again(library, server, tmp_path):
    server.enqueue(Answer(CHUNKS[:2], breaks=True))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"), pytest.raises(library.RemoteProtocolError) as live:
        await ask(library, server)

    (recorded,) = load_cassette(path)
    assert recorded.how == "disconnected"
    with use_cassette(path), pytest.raises(library.RemoteProtocolError) as played:
        await ask(library, server)
    assert str(played.value) == str(live.value)


async def test_an_unreachable_server_is_recorded_and_unreachable_again(tmp_path):
    path = tmp_path / "cassette.jsonl"
    url = "http://127.0.0.1:9/v1/chat/completions"  # the discard port: nobody listens
    with use_cassette(path, record="once"), pytest.raises(httpx2.ConnectError):
        await ask(httpx2, None, url=url)

    (recorded,) = load_cassette(path)
    assert (recorded.status, recorded.how) == (None, "failed")
    with use_cassette(path), pytest.raises(httpx2.ConnectError):
        await ask(httpx2, None, url=url)


async def test_an_http_error_is_recorded_and_played(server, tmp_path):
    answer = Answer([b'{"error": {"message": "slow down"}}'], 429, {"content-type": "application/json"})
    server.enqueue(answer)
    path = tmp_path / "cassette.jsonl"
    transcript = Transcript()
    with use_cassette(path, record="once"):
        await ask(httpx2, server)
    with use_cassette(path, transcript=transcript):
        await ask(httpx2, server)

    transcript.expect("openai.chat").failed(kind="provider").nothing_more()


async def test_a_read_times_out_as_on_a_socket(server, tmp_path):
    server.enqueue(Answer(CHUNKS))
    path = tmp_path / "cassette.jsonl"
    with use_cassette(path, record="once"):
        await ask(httpx2, server)
    # The same recording, with its second half an hour late.
    slow = []
    for line in path.read_text(encoding="utf-8").splitlines():
        late = '"at": 0.' in line and ('"end"' in line or "DONE" in line)
        slow.append(line.replace('"at": 0.', '"at": 3600.') if late else line)
    path.write_text("\n".join(slow) + "\n", encoding="utf-8")

    with virtual_time() as clock:
        with use_cassette(path), pytest.raises(httpx2.ReadTimeout):
            async with (
                httpx2.AsyncClient(timeout=5, verify=False) as client,
                client.stream("POST", f"{server.url}/chat/completions", json=ASK) as response,
            ):
                async for _ in response.aiter_raw():
                    last = clock.now

        assert clock.now == pytest.approx(last + 5)


async def test_concurrent_requests_get_their_own_recordings(server, tmp_path):
    path = tmp_path / "cassette.jsonl"
    questions = [{**ASK, "n": i} for i in range(4)]
    server.enqueue(*(Answer(encode(script(f"answer {i}"), "openai.chat")) for i in range(4)))
    with use_cassette(path, record="once"):
        for question in questions:
            await ask(httpx2, server, body=question)

    answers = {}

    async def put(i):
        answers[i] = b"".join(await ask(httpx2, server, body=questions[i]))

    with virtual_time(), use_cassette(path):
        async with anyio.create_task_group() as tasks:
            for i in (2, 0, 3, 1):
                tasks.start_soon(put, i)

    assert all(f"answer {i}".encode() in answers[i] for i in range(4))


async def test_a_response_that_nobody_read_or_closed_is_recorded_as_closed(server, tmp_path):
    server.enqueue(Answer(CHUNKS, stepwise=True))
    path = tmp_path / "cassette.jsonl"
    async with httpx2.AsyncClient(timeout=PATIENCE, verify=False) as client:
        with use_cassette(path, record="once"):
            request = client.build_request("POST", f"{server.url}/chat/completions", json=ASK)
            response = await client.send(request, stream=True)
        (recorded,) = load_cassette(path)
        await response.aclose()

    assert (recorded.how, recorded.chunks) == ("client", [])
