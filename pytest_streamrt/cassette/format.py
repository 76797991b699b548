r"""The cassette file: JSON Lines, a line for each thing that happened. Its rules are here, and how it is written.

    {"cassette": "pytest-streamrt", "version": 1}
    {"id": 1, "at": 0.0, "request": {"method": "POST", "url": "…", "headers": [["…", "…"]], "json": {…}}}
    {"id": 1, "at": 0.031207, "response": {"status": 200, "headers": [["…", "…"]]}}
    {"id": 1, "at": 0.033951, "text": "data: {…}\n\n"}
    {"id": 1, "at": 0.071002, "end": "complete"}

`id` tells concurrent exchanges apart; lines are in the order in which things happened. `at` is seconds since the first
request, to the microsecond. A body, or a chunk of one, is ``text`` where it is UTF-8, else ``base64``; a request's body is
``json`` where that says the same to the byte. An exchange that never got a response has no response line, and its end says
why: one of "complete", "client", "disconnected", "timeout", "failed", the last three with the "error" that was raised.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_json

from pytest_streamrt.cassette.interaction import Headers, Interaction, RecordedChunk
from pytest_streamrt.cassette.replacing import replace_file
from pytest_streamrt.errors import CassetteError

__all__ = [
    "HEADER",
    "VERSION",
    "Headers",
    "Interaction",
    "RecordedChunk",
    "check_writable",
    "chunk_line",
    "compact",
    "dump_cassette",
    "end_line",
    "request_line",
    "response_line",
    "save_cassette",
]

VERSION: Final = 1
HEADER: Final = {"cassette": "pytest-streamrt", "version": VERSION}


def check_writable(path: Path) -> None:
    """Find out before anything is recorded whether a cassette can be written there.

    Raises:
        CassetteError: it cannot.
    """
    folder = next(each for each in path.parents if each.exists())
    if path.is_dir():
        problem = "it is a folder"
    elif not folder.is_dir():
        problem = f"{folder} is not a folder"
    elif not os.access(folder, os.W_OK | os.X_OK):
        problem = f"nothing can be written in {folder}"
    else:
        return
    raise CassetteError(f"the cassette {path} cannot be recorded: {problem}")


def save_cassette(path: Path, lines: Iterable[bytes]) -> None:
    """Write a cassette, whole or not at all: what was there before stays until the new one is complete.

    Args:
        path: where.
        lines: what `recording.lines_of` gives.

    Raises:
        CassetteError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, dump_cassette(lines))
    except OSError as error:
        msg = f"the cassette {path} cannot be written: {error.strerror or error}. What was there before is untouched"
        raise CassetteError(msg) from None


def dump_cassette(lines: Iterable[bytes]) -> Iterator[bytes]:
    """A cassette's lines, header included."""
    return chain([json.dumps(HEADER).encode() + b"\n"], lines)


def request_line(interaction: Interaction) -> bytes:
    """The line that begins an exchange."""
    request = {"method": interaction.method, "url": interaction.url, "headers": [list(h) for h in interaction.headers]}
    return _line(interaction, interaction.at, {"request": {**request, **_body_fields(interaction.body)}})


def response_line(interaction: Interaction) -> bytes:
    """The line for the response's head."""
    response = {"status": interaction.status, "headers": [list(h) for h in interaction.response_headers]}
    return _line(interaction, interaction.response_at, {"response": response})


def chunk_line(interaction: Interaction, at: int, data: bytes) -> bytes:
    """The line for one chunk. There may be very many, so it is put together by hand."""
    try:
        name, value = b"text", to_json(data.decode())
    except UnicodeDecodeError:
        name, value = b"base64", b'"%b"' % base64.b64encode(data)
    return b'{"id": %d, "at": %.6f, "%b": %b}\n' % (interaction.id, at / 1e6, name, value)


def end_line(interaction: Interaction) -> bytes:
    """The line that ends an exchange."""
    line: dict[str, Any] = {"end": interaction.how}
    if interaction.error is not None:
        line["error"] = list(interaction.error)
    return _line(interaction, interaction.end_at, line)


def _line(interaction: Interaction, at: int, fields: Mapping[str, Any]) -> bytes:
    rest = json.dumps(fields, ensure_ascii=False)
    return f'{{"id": {interaction.id}, "at": {_seconds(at)}, {rest[1:]}\n'.encode()


def _seconds(at: int) -> str:
    """Written out, as 0.000083 and not 8.3e-05: people read these files, and diffs of them."""
    return f"{at / 1e6:.6f}"


def _body_fields(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _bytes_fields(body)
    try:
        same = compact(parsed) == body
    except (ValueError, RecursionError):  # a lone surrogate, a NaN, a nesting without end
        same = False
    return {"json": parsed} if same else _bytes_fields(body)


def _bytes_fields(data: bytes) -> dict[str, Any]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def compact(value: object) -> bytes:
    """JSON as httpx and httpx2 write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
