"""`Transcript.record`: what it takes, that it hands everything on untouched, and how the recording ends."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest

from pytest_streamrt import Signal, Transcript, TranscriptError
from pytest_streamrt.events import InferenceCompleted, TextDelta
from tests.transcript.pieces import Pieces, drained

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_strings_are_text_at_the_times_at_which_they_pass():
    transcript = Transcript()

    passed = await drained(transcript.record(Pieces("Hel", "lo"), source="browser"))

    assert passed == ["Hel", "lo"]
    transcript.expect("browser").text("Hello", at=0.2).completed(at=0.3).nothing_more()
    assert transcript.text("browser") == "Hello"
    transcript.assert_lawful()


async def test_a_sync_iterator_stays_one():
    transcript = Transcript()

    recorded = transcript.record(iter(["Hel", "lo"]), source="browser")

    assert next(recorded) == "Hel"
    assert list(recorded) == ["lo"]
    assert not hasattr(type(recorded), "__anext__")
    transcript.expect("browser").text("Hello").completed().nothing_more()


async def test_bytes_are_utf8_wherever_they_are_cut():
    transcript = Transcript()
    data = "Grüße 🙂".encode()

    await drained(transcript.record(Pieces(*(data[i : i + 1] for i in range(len(data)))), source="browser"))

    assert transcript.text("browser") == "Grüße 🙂"


async def test_nothing_is_drawn_before_its_reader_draws():
    transcript = Transcript()
    drawn = []

    def pieces():
        drawn.append("begun")
        yield "a"

    recorded = transcript.record(pieces(), source="browser")

    assert drawn == []
    assert list(recorded) == ["a"]


async def test_the_stream_s_attributes_are_there():
    recorded = Transcript().record(Pieces("a"), source="browser")

    assert recorded.answer == 42
    assert not hasattr(recorded, "nothing_of_the_kind")
    assert "recorded as 'browser'" in repr(recorded)


async def test_closing_it_is_an_abort_by_the_client_and_closes_the_stream():
    transcript = Transcript()
    stream = Pieces("Hel", "lo")
    recorded = transcript.record(stream, source="browser")

    await anext(recorded)
    await recorded.aclose()

    assert stream.closed
    transcript.expect("browser").text("Hel").aborted(by="client", at=0.1).nothing_more()
    assert transcript.of("browser")[-1].partial == "Hel"
    transcript.assert_lawful()


async def test_closing_it_after_its_end_changes_nothing():
    transcript = Transcript()
    recorded = transcript.record(Pieces("Hello"), source="browser")

    async with contextlib.aclosing(recorded):
        await drained(recorded)

    transcript.expect("browser").text("Hello").completed().nothing_more()


async def test_a_cancelled_reader_is_an_abort_by_the_client():
    transcript = Transcript()

    with anyio.move_on_after(0.25):
        await drained(transcript.record(Pieces("a", "b", "c"), source="browser"))

    transcript.expect("browser").text("ab").aborted(by="client", reason="cancelled", at=0.25).nothing_more()


async def test_a_generator_is_closed_by_whoever_closes_it():
    transcript = Transcript()
    ended = []

    async def pieces():
        try:
            yield "a"
            yield "b"
        finally:
            ended.append(True)

    async with contextlib.aclosing(transcript.record(pieces(), source="browser")) as recorded:
        async for _ in recorded:
            break

    assert ended == [True]
    transcript.expect("browser").text("a").aborted(by="client").nothing_more()


class ReadError(Exception):
    """As of an HTTP library, told by its base's name."""


class TransportError(Exception):
    pass


class Broken(ReadError, TransportError):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [(Broken("gone"), "transport"), (ConnectionResetError("gone"), "transport"), (KeyError("gone"), "model")],
)
async def test_an_error_fails_it_and_goes_on_to_the_reader(error, kind):
    transcript = Transcript()

    with pytest.raises(type(error)):
        await drained(transcript.record(Pieces("Hel", error), source="browser"))

    transcript.expect("browser").text("Hel").failed(kind=kind, at=0.2).nothing_more()
    assert "gone" in transcript.of("browser")[-1].message


async def test_a_context_manager_is_entered_and_left():
    transcript = Transcript()
    log = []

    @contextlib.asynccontextmanager
    async def opened():
        log.append("entered")
        yield Pieces("Hel", "lo")
        log.append("left")

    async with transcript.record(opened(), source="agent") as stream:
        assert stream.answer == 42
        assert await anext(stream) == "Hel"

    assert log == ["entered", "left"]
    transcript.expect("agent").text("Hel").aborted(by="client").nothing_more()


async def test_a_sync_context_manager_likewise():
    transcript = Transcript()

    with transcript.record(contextlib.nullcontext(iter(["a"])), source="agent") as stream:
        assert list(stream) == ["a"]

    transcript.expect("agent").text("a").completed().nothing_more()


async def test_a_context_manager_that_fails_to_open_has_failed():
    transcript = Transcript()

    @contextlib.asynccontextmanager
    async def opened():
        raise ConnectionRefusedError("no route")
        yield

    with pytest.raises(ConnectionRefusedError):
        async with transcript.record(opened(), source="agent"):
            pass

    transcript.expect("agent").failed(kind="transport").nothing_more()


async def test_two_recordings_of_one_source_are_two_inferences():
    transcript = Transcript()
    for text in ("one", "two"):
        await drained(transcript.record(Pieces(text), source="agent"))

    transcript.expect("agent").inference(2).text("two", after=0.1).completed().nothing_more()
    transcript.expect("agent").text("one").completed().text("two").completed().nothing_more()
    transcript.assert_lawful()


async def test_an_event_is_what_it_is():
    transcript = Transcript()

    await drained(
        transcript.record(Pieces(TextDelta("Hi"), Signal("ping"), InferenceCompleted("stop")), source="agent")
    )

    transcript.expect("agent").text("Hi").signal("ping").completed(at=0.3).nothing_more()


async def test_a_piece_that_nobody_knows_is_kept_as_a_provider_event():
    @dataclass
    class Progress:
        percent: int
        handle: object

    transcript = Transcript()
    await drained(transcript.record(Pieces(Progress(7, object()), {"type": "mystery", "n": 1}), source="agent"))

    kept = [event for event in transcript.of("agent") if event.type == "provider.event"]
    assert [event.name for event in kept] == ["Progress", "mystery"]
    assert [event.data for event in kept] == [{"percent": 7, "handle": "<object>"}, {"type": "mystery", "n": 1}]
    transcript.expect("agent").completed().nothing_more()


async def test_a_piece_whose_shape_lies_does_not_break_the_stream():
    lies = {"object": "chat.completion.chunk", "choices": 7}
    worse = {"event": "on_tool_end", "run_id": 1, "data": None}
    transcript = Transcript()

    assert await drained(transcript.record(Pieces(lies), source="a")) == [lies]
    assert await drained(transcript.record(Pieces(worse, "Hi"), source="b")) == [worse, "Hi"]

    transcript.expect("a").failed(kind="provider").nothing_more()
    assert "'choices' is not a list" in transcript.of("a")[-1].message


@pytest.mark.parametrize(
    ("stream", "hint"),
    [
        ("text", "not a str"),
        ({}, "not a dict"),
        (42, "takes an iterator, an SDK's stream or a context manager of one, not int"),
        (drained, "call it"),
    ],
)
async def test_what_is_no_stream_is_refused(stream, hint):
    transcript = Transcript()

    with pytest.raises(TypeError, match=hint):
        transcript.record(stream, source="agent")

    assert transcript.events == ()


async def test_a_coroutine_is_to_be_awaited_first():
    with pytest.raises(TypeError, match="await it first, and record what it gives"):
        Transcript().record(anyio.lowlevel.checkpoint(), source="agent")


async def test_a_context_manager_of_something_else_is_left_again():
    left = []

    @contextlib.asynccontextmanager
    async def opened():
        try:
            yield 42
        finally:
            left.append(True)

    with pytest.raises(TypeError, match="not int"):
        async with Transcript().record(opened(), source="agent"):
            pass

    assert left == [True]


@pytest.mark.parametrize("source", ["", None, 7])
async def test_a_source_has_a_name(source):
    with pytest.raises(TranscriptError, match="a source has a name"):
        Transcript().record(Pieces(), source=source)
