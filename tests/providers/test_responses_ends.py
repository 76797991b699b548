"""The Responses API as OpenAI and the compatible providers really stream it: what is unknown, and how an answer ends.

Each case is a habit of some provider that recorded streams show; the streams are written here.
"""

from __future__ import annotations

import pytest

from pytest_streamrt import StreamError
from pytest_streamrt.events import (
    InferenceCompleted,
    InferenceFailure,
    ItemCompleted,
    ModelMessage,
    ProviderEvent,
    TextDelta,
)
from pytest_streamrt.providers import decode
from tests.providers.response_events import added, done, message, output_text, text
from tests.providers.streams import (
    COMPLETED,
    CREATED,
    DONE,
    assert_legal,
    event,
    items,
    response,
    responses,
    said,
    sse,
    usages,
)

USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}


# --- what is unknown


def test_a_provider_event_keeps_what_nobody_knows():
    unknown = event("shell_call.progress", item_id="s1", percent=5)

    assert said(responses(unknown)) == [ProviderEvent("openai.responses", "response.shell_call.progress", unknown)]


@pytest.mark.parametrize("name", [b"", b"event: shell\n"], ids=["unnamed", "named"])
def test_an_event_without_a_type_is_kept_as_it_was_sent(name):
    data = sse(CREATED, named=True) + name + sse({"percent": 5}) + sse(COMPLETED, named=True)

    (kept,) = said(decode(data, "openai.responses"))

    assert kept.data == {"percent": 5}


def test_items_of_other_kinds_are_kept():
    search = {"type": "web_search_call", "id": "ws1", "status": "completed"}
    events = responses(added(search), done(search))

    assert said(events) == [
        ProviderEvent("openai.responses", "response.output_item.added", added(search)),
        ProviderEvent("openai.responses", "response.output_item.done", done(search)),
    ]


# --- how a stream ends


def test_usage_and_the_reason_are_those_of_the_completed_response():
    events = responses(text("a"), end=event("completed", response=response("completed", usage=USAGE)))

    assert usages(events) == [(3, 4)]
    assert events[-1] == InferenceCompleted("completed")


def test_an_incomplete_response_is_completed_with_its_reason():
    cut = response("incomplete", incomplete_details={"reason": "max_output_tokens"}, usage=USAGE)
    events = responses(text("a"), end=event("incomplete", response=cut))

    assert events[-1] == InferenceCompleted("max_output_tokens")
    assert items(events) == [ModelMessage("a")]
    assert usages(events) == [(3, 4)]
    assert_legal(events)


@pytest.mark.parametrize("details", [{}, {"incomplete_details": None}, {"incomplete_details": {}}], ids=repr)
def test_an_incomplete_response_without_a_reason(details):
    assert responses(end=event("incomplete", response=response("incomplete", **details)))[-1] == InferenceCompleted(
        "incomplete"
    )


def test_a_failed_response_is_a_failed_inference():
    error = {"code": "server_error", "message": "overloaded"}
    events = responses(text("a"), end=event("failed", response=response("failed", error=error)))

    assert events[-1] == InferenceFailure("provider", "server_error: overloaded", "a")
    assert_legal(events)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"code": "rate", "message": "slow", "param": None}, "rate: slow", id="flat"),
        pytest.param({"error": {"code": "rate", "message": "slow"}}, "rate: slow", id="in an object"),
        pytest.param({"error": {"code": None, "message": "slow"}}, "slow", id="without a code"),
        pytest.param({"error": "slow"}, "slow", id="a string"),
        pytest.param({"error": {"code": 502, "message": "slow"}}, "502: slow", id="a number as code"),
    ],
)
def test_an_error_event_is_a_failed_inference(fields, message):
    events = responses(text("a"), end={"type": "error", "sequence_number": 9, **fields})

    assert events[-1] == InferenceFailure("provider", message, "a")


@pytest.mark.parametrize("name", [b"", b"event: message\n"], ids=["data only", "named"])
def test_an_error_object_without_a_type_is_a_failed_inference(name):
    # As OpenRouter and Groq send it; the SDK raises APIError here.
    data = sse(CREATED, text("a"), named=True) + name + sse({"error": {"message": "overloaded", "code": 502}})

    events = decode(data, "openai.responses")

    assert isinstance(events[-1], InferenceFailure)
    assert events[-1].partial == "a"


def test_what_comes_after_the_end_is_ignored():
    plain = responses(text("a"))

    assert (
        decode(sse(CREATED, text("a"), COMPLETED, text("b"), COMPLETED, named=True) + DONE, "openai.responses") == plain
    )


def test_without_its_terminal_event_an_answer_is_cut_short():
    data = sse(CREATED, text("a"), done(message(output_text("a"))), named=True)

    with pytest.raises(StreamError, match="the provider's last event is missing") as caught:
        decode(data, "openai.responses")

    assert caught.value.cut_short
    assert caught.value.events[1:] == [TextDelta("a", item="m1"), ItemCompleted(ModelMessage("a"))]


def test_done_alone_ends_an_answer_that_was_begun():
    # OpenRouter closes with [DONE]; what was open by then is finished.
    events = decode(sse(CREATED, text("a"), named=True) + DONE, "openai.responses")

    assert items(events) == [ModelMessage("a")]
    assert_legal(events)


def test_done_alone_is_an_inference_in_legal_order():
    assert_legal(decode(DONE, "openai.responses"))


@pytest.mark.parametrize(
    "kind",
    [
        "response.output_text.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.in_progress",
        "response.completed",
    ],
)
def test_the_event_name_stands_in_for_a_type_that_is_missing(kind):
    fields = {"delta": "a", "item_id": "m1", "response": {"status": "completed"}}

    events = decode(f"event: {kind}\n".encode() + sse(fields) + sse(COMPLETED), "openai.responses")

    with_type = decode(sse({**fields, "type": kind}, COMPLETED), "openai.responses")
    assert events == with_type
