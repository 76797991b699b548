"""How a provider writes its stream, where writing it otherwise would say the same: what an encoder can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Quirks"]


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """The habits of one server. The defaults are those of the API's own; what a dialect does not have plays no part in it.

    Attributes:
        model: the model the answer names itself after.
        answer: which answer of the server's this is, from 0 on: no two have the same ids in them.
        newline: what ends each line; without it, CRLF in Gemini and LF elsewhere.
        comments: comments before the first event, such as OpenRouter's "OPENROUTER PROCESSING".
        obfuscation: whether OpenAI's deltas have a field of noise, which hides their length from whoever sees only sizes.
        pings: whether Anthropic's ``ping`` events are sent.
        padding: whether Anthropic's events are padded with white space inside the JSON, as recorded streams are.
        done: whether the stream of Chat Completions ends with ``[DONE]``; Cerebras and Perplexity leave it out.
        usage: where Chat Completions says it: in a chunk of its own without choices, or with the finish reason.
        reasoning: the field of Chat Completions that reasoning is in; "content" is Mistral's list of parts. OpenRouter says
            everything in "reasoning" and "reasoning_details" both.
        azure: whether Chat Completions begins with Azure's chunk, which has neither choices nor id, and says of each delta
            what the content filter found.
        roles: whether each delta of Chat Completions says the role, and not only the first.
        whole_calls: whether a tool call of Chat Completions comes whole in one delta, as from Groq, Mistral and xAI.
        array: whether Gemini's stream is a JSON array, as without ``alt=sse``, and not server-sent events.
    """

    model: str = "scripted"
    answer: int = 0
    newline: Literal["\n", "\r\n"] | None = None
    comments: tuple[str, ...] = ()
    obfuscation: bool = True
    pings: bool = True
    padding: bool = True
    done: bool = True
    usage: Literal["chunk", "last"] = "chunk"
    reasoning: Literal["reasoning_content", "reasoning", "reasoning_details", "content"] = "reasoning_content"
    azure: bool = False
    roles: bool = False
    whole_calls: bool = False
    array: bool = False

    @property
    def id(self) -> str:
        """What ends the answer's id."""
        return f"scripted_{self.answer}" if self.answer else "scripted"

    @classmethod
    def of(cls, provider: str, **more: Any) -> Quirks:
        """The habits of a provider, as recorded streams show them.

        Args:
            provider: "anthropic", "azure", "cerebras", "deepseek", "gemini", "groq", "llama.cpp", "mistral", "openai",
                "openrouter", "vllm" or "xai".
            more: what is to be different.

        Raises:
            ValueError: no such provider is known.
        """
        if provider not in _PROVIDERS:
            msg = f"no provider {provider!r} is known; there are: {', '.join(sorted(_PROVIDERS))}"
            raise ValueError(msg)
        return cls(**{**_PROVIDERS[provider], **more})


_COMPATIBLE: Final[Mapping[str, Any]] = {"obfuscation": False}
_PROVIDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "anthropic": {},
    "azure": {**_COMPATIBLE, "azure": True},
    "cerebras": {**_COMPATIBLE, "done": False, "reasoning": "reasoning", "usage": "last"},
    "deepseek": {**_COMPATIBLE, "usage": "last"},
    "gemini": {},
    "groq": {**_COMPATIBLE, "reasoning": "reasoning", "whole_calls": True},
    "llama.cpp": _COMPATIBLE,
    "mistral": {**_COMPATIBLE, "reasoning": "content", "usage": "last", "whole_calls": True},
    "openai": {},
    "openrouter": {
        **_COMPATIBLE,
        "comments": ("OPENROUTER PROCESSING",),
        "reasoning": "reasoning_details",
        "roles": True,
        "usage": "last",
    },
    "vllm": {**_COMPATIBLE, "reasoning": "reasoning"},
    "xai": {**_COMPATIBLE, "whole_calls": True},
}
