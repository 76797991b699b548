"""What a provider says instead of an answer: the bodies of its HTTP errors, in its own form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

__all__ = ["GOOGLE_ERRORS", "error_body"]

# https://docs.claude.com/en/api/errors
_ANTHROPIC: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}

# https://cloud.google.com/apis/design/errors
GOOGLE_ERRORS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# https://platform.openai.com/docs/guides/error-codes
_OPENAI: Final[Mapping[int, tuple[str, str | None]]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error_body(status: int, message: str, dialect: str, code: str | None = None) -> bytes:
    """The JSON body of an answer with that status.

    Args:
        status: the HTTP status, from 400 on.
        message: what the provider says.
        dialect: whose form it has.
        code: the provider's code for the error, where it is to be another than the usual.
    """
    error: object
    if dialect.startswith("anthropic."):
        kind = code or _ANTHROPIC.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"}
    elif dialect.startswith("gemini."):
        error = {"error": {"code": status, "message": message, "status": code or GOOGLE_ERRORS.get(status, "UNKNOWN")}}
    else:
        kind, usual = _OPENAI.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
        error = {"error": {"message": message, "type": kind, "param": None, "code": code or usual}}
    return json.dumps(error, ensure_ascii=False).encode()
