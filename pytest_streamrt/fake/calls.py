"""What a fake provider was asked: one call, as a test looks at it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.script.parts import Part
from pytest_streamrt.transcript.exchange import Exchange, How

_MODEL_IN_PATH: Final = re.compile(r"/models/([^/:]+):")

__all__ = ["ProviderCall", "check_function", "no_script"]

_STREAMING_PATHS: Final = (":streamGenerateContent",)  # Gemini says it in the path; all others in the body


def check_function(function: object, whose: str) -> None:
    """Refuse what cannot answer at once.

    Raises:
        ScriptError: it is async, or cannot be called.
    """
    __tracebackhide__ = True
    if not callable(function) or inspect.iscoroutinefunction(function):
        msg = f"{whose}.respond takes a plain function that gives a script, not {function!r}"
        raise ScriptError(msg)


def no_script(given: object) -> str:
    """That this is no script, and what to write instead where that can be guessed; to go after who wanted one."""
    hint = ""
    if isinstance(given, list | tuple):
        hint = ". Give them one by one, with a star: *scripts"
    elif isinstance(given, str | Part):
        hint = f". Write script({given!r:.60})"
    elif callable(given):
        hint = ". A function of the request is given to respond(…)"
    return f"plays scripts; {given!r:.80} is none{hint}"


class ProviderCall:
    """One request for an answer that a fake provider got.

    Attributes:
        request: the request itself, of httpx or httpx2, whichever the client uses.
        dialect: the API it speaks, such as "openai.responses".
        emitted: how many of the script's deltas the client has taken.
    """

    def __init__(self, request: Any, body: bytes, dialect: str) -> None:
        self.request = request
        self.dialect = dialect
        self.emitted = 0
        self.exchange: Exchange | None = None
        self._body = body

    def __repr__(self) -> str:
        return f"<ProviderCall {self.method} {self.url} ({self.dialect})>"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.request.method)

    @property
    def url(self) -> str:
        """The URL."""
        return str(self.request.url)

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers; names in either case."""
        headers: Mapping[str, str] = self.request.headers
        return headers

    @cached_property
    def json(self) -> Any:
        """The request's body, parsed.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self._body)

    @property
    def streams(self) -> bool:
        """Whether it asks for a stream, and not for an answer in one piece."""
        if urlsplit(self.url).path.endswith(_STREAMING_PATHS):
            return True
        try:
            body = self.json
        except ValueError:
            return False
        return isinstance(body, dict) and body.get("stream") is True

    @property
    def wants_array(self) -> bool:
        """Whether the stream it asks for is a JSON array: Gemini's, without ``alt=sse``."""
        return self.dialect == "gemini.generate" and self.streams and "alt=sse" not in urlsplit(self.url).query

    @property
    def model(self) -> str:
        """The model it asks, in the body or, as Gemini has it, in the path; "scripted" where it names none."""
        in_path = _MODEL_IN_PATH.search(urlsplit(self.url).path)
        if in_path is not None:
            return in_path[1]
        try:
            model = self.json.get("model")
        except (ValueError, AttributeError):
            model = None
        return model if isinstance(model, str) else "scripted"

    @property
    def how(self) -> How | None:
        """How its exchange ended: "complete", "client" (which closed it) and so on; None as long as it has not."""
        return self.exchange.how if self.exchange is not None else None
