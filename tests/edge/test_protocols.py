"""What a browser gets, read as events: the Vercel AI SDK's UI message stream, AG-UI, and JSON of the app's own making.

The first two are written by their own packages: pydantic-ai's adapters, and ag-ui-protocol's encoder.
"""

from __future__ import annotations

import json

import anyio
import pytest
from ag_ui import core
from ag_ui.encoder import EventEncoder
from pydantic_ai.ui.vercel_ai import response_types as vercel
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from pytest_streamrt.edge import ag_ui, sse_json, vercel_ui
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events import (
    Citation,
    FunctionCall,
    InferenceAborted,
    InferenceCompleted,
    InferenceFailure,
    InferenceStarted,
    ItemCompleted,
    ModelMessage,
    ProviderEvent,
    Reasoning,
    ReasoningDelta,
    Signal,
    Status,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    ToolProgress,
    ToolResult,
    fold,
)
from pytest_streamrt.wire import rechunk

VERCEL = [
    vercel.StartChunk(message_id="m1"),
    vercel.StartStepChunk(),
    vercel.ReasoningStartChunk(id="r"),
    vercel.ReasoningDeltaChunk(id="r", delta="Hm"),
    vercel.ReasoningDeltaChunk(id="r", delta="m."),
    vercel.ReasoningEndChunk(id="r"),
    vercel.ToolInputStartChunk(tool_call_id="c1", tool_name="weather"),
    vercel.ToolInputDeltaChunk(tool_call_id="c1", input_text_delta='{"city":'),
    vercel.ToolInputDeltaChunk(tool_call_id="c1", input_text_delta='"Paris"}'),
    vercel.ToolInputAvailableChunk(tool_call_id="c1", tool_name="weather", input={"city": "Paris"}),
    vercel.ToolOutputAvailableChunk(tool_call_id="c1", output={"step": 1}, preliminary=True),
    vercel.ToolOutputAvailableChunk(tool_call_id="c1", output={"degrees": 18}),
    vercel.ToolInputAvailableChunk(tool_call_id="c2", tool_name="news", input={}),
    vercel.ToolOutputErrorChunk(tool_call_id="c2", error_text="no news"),
    vercel.FinishStepChunk(),
    vercel.DataChunk(type="data-mood", data={"is": "good"}),
    vercel.TextStartChunk(id="t"),
    vercel.TextDeltaChunk(id="t", delta="18 "),
    vercel.TextDeltaChunk(id="t", delta="degrees ü"),
    vercel.TextEndChunk(id="t"),
    vercel.SourceUrlChunk(source_id="s", url="https://weather.example", title="Weather"),
    vercel.FileChunk(url="data:,x", media_type="text/plain"),
    vercel.FinishChunk(finish_reason="stop"),
    vercel.DoneChunk(),
]
VERCEL_EVENTS = [
    InferenceStarted(None, "m1"),
    Status("start-step"),
    ReasoningDelta("Hm", item="r"),
    ReasoningDelta("m.", item="r"),
    ItemCompleted(Reasoning("Hmm.")),
    ToolCallStarted("c1", "weather"),
    ToolCallDelta("c1", '{"city":'),
    ToolCallDelta("c1", '"Paris"}'),
    ItemCompleted(FunctionCall("c1", "weather", '{"city":"Paris"}')),
    ToolProgress("c1", "weather", {"step": 1}),
    ToolResult("c1", "weather", '{"degrees":18}'),
    ToolCallStarted("c2", "news"),
    ToolCallDelta("c2", "{}"),
    ItemCompleted(FunctionCall("c2", "news", "{}")),
    ToolResult("c2", "news", "no news", "failed"),
    Status("finish-step"),
    Signal("data-mood", {"is": "good"}),
    TextDelta("18 ", "t"),
    TextDelta("degrees ü", "t"),
    ItemCompleted(ModelMessage("18 degrees ü")),
    Citation(
        "https://weather.example",
        "Weather",
        {"type": "source-url", "sourceId": "s", "url": "https://weather.example", "title": "Weather"},
    ),
    ProviderEvent("vercel.ui", "file", {"type": "file", "url": "data:,x", "mediaType": "text/plain"}),
    InferenceCompleted("stop"),
]


def vercel_frames(chunks):
    return [f"data: {chunk.encode(6)}\n\n".encode() for chunk in chunks]


RUN = {"thread_id": "t1", "run_id": "r1"}
AG_UI = [
    core.RunStartedEvent(**RUN),
    core.StepStartedEvent(step_name="plan"),
    core.ReasoningStartEvent(message_id="r"),
    core.ReasoningMessageStartEvent(message_id="r", role="reasoning"),
    core.ReasoningMessageContentEvent(message_id="r", delta="Hm"),
    core.ReasoningMessageContentEvent(message_id="r", delta="m."),
    core.ReasoningMessageEndEvent(message_id="r"),
    core.ReasoningEndEvent(message_id="r"),
    core.ToolCallStartEvent(tool_call_id="c1", tool_call_name="weather"),
    core.ToolCallArgsEvent(tool_call_id="c1", delta='{"city":'),
    core.ToolCallArgsEvent(tool_call_id="c1", delta='"Paris"}'),
    core.ToolCallEndEvent(tool_call_id="c1"),
    core.ToolCallResultEvent(message_id="m0", tool_call_id="c1", content="18"),
    core.ToolCallChunkEvent(tool_call_id="c2", tool_call_name="news", delta="{"),
    core.ToolCallChunkEvent(delta="}"),
    core.StateSnapshotEvent(snapshot={"mood": "good"}),
    core.TextMessageStartEvent(message_id="m1", role="assistant"),
    core.TextMessageContentEvent(message_id="m1", delta="18 "),
    core.TextMessageContentEvent(message_id="m1", delta="degrees ü"),
    core.TextMessageEndEvent(message_id="m1"),
    core.TextMessageChunkEvent(message_id="m2", role="assistant", delta="by"),
    core.TextMessageChunkEvent(delta="e"),
    core.CustomEvent(name="mood", value={"is": "good"}),
    core.RawEvent(event={"type": "theirs"}),
    core.RunFinishedEvent(**RUN),
]
AG_UI_EVENTS = [
    InferenceStarted(None, "r1"),
    Status("STEP_STARTED", {"stepName": "plan"}),
    Status("REASONING_START", {"messageId": "r"}),
    Status("REASONING_MESSAGE_START", {"messageId": "r", "role": "reasoning"}),
    ReasoningDelta("Hm", item="reasoning r"),
    ReasoningDelta("m.", item="reasoning r"),
    ItemCompleted(Reasoning("Hmm.")),
    Status("REASONING_END", {"messageId": "r"}),
    ToolCallStarted("c1", "weather"),
    ToolCallDelta("c1", '{"city":'),
    ToolCallDelta("c1", '"Paris"}'),
    ItemCompleted(FunctionCall("c1", "weather", '{"city":"Paris"}')),
    ToolResult("c1", "weather", "18"),
    ToolCallStarted("c2", "news"),
    ToolCallDelta("c2", "{"),
    ToolCallDelta("c2", "}"),
    Status("STATE_SNAPSHOT", {"snapshot": {"mood": "good"}}),
    TextDelta("18 ", "m1"),
    TextDelta("degrees ü", "m1"),
    ItemCompleted(ModelMessage("18 degrees ü")),
    TextDelta("by", "m2"),
    TextDelta("e", "m2"),
    Signal("mood", {"is": "good"}),
    ProviderEvent("ag-ui", "RAW", {"type": "RAW", "event": {"type": "theirs"}}),
    InferenceCompleted(),
]


def ag_ui_frames(events):
    encoder = EventEncoder()
    return [encoder.encode(event).encode() for event in events]


PLAIN = [
    b'data: {"type": "status", "content": "Searching"}\n\n',
    b": keep-alive\n\n",
    b'data: {"type": "thinking", "text": "Hm"}\n\n',
    b'data: {"type": "tool_call", "id": "c", "name": "weather", "arguments": {"city": "Paris"}}\n\n',
    b'data: {"type": "tool_result", "id": "c", "name": "weather", "output": 18}\n\n',
    b'data: {"type": "token", "content": "18 "}\n\n',
    b'event: token\ndata: {"content": "degrees "}\n\n',
    'data: {"text": "ü"}\n\ndata: ,\n\ndata: " I\'m told"\n\n'.encode(),
    b'event: mood\ndata: {"is": "good"}\n\n',
    b'data: {"n": 1}\n\n',
    b"data: [DONE]\n\n",
    b'data: {"type": "token", "content": "late"}\n\n',
]
PLAIN_EVENTS = [
    Status("Searching", {"type": "status", "content": "Searching"}),
    ReasoningDelta("Hm"),
    ToolCallStarted("c", "weather"),
    ToolCallDelta("c", '{"city":"Paris"}'),
    ToolResult("c", "weather", "18"),
    TextDelta("18 "),
    TextDelta("degrees "),
    TextDelta("ü"),
    TextDelta(","),
    TextDelta(" I'm told"),
    Signal("mood", {"is": "good"}),
    Signal("data", {"n": 1}),
    InferenceCompleted(),
]

PROTOCOLS = pytest.mark.parametrize(
    ("protocol", "frames", "events"),
    [
        pytest.param(vercel_ui, vercel_frames(VERCEL), VERCEL_EVENTS, id="vercel_ui"),
        pytest.param(ag_ui, ag_ui_frames(AG_UI), AG_UI_EVENTS, id="ag_ui"),
        pytest.param(sse_json, PLAIN, PLAIN_EVENTS, id="sse_json"),
    ],
)


def decoded(decode, pieces):
    return [*(event for piece in pieces for event in decode(piece)), *decode.end()]


@PROTOCOLS
@pytest.mark.parametrize("how", ["whole", "event", "byte", 1, 2, 3])
def test_however_the_bytes_are_cut(how, protocol, frames, events):
    assert decoded(protocol(), rechunk(frames, how)) == events


@PROTOCOLS
def test_lines_text_and_parsed_events_say_the_same(protocol, frames, events):
    text = b"".join(frames).decode()

    class Sent:
        def __init__(self, lines):
            fields = dict(line.split(": ", 1) for line in lines)
            self.event, self.data = fields.get("event", ""), fields.get("data", "")

    sent = [Sent(frame.split("\n")) for frame in text.strip().split("\n\n") if not frame.startswith(":")]

    assert decoded(protocol(), text.split("\n")) == events
    assert decoded(protocol(), text.splitlines()[:-1]) == events  # httpx leaves the last blank line out
    assert decoded(protocol(), [text[:100], text[100:]]) == events
    assert decoded(protocol(), sent) == events


@pytest.mark.parametrize(("protocol", "frames"), [(vercel_ui, vercel_frames(VERCEL)), (ag_ui, ag_ui_frames(AG_UI))])
def test_parsed_json_says_the_same(protocol, frames):
    objects = [json.loads(frame[6:]) for frame in frames if b"[DONE]" not in frame]

    assert decoded(protocol(), objects) == decoded(protocol(), frames)


@pytest.mark.parametrize(("protocol", "frames"), [(vercel_ui, vercel_frames(VERCEL)), (ag_ui, ag_ui_frames(AG_UI))])
def test_a_stream_that_ends_too_early_is_told(protocol, frames):
    with pytest.raises(StreamError, match="ended at byte .* before the answer did") as caught:
        decoded(protocol(), frames[:-2])
    assert caught.value.cut_short

    with pytest.raises(StreamError, match="ended at byte"):
        decoded(protocol(), [*frames[:-2], frames[-1].rstrip()])


def test_a_ui_stream_is_complete_without_the_marker():
    assert decoded(vercel_ui(), vercel_frames(VERCEL[:-1])) == VERCEL_EVENTS


@pytest.mark.parametrize(
    ("decode", "frame", "end"),
    [
        (vercel_ui, vercel.ErrorChunk(error_text="no"), InferenceFailure("provider", "no", "18 ")),
        (
            vercel_ui,
            vercel.AbortChunk(reason="enough"),
            InferenceAborted("enough", "app", "18 ", (Reasoning("Hmm."), ModelMessage("18 "))),
        ),
        (ag_ui, core.RunErrorEvent(message="no"), InferenceFailure("provider", "no", "18 ")),
        (
            ag_ui,
            core.RunFinishedEvent(**RUN, outcome=core.RunFinishedCancelledOutcome()),
            InferenceAborted("", "app", "18 ", (Reasoning("Hmm."), ModelMessage("18 "))),
        ),
        (sse_json, b'data: {"error": "no", "type": "error"}\n\n', InferenceFailure("provider", "no", "18 degrees ")),
        (sse_json, b'event: error\ndata: "no"\n\n', InferenceFailure("provider", "no", "18 degrees ")),
        (sse_json, b"event: done\ndata: {}\n\n", InferenceCompleted("done")),
    ],
)
def test_other_ends(decode, frame, end):
    if decode is vercel_ui:
        frames = vercel_frames([*VERCEL[2:6], *VERCEL[16:18], frame, *VERCEL[-2:]])
    elif decode is ag_ui:
        frames = ag_ui_frames([*AG_UI[2:8], *AG_UI[16:18], frame, AG_UI[-1]])
    else:
        frames = [*PLAIN[5:7], frame, PLAIN[-1]]

    assert decoded(decode(), frames)[-1] == end


@pytest.mark.parametrize("decode", [vercel_ui, ag_ui])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("hello", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"type": 1}', "its field 'type' is not a string but int"),
    ],
)
def test_what_is_not_of_the_protocol_is_told(decode, data, why):
    with pytest.raises(StreamError, match=f"{decode().name}: the event at byte 4 is not of this protocol: {why}"):
        decode()(f": \n\ndata: {data}\n\n".encode())


@pytest.mark.parametrize(
    ("decode", "frame"),
    [
        (vercel_ui, b'data: {"type":"tool-input-delta","toolCallId":"c","inputTextDelta":"{"}\n\n'),
        (ag_ui, b'data: {"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{"}\n\n'),
    ],
)
def test_arguments_of_a_call_that_never_began(decode, frame):
    with pytest.raises(StreamError, match="arguments for the tool call 'c', which never began"):
        decode()(frame)


def test_a_call_is_written_once():
    whole = {"type": "tool-input-available", "toolCallId": "c", "toolName": "weather"}
    decode = vercel_ui()

    assert [type(event) for event in decode(whole)] == [ToolCallStarted, ItemCompleted]
    assert decode({**whole, "input": {}}) == []
    with pytest.raises(StreamError, match="arguments for the tool call 'c', which is over"):
        decode({"type": "tool-input-delta", "toolCallId": "c", "inputTextDelta": "{"})


def test_the_older_events_of_ag_ui_are_read():
    frames = [
        b'data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}\n\n',
        b'data: {"type":"THINKING_TEXT_MESSAGE_START"}\n\n',
        b'data: {"type":"THINKING_TEXT_MESSAGE_CONTENT","delta":"Hm"}\n\n',
        b'data: {"type":"THINKING_TEXT_MESSAGE_END"}\n\n',
        b'data: {"type":"RUN_FINISHED","threadId":"t","runId":"r"}\n\n',
    ]

    assert fold(decoded(ag_ui(), frames)).reasoning == "Hm"


def test_the_app_s_own_names():
    decode = sse_json(text="delta.words", kind="kind", kinds={"part": "text", "inner": "reasoning", "noise": "ignore"})
    frames = [
        b'data: {"kind": "part", "delta": {"words": "Hel"}}\n\n',
        b'data: {"kind": "inner", "delta": {"words": "hm"}}\n\n',
        b'data: {"kind": "noise", "delta": {"words": "x"}}\n\n',
        b'data: {"kind": "part", "delta": {"words": "lo"}}\n\n',
    ]

    assert decoded(decode, frames) == [TextDelta("Hel"), ReasoningDelta("hm"), TextDelta("lo"), InferenceCompleted()]
    with pytest.raises(
        ValueError, match=r"kinds=\{'part': 'words'\}: there is no such lane; there are: text, reasoning"
    ):
        sse_json(kinds={"part": "words"})


def test_a_piece_of_another_kind_is_told():
    with pytest.raises(StreamError, match="a piece is to be bytes, text, an SSE event or a mapping, not int"):
        sse_json()(1)


@pytest.mark.anyio
@pytest.mark.virtual_time
@PROTOCOLS
@pytest.mark.parametrize("read", ["aiter_lines", "aiter_bytes", "aiter_text", "aiter_raw"])
async def test_in_a_transcript(read, protocol, frames, events, asgi_client, transcript):
    async def chat(request):
        async def stream():
            for frame in frames:
                await anyio.sleep(0.1)
                yield frame

        return StreamingResponse(stream(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/chat", chat)])
    async with asgi_client(app) as client, client.stream("GET", "/chat") as response:
        async for _ in transcript.record(getattr(response, read)(), source="browser", decode=protocol()):
            pass

    said = fold(events)
    chain = transcript.expect("browser").reasoning(said.reasoning).tool_call("weather", arguments={"city": "Paris"})
    chain.rest()
    assert transcript.text("browser") == said.text
    assert transcript.events[-1].type == "inference.completed"
    transcript.assert_lawful()
