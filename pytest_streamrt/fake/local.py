"""What a fake provider answers beside inferences: the list of its models."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["models_answer"]

_MODEL: Final = "scripted"
_CREATED: Final = 1_700_000_000
_CREATED_AT: Final = "2023-11-14T22:13:20Z"


def models_answer(request: Any) -> bytes | None:
    """The answer to a request for the list of models, or for one of them by its name, in the API it speaks; else None."""
    before, found, name = urlsplit(str(request.url)).path.rstrip("/").rpartition("/models")
    if request.method != "GET" or not found or not _ends_with_version(before):
        return None
    name = name.removeprefix("/")
    model: dict[str, Any]
    answer: dict[str, Any]
    if before.endswith("beta"):
        model = {"name": f"models/{name or _MODEL}", "displayName": name or _MODEL}
        answer = model if name else {"models": [model]}
    elif "anthropic-version" in request.headers:
        model = {"type": "model", "id": name or _MODEL, "display_name": name or _MODEL, "created_at": _CREATED_AT}
        answer = model if name else {"data": [model], "has_more": False, "first_id": _MODEL, "last_id": _MODEL}
    else:
        model = {"id": name or _MODEL, "object": "model", "created": _CREATED, "owned_by": "pytest-streamrt"}
        answer = model if name else {"object": "list", "data": [model]}
    return json.dumps(answer).encode()


def _ends_with_version(path: str) -> bool:
    version = path.rpartition("/")[2]
    return version[:1] == "v" and version[1:2].isdigit()
