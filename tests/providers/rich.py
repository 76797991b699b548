"""For each dialect a stream, and a body, with everything in it that its mapper looks at: for the tests that damage it."""

from __future__ import annotations

from tests.providers.streams import (
    COMPLETED,
    CREATED,
    MESSAGE_STOP,
    bare_chunk,
    block,
    block_delta,
    block_stop,
    calling,
    chunk,
    event,
    gemini_chunk,
    message_event,
    part,
    response,
)

NOTE = {"type": "url_citation", "url": "u", "title": "t", "url_citation": {"url": "u", "title": "t"}}
CALL = {"type": "function_call", "id": "fc1", "call_id": "c1", "name": "f"}
SUMMARY = {"type": "summary_text", "text": "s"}

# Streams with everything in them that the mappers look at.
RICH = {
    "openai.chat": [
        bare_chunk(prompt_filter_results=[]),
        chunk({"role": "assistant", "content": "a", "refusal": None, "annotations": [NOTE]}),
        chunk({"reasoning_content": "r", "reasoning": "r", "reasoning_details": [{"text": "r"}]}),
        chunk({"reasoning_details": [{"text": "r"}, {"summary": "s"}, {"data": "x"}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"text": "t"}]}, {"type": "text", "text": "b"}]}),
        chunk({"refusal": "no", "channel": "x"}, index=1),
        chunk(calling(index=0, id="c1", type="function", name="f", arguments="{")),
        chunk({**calling(index=0, arguments="}"), "function_call": {"name": "f", "arguments": "}"}}),
        chunk({"function_call": {"name": "g", "arguments": "{}"}}, index=1),
        chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
    ],
    "openai.responses": [
        CREATED,
        event("in_progress", response=response()),
        event("output_item.added", item={"type": "reasoning", "id": "r1", "summary": []}),
        event("reasoning_summary_text.delta", item_id="r1", delta="s"),
        event("reasoning_text.delta", item_id="r1", delta="r"),
        event(
            "output_item.done",
            item={
                "type": "reasoning",
                "id": "r1",
                "summary": [SUMMARY],
                "content": [{"type": "reasoning_text", "text": "r"}],
                "encrypted_content": "x",
            },
        ),
        event("output_text.delta", item_id="m1", delta="a"),
        event("output_text.annotation.added", annotation=NOTE),
        event("refusal.delta", item_id="m1", delta="no"),
        event(
            "output_item.done",
            item={
                "type": "message",
                "id": "m1",
                "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            },
        ),
        event("output_item.added", item=CALL),
        event("function_call_arguments.delta", item_id="fc1", delta="{"),
        event("function_call_arguments.done", item_id="fc1", arguments="{"),
        event("output_item.done", item={**CALL, "arguments": "{"}),
        event("output_item.done", item={**CALL, "call_id": "c2", "arguments": "{}"}),
        event("output_item.done", item={"type": "web_search_call", "id": "w1"}),
        event(
            "incomplete",
            response=response("incomplete", usage={"input_tokens": 1}, incomplete_details={"reason": "max"}),
        ),
    ],
}
RICH["anthropic.messages"] = [
    message_event("message_start", message={"id": "x", "model": "m", "content": [], "usage": {"input_tokens": 1}}),
    block(0, "thinking", thinking="", signature=""),
    message_event("ping"),
    block_delta(0, "thinking", thinking="t"),
    block_delta(0, "signature", signature="s"),
    block_stop(0),
    block(1, "redacted_thinking", data="x"),
    block_stop(1),
    block(2, "text", text=""),
    block_delta(2, "text", text="a"),
    block_delta(2, "citations", citation={"type": "web_search_result_location", "url": "u", "title": "t"}),
    block_stop(2),
    block(3, "server_tool_use", id="s1", name="web_search", input={}),
    block_delta(3, "input_json", partial_json="{}"),
    block_stop(3),
    block(4, "web_search_tool_result", tool_use_id="s1", content=[{"type": "web_search_result", "url": "u"}]),
    block_stop(4),
    block(5, "text", text="b", citations=[{"url": "u", "title": "t"}]),
    block_stop(5),
    block(6, "tool_use", id="c1", name="f", input={}),
    block_delta(6, "input_json", partial_json=""),
    block_delta(6, "input_json", partial_json="{}"),
    block_stop(6),
    block(7, "tool_use", id="c2", name="g", input={"x": 1}),
    block_stop(7),
    message_event(
        "message_delta",
        delta={
            "stop_reason": "refusal",
            "stop_sequence": "\n",
            "stop_details": {"type": "refusal", "category": "bio", "explanation": "no"},
            "container": {"id": "k"},
        },
        usage={"input_tokens": 3, "output_tokens": 4, "server_tool_use": {"web_search_requests": 1}},
    ),
]
RICH["gemini.generate"] = [
    gemini_chunk([], usageMetadata={"promptTokenCount": 1, "toolUsePromptTokenCount": 2}),
    part(text="t", thought=True),
    part(text="u", thought=True, thoughtSignature="s"),
    part(text="", thoughtSignature="x"),
    gemini_chunk([{"executableCode": {"code": "1"}, "thoughtSignature": "y"}, {"text": "a"}, {"text": ""}]),
    part(text="b", index=1, finish="MAX_TOKENS"),
    gemini_chunk(
        [
            {"functionCall": {"name": "f", "args": {"x": 1}, "id": "c1"}, "thoughtSignature": "z"},
            {"functionCall": {"name": "g"}},
        ]
    ),
    {
        "candidates": [
            {
                "content": {"parts": [{"text": "c"}], "role": "model"},
                "index": 0,
                "groundingMetadata": {
                    "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
                    "webSearchQueries": ["q"],
                },
                "citationMetadata": {"citationSources": [{"uri": "v"}], "citations": [{"uri": "w"}]},
                "safetyRatings": [{"category": "c"}],
                "finishReason": "SAFETY",
                "finishMessage": "no",
            }
        ],
        "promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "never"},
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
        "automaticFunctionCallingHistory": [1],
    },
]
ENDS = {
    "gemini.generate": [
        part(text="", finish="STOP"),
        {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
        {"promptFeedback": {"blockReason": "SAFETY"}},
    ],
    "anthropic.messages": [
        MESSAGE_STOP,
        message_event("error", error={"type": "overloaded_error", "message": "m"}),
        message_event("ping"),
    ],
    "openai.chat": [{"error": {"message": "m", "code": "c"}}, bare_chunk(usage={"prompt_tokens": 1})],
    "openai.responses": [
        COMPLETED,
        {"type": "error", "error": {"message": "m", "code": "c"}, "message": "m", "code": "c"},
        event("failed", response={"error": {"message": "m", "code": "c"}}),
    ],
}
OUTPUT = [each["item"] for each in RICH["openai.responses"] if each["type"].endswith("item.done")]
MESSAGES = [choice["delta"] for each in RICH["openai.chat"] for choice in each["choices"]]
BLOCKS = [each["content_block"] for each in RICH["anthropic.messages"] if each["type"] == "content_block_start"]
BODIES = {
    "gemini.generate": [RICH["gemini.generate"][-1], {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}],
    "anthropic.messages": [
        {
            "type": "message",
            "id": "x",
            "model": "m",
            "content": BLOCKS,
            "stop_reason": "refusal",
            "stop_details": {"type": "refusal", "explanation": "no"},
            "usage": {"input_tokens": 1, "output_tokens": 2},
        },
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
    ],
    "openai.chat": [
        {"id": "x", "choices": [{"index": n, "message": m, "finish_reason": "stop"} for n, m in enumerate(MESSAGES)]},
        {"error": {"message": "m", "code": "c"}},
    ],
    "openai.responses": [
        {"id": "x", "status": "completed", "output": OUTPUT, "usage": {"input_tokens": 1, "output_tokens": 2}},
        {"id": "x", "status": "failed", "output": OUTPUT, "error": {"message": "m", "code": "c"}},
    ],
}
