"""API keys for SDKs that will not start without one, where nothing is ever sent to a provider."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pytest_streamrt.cassette.telemetry import forget_key

__all__ = ["placeholder_keys"]

# Each with others that serve the same SDK as well; google-genai complains where it finds two.
_KEYS: Final = (
    ("OPENAI_API_KEY",),
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ("AZURE_OPENAI_API_KEY",),
    ("COHERE_API_KEY", "CO_API_KEY"),
    ("DEEPSEEK_API_KEY",),
    ("GROQ_API_KEY",),
    ("MISTRAL_API_KEY",),
    ("OPENROUTER_API_KEY",),
    ("XAI_API_KEY",),
)
_PLACEHOLDER: Final = "streamrt-placeholder-key"


@contextmanager
def placeholder_keys() -> Iterator[None]:
    """While the block runs, the environment has a key for each SDK; those that are there stay as they are."""
    made = [names[0] for names in _KEYS if not any(name in os.environ for name in names)]
    for name in made:
        os.environ[name] = _PLACEHOLDER
    try:
        yield
    finally:
        for name in made:
            os.environ.pop(name, None)
        forget_key(_PLACEHOLDER)
