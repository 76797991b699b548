"""Chat Completions as providers really stream it: choices, usage, framing, errors, and how an answer ends.

Each case is a habit of some provider that recorded streams show; the streams are written here.
"""

from __future__ import annotations

import pytest

from pytest_streamrt import StreamError, fold
from pytest_streamrt.events import (
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ModelMessage,
    Status,
    TextDelta,
)
from pytest_streamrt.providers import decode
from pytest_streamrt.wire import rechunk
from tests.providers.streams import (
    DONE,
    assert_legal,
    bare_chunk,
    chat,
    chunk,
    items,
    said,
    sse,
    usages,
)

STOP = chunk({}, "stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_several_choices_are_kept_apart_and_the_first_ones_reason_is_the_answers():
    events = chat(
        chunk({"content": "a"}),
        chunk({"content": "b"}, index=1),
        chunk({}, "length", index=1),
        chunk({"content": "c"}),
        chunk({}, "stop"),
    )

    assert said(events) == [TextDelta("a"), TextDelta("b", choice=1), TextDelta("c")]
    assert items(events) == [ModelMessage("b", choice=1), ModelMessage("ac")]
    assert events[-1] == InferenceCompleted("stop")


def test_several_choices_in_one_chunk():
    both = bare_chunk(choices=[{"index": n, "delta": {"content": text}} for n, text in enumerate("ab")])

    assert said(chat(both, STOP)) == [TextDelta("a"), TextDelta("b", choice=1)]


def test_a_finish_reason_together_with_content():
    events = chat(chunk({"content": "a"}), chunk({"content": "b"}, "length"))

    assert said(events) == [TextDelta("a"), TextDelta("b")]
    assert items(events) == [ModelMessage("ab")]
    assert events[-1] == InferenceCompleted("length")


def test_an_empty_choice_after_the_finish_reason_changes_nothing():
    events = chat(chunk({"content": "a"}), STOP, chunk({"role": "assistant", "content": ""}, usage=USAGE))

    assert items(events) == [ModelMessage("a")]
    assert usages(events) == [(3, 4)]
    assert_legal(events)


def test_text_after_the_finish_reason_is_not_lost():
    events = chat(chunk({"content": "a"}), STOP, chunk({"content": "b"}))

    assert fold(events).text == "ab"
    assert fold(events).contradictions == []
    assert_legal(events)


def test_the_first_finish_reason_holds():
    events = chat(chunk({"content": "a"}, "stop"), chunk({}, "length"))

    assert events[-1] == InferenceCompleted("stop")


def test_a_stream_without_done_is_complete_once_there_was_a_finish_reason():
    data = sse(chunk({"content": "a"}), STOP, bare_chunk(usage=USAGE))

    assert decode(data, "openai.chat") == decode(data + DONE, "openai.chat")


def test_a_stream_without_done_and_without_a_finish_reason_is_cut_short():
    data = sse(chunk({"content": "a"}))

    with pytest.raises(StreamError, match=f"ends at byte {len(data)} before the answer does") as caught:
        decode(data, "openai.chat")

    assert caught.value.cut_short
    assert caught.value.events == [InferenceStarted("m", "chat-1"), TextDelta("a")]


def test_done_without_a_finish_reason_completes_the_answer():
    events = chat(chunk({"content": "a"}))

    assert items(events) == [ModelMessage("a")]
    assert events[-1] == InferenceCompleted(None)


@pytest.mark.parametrize("done", [b"data:[DONE]\n\n", b"event: done\ndata: [DONE]\n\n", b"data: [DONE]\r\n\r\n"])
def test_done_is_known_in_each_of_its_forms(done):
    assert decode(sse(chunk({"content": "a"})) + done, "openai.chat")[-1] == InferenceCompleted(None)


def test_done_alone_is_an_empty_answer():
    assert chat() == [InferenceStarted(), InferenceCompleted()]


@pytest.mark.parametrize(
    "after",
    [sse(chunk({"content": "b"})), sse(bare_chunk(usage=USAGE)), DONE, b"data: no JSON\n\n", b": note\n\n", b"data: x"],
    ids=["a delta", "usage", "another [DONE]", "no JSON", "a comment", "half an event"],
)
def test_what_comes_after_done_is_ignored(after):
    data = sse(chunk({"content": "a"}), STOP) + DONE

    assert decode(data + after, "openai.chat") == decode(data, "openai.chat")


# --- usage


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([STOP, bare_chunk(usage=USAGE)], id="on a chunk without choices"),
        pytest.param([chunk({}, "stop", usage=USAGE)], id="on a chunk with choices"),
        pytest.param([chunk({}, "stop", usage=USAGE), bare_chunk(usage=USAGE)], id="repeated"),
        pytest.param([chunk(usage=None), chunk({}, "stop", usage=None), bare_chunk(usage=USAGE)], id="null before"),
        pytest.param([chunk({"content": "a"}, usage=USAGE), STOP], id="before the end"),
    ],
)
def test_usage_wherever_it_comes_is_told_once(chunks):
    events = chat(*chunks)

    assert usages(events) == [(3, 4)]
    assert_legal(events)


def test_usage_that_grows_is_told_each_time_and_the_last_holds():
    events = chat(*(chunk({"content": "a"}, usage={**USAGE, "completion_tokens": n}) for n in (1, 2, 2, 3)), STOP)

    assert usages(events) == [(3, 1), (3, 2), (3, 3)]
    assert fold(events).usage.output_tokens == 3


def test_usage_that_is_null_or_empty_of_numbers_is_none_or_nothing():
    assert usages(chat(chunk({"content": "a"}, usage=None), STOP)) == []
    assert usages(chat(chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": None}), STOP)) == [
        (3, 0)
    ]


def test_the_details_of_usage_are_kept():
    detailed = {**USAGE, "prompt_tokens_details": {"cached_tokens": 2}}
    (usage,) = (event for event in chat(STOP, bare_chunk(usage=detailed)) if event.type == "usage")

    assert usage.details == detailed


# --- framing and errors


def test_a_comment_is_a_status_once_the_answer_has_begun():
    note = b": OPENROUTER PROCESSING"
    chunks = [chunk({"content": "a"}), STOP]
    data = note + b"\n\n" + sse(chunks[0]) + note + b"\n" + sse(chunks[1]) + b":\n\n" + DONE + note + b"\n\n"

    for how in ("whole", "event", "byte"):
        events = decode(rechunk(data, how), "openai.chat")

        assert [event.type for event in events[:4]] == ["inference.started", "status", "text.delta", "status"]
        assert [event for event in events if event.type == "status"] == [Status("OPENROUTER PROCESSING")] * 2


def test_crlf_and_blank_lines_change_nothing():
    chunks = [chunk({"content": "a"}), STOP]
    plain = decode(sse(*chunks) + DONE, "openai.chat")

    assert decode(sse(*chunks, newline="\r\n") + b"data: [DONE]\r\n\r\n", "openai.chat") == plain
    assert decode(sse(*chunks, newline="\r") + b"data: [DONE]\r\r", "openai.chat") == plain
    assert decode(b"\n\n" + sse(chunks[0]) + b"\n\n\n" + sse(chunks[1]) + DONE + b"\n\n", "openai.chat") == plain
    assert decode(b"event: ping\n\n" + sse(*chunks) + DONE, "openai.chat") == plain


def test_a_last_event_without_its_blank_line_is_dropped_as_sdks_do():
    whole = sse(chunk({"content": "a"}), STOP)

    assert decode(whole + sse(bare_chunk(usage=USAGE))[:-1], "openai.chat") == decode(whole, "openai.chat")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param({"message": "overloaded", "code": 502}, "overloaded", id="an object"),
        pytest.param("overloaded", "overloaded", id="a string"),
        pytest.param({"status": "bad"}, "{'status': 'bad'}", id="an object without a message"),
    ],
)
@pytest.mark.parametrize("name", [None, b"event: error\n"], ids=["data only", "named"])
def test_an_error_in_mid_stream_fails_the_inference(error, message, name):
    events = chat(chunk({"content": "a"}), (name or b"") + sse({"error": error}), chunk({"content": "b"}))

    assert events[-1].message.endswith(message)
    assert (events[-1].kind, events[-1].partial) == ("provider", "a")
    assert said(events) == [TextDelta("a")]
    assert_legal(events)


def test_an_error_on_a_chunk_with_choices_fails_the_inference():
    events = chat(chunk({"content": "a"}), chunk({"content": ""}, "stop", error={"message": "bad", "code": 502}))

    assert isinstance(events[-1], InferenceFailure)
    assert_legal(events)


def test_an_error_at_once_is_a_failed_inference_too():
    assert [event.type for event in chat({"error": {"message": "no"}})] == ["inference.started", "inference.failed"]


def test_an_error_that_is_null_is_none():
    assert chat(chunk({"content": "a"}, error=None), STOP)[-1] == InferenceCompleted("stop")
