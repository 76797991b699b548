"""A provider's answer in one piece: the JSON body that says what the frames of a stream say, put together as SDKs do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pytest_streamrt.wire.sse import SSEDecoder

__all__ = ["whole_answer"]


def whole_answer(frames: Iterable[bytes], dialect: str) -> bytes:
    """The body of the answer that is not streamed, from the frames of the one that is."""
    decoder = SSEDecoder()
    sent = [
        json.loads(sse.data)
        for frame in frames
        for sse in decoder.feed(frame)
        if sse.dispatched and sse.data and not sse.data.startswith("[DONE]")
    ]
    return json.dumps(_MAKERS[dialect](sent), ensure_ascii=False).encode()


def _response(sent: list[dict[str, Any]]) -> dict[str, Any]:
    """Responses: its last event holds all of it."""
    whole: dict[str, Any] = sent[-1]["response"]
    return whole


def _completion(sent: list[dict[str, Any]]) -> dict[str, Any]:
    """Chat Completions: the deltas of each choice, put together."""
    choices: dict[int, dict[str, Any]] = {}
    usage = None
    for chunk in sent:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            whole = choices.setdefault(
                choice["index"],
                {"index": choice["index"], "message": {"role": "assistant", "content": None, "refusal": None}},
            )
            _add(whole["message"], choice.get("delta") or {})
            whole["logprobs"] = None
            whole["finish_reason"] = choice.get("finish_reason") or whole.get("finish_reason")
    for choice in choices.values():
        message = choice["message"]
        message["content"] = message["content"] or None
        for call in message.get("tool_calls", ()):
            call.pop("index", None)
    head = {key: value for key, value in sent[0].items() if key not in ("choices", "usage", "obfuscation")}
    return {**head, "object": "chat.completion", "choices": [*choices.values()], "usage": usage}


def _add(whole: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to what has been put together: text to text, lists by the index of their members."""
    for key, value in delta.items():
        before = whole.get(key)
        if isinstance(value, str) and isinstance(before, str) and key not in ("role", "type", "id", "index"):
            whole[key] = before + value
        elif isinstance(value, Mapping):
            _add(whole.setdefault(key, {}), value)
        elif isinstance(value, list):
            if before is None:
                whole[key] = []
            members = whole[key]
            for member in value:
                at = member.get("index") if isinstance(member, Mapping) else None
                same = next((each for each in members if at is not None and each.get("index") == at), None)
                if same is None:
                    members.append(same := {}) if isinstance(member, Mapping) else members.append(member)
                if same is not None:
                    _add(same, member)
        elif value is not None or key not in whole:
            whole[key] = value


def _message(sent: list[dict[str, Any]]) -> dict[str, Any]:
    """Anthropic's Messages: blocks by their index, each from its beginning and its deltas."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    arguments: dict[int, str] = {}
    for event in sent:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                match delta["type"]:
                    case "input_json_delta":
                        arguments[event["index"]] = arguments.get(event["index"], "") + delta["partial_json"]
                    case "citations_delta":
                        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
                    case _:
                        _add(block, {key: value for key, value in delta.items() if key != "type"})
            case "message_delta":
                message = {**message, **event["delta"], "usage": {**message["usage"], **(event.get("usage") or {})}}
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text) if text else {}
    return {**message, "content": [*blocks.values()]}


def _content(sent: list[dict[str, Any]]) -> dict[str, Any]:
    """Gemini's generateContent: the parts of each candidate, one after the other, text with text."""
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in sent:
        whole.update({key: value for key, value in chunk.items() if key != "candidates"})
        for candidate in chunk.get("candidates", ()):
            index = candidate.get("index", 0)
            parts = candidates.get(index, {}).get("content", {}).get("parts", [])
            for part in candidate.get("content", {}).get("parts", ()):
                if parts and _is_text(part) and _is_text(parts[-1]) and part.get("thought") == parts[-1].get("thought"):
                    parts[-1] = {**parts[-1], **part, "text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
            said = {"role": "model", **candidate.get("content", {}), "parts": parts}
            candidates[index] = {**candidates.get(index, {}), **candidate, "content": said}
    return {"candidates": [*candidates.values()], **whole}


def _is_text(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get("text"), str) and "functionCall" not in part


_MAKERS: Final[Mapping[str, Callable[[list[dict[str, Any]]], dict[str, Any]]]] = {
    "openai.responses": _response,
    "openai.chat": _completion,
    "anthropic.messages": _message,
    "gemini.generate": _content,
}
