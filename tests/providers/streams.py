"""Streams written by hand, event by event, as the providers write them; and how tests read events."""

from __future__ import annotations

import json

from pytest_streamrt import StreamError, fold
from pytest_streamrt.events import InferenceStarted, from_json, to_json
from pytest_streamrt.events.order import next_state
from pytest_streamrt.providers import decode

DONE = b"data: [DONE]\n\n"


def sse(*objects, named=False, newline="\n"):
    """One SSE frame for each JSON value; with `named`, each has its `type` as event name, as in the Responses API."""
    frames = []
    for data in objects:
        name = f"event: {data['type']}{newline}" if named else ""
        frames.append(f"{name}data: {json.dumps(data, ensure_ascii=False)}{newline}{newline}".encode())
    return b"".join(frames)


def chunk(delta=None, finish_reason=None, index=0, **more):
    """A chunk of Chat Completions with one choice. What is given as `more` stands at its top."""
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": finish_reason}
    return bare_chunk(choices=[choice], **more)


def bare_chunk(**more):
    """A chunk of Chat Completions, with the choices it is given."""
    return {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], **more}


def chat(*chunks):
    """Decode chunks of Chat Completions, closed by [DONE]. What is not an object goes in as the bytes it is."""
    written = (each if isinstance(each, bytes) else sse(each) for each in chunks)
    return decode(b"".join(written) + DONE, "openai.chat")


def calling(**call):
    """A delta with one piece of a tool call. `name` and `arguments` stand in its function."""
    function = {key: call.pop(key) for key in ("name", "arguments") if key in call}
    return {"tool_calls": [{**call, "function": function}]}


def response(status="in_progress", **more):
    """A response object, as response.created and its like carry it."""
    return {"id": "resp-1", "object": "response", "model": "m", "status": status, "output": [], **more}


def event(kind, **fields):
    """An event of the Responses API."""
    return {"type": f"response.{kind}", "sequence_number": 0, **fields}


CREATED = event("created", response=response())
COMPLETED = event("completed", response=response("completed"))


def responses(*events, end=COMPLETED):
    """Decode events of the Responses API, from response.created to the terminal event."""
    return decode(sse(CREATED, *events, *([end] if end else []), named=True), "openai.responses")


def message_event(kind, **fields):
    """An event of Anthropic's Messages API."""
    return {"type": kind, **fields}


def block(index, kind, **fields):
    """The beginning of a content block."""
    return message_event("content_block_start", index=index, content_block={"type": kind, **fields})


def block_delta(index, kind, **fields):
    """A piece of a content block."""
    return message_event("content_block_delta", index=index, delta={"type": f"{kind}_delta", **fields})


def block_stop(index):
    """The end of a content block."""
    return message_event("content_block_stop", index=index)


MESSAGE_START = message_event(
    "message_start",
    message={"id": "msg-1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}},
)
MESSAGE_DELTA = message_event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={})
MESSAGE_STOP = message_event("message_stop")


def messages(*events, end=(MESSAGE_DELTA, MESSAGE_STOP)):
    """Decode events of the Messages API, from message_start to message_stop."""
    return decode(sse(MESSAGE_START, *events, *end, named=True), "anthropic.messages")


def part(index=0, finish=None, **fields):
    """A chunk of Gemini's with one part; `finish` is its finish reason."""
    return gemini_chunk([fields], index, finish)


def gemini_chunk(parts, index=0, finish=None, **more):
    """A chunk of Gemini's with one candidate. What is given as `more` stands at its top."""
    candidate = {"content": {"parts": parts, "role": "model"}, "index": index, "finishReason": finish}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "gem-1", **more}


def gemini(*chunks, end=part(text="", finish="STOP")):  # noqa: B008 - a constant
    """Decode chunks of Gemini's, up to one with a finish reason."""
    return decode(sse(*chunks, *([end] if end else []), newline="\r\n"), "gemini.generate")


# How the dialects differ in what they can say.
ONE_REASONING = {"anthropic.messages", "gemini.generate"}
"""Dialects that do not tell a summary of the reasoning from the reasoning."""
REFUSES_AT_THE_END = {"anthropic.messages", "gemini.generate"}
"""Dialects in which a refusal has no deltas: the end of the answer says it."""
WHOLE_CALLS = {"gemini.generate"}
"""Dialects in which a tool call comes in one piece, and its arguments are an object instead of text."""
NO_END_MARKER = {"gemini.generate"}
"""Dialects in which only the end of the bytes is the end."""
NO_NOTES = {"gemini.generate"}
"""Dialects that have neither notes nor comments."""
HAS_CHOICES = {"openai.chat", "gemini.generate"}
"""Dialects in which an answer can have several choices."""


# For each dialect: a beginning that says "a", and an end.
BEGINNING = {
    "openai.chat": sse(chunk({"content": "a"})),
    "openai.responses": sse(CREATED, event("output_text.delta", item_id="m1", delta="a"), named=True),
    "anthropic.messages": sse(MESSAGE_START, block(0, "text", text=""), block_delta(0, "text", text="a"), named=True),
    "gemini.generate": sse(part(text="a")),
}
END = {
    "gemini.generate": sse(part(text="", finish="STOP")),
    "openai.chat": sse(chunk({}, "stop")) + DONE,
    "openai.responses": sse(COMPLETED, named=True),
    "anthropic.messages": sse(block_stop(0), MESSAGE_DELTA, MESSAGE_STOP, named=True),
}


def said(events):
    """The events but for the start, the terminal, usage, finished items and notes: what the model said."""
    aside = ("inference.", "usage", "item.", "status")
    return [event for event in events if not event.type.startswith(aside)]


def usages(events):
    return [(event.input_tokens, event.output_tokens) for event in events if event.type == "usage"]


def items(events):
    return [event.item for event in events if event.type == "item.completed"]


def assert_legal(events):
    """The events are those of one inference, in their legal order, from its start to its one terminal."""
    state = "idle"
    for event in events:
        following = next_state(state, event.type)
        assert following is not None, f"{event!r} while {state}, in {events}"
        state = following
    assert state == "ended", f"no terminal event in {events}"


def assert_sound(events):
    """Whatever the stream held, its events are well formed: they fold, they are JSON, and nothing is empty."""
    folded = fold(events)
    assert isinstance(folded.text + folded.reasoning + folded.refusal, str)
    assert all(isinstance(call.id + call.name + call.arguments, str) for call in folded.tool_calls)
    assert from_json(to_json(events)) == events
    assert all(event.seq == 0 for event in events)
    assert not [event for event in events if getattr(event, "text", None) == ""]


def decode_or_fault(data, dialect):
    """The events of a stream, however far they go, and its fault, if it has one. Anything but a fault is a bug.

    A fault names a byte of the stream, in its message and as a number.
    """
    try:
        return decode(data, dialect), None
    except StreamError as fault:
        assert f"byte {fault.offset}" in str(fault)
        assert 0 <= fault.offset <= len(data if isinstance(data, bytes) else b"".join(data))
        return fault.events, fault


def assert_never_breaks(data, dialect):
    """Decoding either gives the sound events of one inference, or a fault with the sound events before it."""
    events, fault = decode_or_fault(data, dialect)
    assert_sound(events)
    if fault is None:
        assert_legal(events)
    elif events:
        assert isinstance(events[0], InferenceStarted)
