"""Cassettes for tests, written by hand in the documented format: what is tested is how they play."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

URL = "https://api.example/v1/chat/completions"
SSE = [["content-type", "text/event-stream"]]

Lines = list[dict[str, Any]]


def cassette(folder: Path, *exchanges: Lines, body: str = "") -> Path:
    """Write a cassette. Each exchange is its lines, without their ids; the first one is the request, with that body."""
    lines: Lines = [{"cassette": "pytest-streamrt", "version": 1}]
    for number, exchange in enumerate(exchanges, start=1):
        request = {"method": "POST", "url": URL, "headers": [], "text": body}
        lines.append({"id": number, "at": exchange[0]["at"], "request": request})
        lines += [{"id": number, **line} for line in exchange[1:]]
    path = folder / "written.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def answered(
    *chunks: str, first: float = 0.1, every: float = 0.1, status: int = 200, headers: Sequence[Sequence[str]] = SSE
) -> Lines:
    """An exchange whose head comes after `first` seconds, and its chunks `every` so many seconds from then on."""
    lines: Lines = [{"at": 0.0}, {"at": first, "response": {"status": status, "headers": list(headers)}}]
    lines += [{"at": round(first + every * n, 6), "text": text} for n, text in enumerate(chunks, start=1)]
    return [*lines, {"at": lines[-1]["at"], "end": "complete"}]


def failed(error: str, at: float) -> Lines:
    """An exchange in which that error came instead of a response."""
    how = "timeout" if "Timeout" in error else "failed"
    return [{"at": 0.0}, {"at": at, "end": how, "error": [error, "it was so when it was recorded"]}]
