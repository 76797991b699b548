"""What a line of a cassette may be, as types, and the JSON Schema that pydantic makes of them. Nothing reads cassettes with these."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from pytest_streamrt.cassette.format import VERSION
from pytest_streamrt.transcript.exchange import How

__all__ = ["cassette_schema"]

_CLOSED = ConfigDict(extra="forbid")
_Id = Annotated[int, Field(ge=1, description="Tells exchanges apart that run at the same time.")]
_At = Annotated[float, Field(ge=0, description="Seconds since the first request, to the microsecond.")]
_Text = Annotated[str, Field(description="Bytes that are UTF-8, as text.")]
_Base64 = Annotated[
    str,
    Field(
        description="Other bytes.", json_schema_extra={"contentEncoding": "base64"}, pattern="^[A-Za-z0-9+/]*={0,2}$"
    ),
]
_Headers = Annotated[
    list[Annotated[list[str], Field(min_length=2, max_length=2)]],
    Field(description="Pairs of name and value, in order, names as sent."),
]
_Status = Annotated[int, Field(ge=100, le=599)]


class Header(TypedDict):
    """The first line."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    cassette: Literal["pytest-streamrt"]
    version: Literal[1]


class Request(TypedDict):
    """A request. Its body is one of `json` (where that, written compactly, is the same to the byte), `text`, `base64`."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    method: str
    url: str
    headers: _Headers
    json: NotRequired[Any]
    text: NotRequired[_Text]
    base64: NotRequired[_Base64]


class RequestLine(TypedDict):
    """An exchange begins."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    id: _Id
    at: _At
    request: Request


class Response(TypedDict):
    """The head of a response."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    status: _Status
    headers: _Headers


class ResponseLine(TypedDict):
    """The response begins."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    id: _Id
    at: _At
    response: Response


class TextLine(TypedDict):
    """A chunk of the body, as one read from the socket gave it."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    id: _Id
    at: _At
    text: _Text


class Base64Line(TypedDict):
    """Likewise, where it is no UTF-8."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    id: _Id
    at: _At
    base64: _Base64


class EndLine(TypedDict):
    """The exchange ends."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]
    id: _Id
    at: _At
    end: How
    error: NotRequired[
        Annotated[
            list[str],
            Field(min_length=2, max_length=2, description="The class and the message of what the HTTP library raised."),
        ]
    ]


_Line = Header | RequestLine | ResponseLine | TextLine | Base64Line | EndLine


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(_Line)


def cassette_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a line of a cassette."""
    schema = _adapter().json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of a pytest-streamrt cassette, version {VERSION}",
        **schema,
    }
