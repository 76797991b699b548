"""A law: whatever passes, it passes untouched. No piece, however odd, breaks the stream that it is in, or the record of it."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import Transcript
from pytest_streamrt.report import failure_section, snapshot_text
from tests.strategies import examples

KINDS = [
    "chunk", "error", "message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop",
    "response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
    "response.function_call_arguments.delta", "response.completed", "response.failed", "raw_response_event",
    "run_item_stream_event", "agent_updated_stream_event", "function_call_output", "AIMessageChunk", "text",
]  # fmt: skip
EVENTS = [
    "on_chat_model_start", "on_chat_model_stream", "on_chat_model_end", "on_llm_stream", "on_tool_end", "on_tool_error",
    "on_custom_event", "on_chain_end",
]  # fmt: skip
PARTS = ["part_start", "part_delta", "part_end", "final_result", "agent_run_result", "function_tool_result", "other"]
FIELDS = [
    "args", "args_delta", "arguments", "call_id", "chunk", "choices", "content", "content_block", "content_delta", "data",
    "delta", "error", "id", "index", "item", "message", "name", "new_agent", "output", "part", "part_delta_kind",
    "part_kind", "raw_item", "response", "result", "role", "sequence_number", "tool_call_chunks", "tool_call_id",
    "tool_calls", "tool_name", "type", "usage", "usage_metadata",
]  # fmt: skip

words = st.sampled_from(
    [*KINDS, "chat.completion.chunk", "tool-call", "tool_call", "thinking", "tool", "tool_output", "x", ""]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=8,
)
dicts = st.builds(
    lambda head, rest: {**rest, **head},
    st.sampled_from([
        {"object": "chat.completion.chunk"},
        *({"type": kind} for kind in KINDS),
        *({"event": kind, "run_id": "r"} for kind in EVENTS),
        *({"event_kind": kind} for kind in PARTS),
        {"role": "tool"},
    ]),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6),
)  # fmt: skip


def as_objects(value):
    """The same, with attributes instead of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_objects(each) for key, each in value.items()})
    return [as_objects(each) for each in value] if isinstance(value, list) else value


pieces = st.lists(st.one_of(dicts, dicts.map(as_objects), st.text(max_size=3), st.binary(max_size=3)), max_size=6)


@given(pieces)
@examples(150)
def test_odd_pieces_pass_untouched(pieces):
    transcript = Transcript()

    passed = list(transcript.record(iter(pieces), source="agent"))

    assert all(one is other for one, other in zip(passed, pieces, strict=True))
    transcript.assert_lawful(skip=[5])  # what contradicts itself is told as it came
    assert snapshot_text(transcript)
    assert failure_section(transcript)
