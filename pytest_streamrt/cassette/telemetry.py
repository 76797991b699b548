"""What SDKs report about themselves: it goes nowhere while a test's requests are answered, and is no part of a test.

openai-agents posts its traces to OpenAI, whatever provider the agent asks, from a thread of its own, some seconds later or
when the process ends.
"""

from __future__ import annotations

import sys
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["flush_telemetry", "forget_key", "is_telemetry"]

_PATHS: Final = ("/v1/traces/ingest",)


def is_telemetry(request: Any) -> bool:
    """Whether that request, of httpx or httpx2, is an SDK's report about itself."""
    return request.method == "POST" and urlsplit(str(request.url)).path.endswith(_PATHS)


def flush_telemetry() -> None:
    """Have what waits to be reported go where it goes now, and not to the real server after the test."""
    flush = getattr(sys.modules.get("agents.tracing"), "flush_traces", None)
    if flush is not None:
        flush()


def forget_key(placeholder: str) -> None:
    """Have nobody keep a placeholder for an API key: openai-agents remembers the first it finds in the environment."""
    tracing = sys.modules.get("agents.tracing")
    exporter = getattr(tracing, "default_exporter", None)
    if tracing is not None and exporter is not None and exporter().api_key == placeholder:
        tracing.set_tracing_export_api_key("")
