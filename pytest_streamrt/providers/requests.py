"""What a request tells the model besides the user's words: system prompts and tools' results, in any dialect's JSON.

Requests are the user's own client's, so they are read leniently: what is not where it should be is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["system_prompts", "tool_results"]

_INSTRUCTING: Final = ("system", "developer")


def system_prompts(body: bytes) -> list[str]:
    """The instructions in a request: of OpenAI's two APIs, Anthropic's and Gemini's."""
    request = _object(body)
    found = [_text(request.get(name)) for name in ("instructions", "system", "systemInstruction", "system_instruction")]
    found += [_text(message.get("content")) for message in _messages(request) if message.get("role") in _INSTRUCTING]
    return [text for text in found if text]


def tool_results(body: bytes) -> list[str]:
    """The results of tools in a request, as text; those that are JSON objects as JSON."""
    return [text for text in _results(_object(body)) if text]


def _results(request: Mapping[str, Any]) -> Iterator[str]:
    for message in _messages(request):
        if message.get("type") == "function_call_output":  # Responses
            yield _text(message.get("output"))
        elif message.get("role") in ("tool", "function"):  # Chat Completions
            yield _text(message.get("content"))
        for block in _objects(message.get("content")):
            if block.get("type") == "tool_result":  # Anthropic
                yield _text(block.get("content"))
        for part in _objects(message.get("parts")):
            response = part.get("functionResponse", part.get("function_response"))  # Gemini
            if isinstance(response, dict):
                yield json.dumps(response.get("response"), ensure_ascii=False)


def _messages(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("input", "messages", "contents"):
        yield from _objects(request.get(name))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _text(value: Any) -> str:
    """A text given as a string, as a list of parts, or as an object with parts."""
    if isinstance(value, dict):
        value = value.get("parts")
    if isinstance(value, list):
        return "".join(part["text"] for part in _objects(value) if isinstance(part.get("text"), str))
    return value if isinstance(value, str) else ""


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}
