r"""The cassette file: JSON Lines, a line for each thing that happened. Reading and writing it are here, and its rules.

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
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Final, get_args

from pydantic_core import from_json

from pytest_streamrt.errors import CassetteError
from pytest_streamrt.transcript.exchange import How

__all__ = [
    "Headers",
    "Interaction",
    "RecordedChunk",
    "check_writable",
    "chunk_line",
    "dump_cassette",
    "end_line",
    "load_cassette",
    "request_line",
    "response_line",
    "save_cassette",
]

VERSION: Final = 1
_HEADER: Final = {"cassette": "pytest-streamrt", "version": VERSION}
_BOM: Final = b"\xef\xbb\xbf"  # which editors put in front
_SHOWN: Final = 60  # characters of a damaged line that are quoted

Headers = tuple[tuple[str, str], ...]
"""Pairs of name and value, in order, names as sent; a name may occur more than once."""


@dataclass(frozen=True)
class RecordedChunk:
    """A piece of a body, as one read from the socket gave it. `at` is microseconds since the cassette began."""

    at: int
    data: bytes


@dataclass
class Interaction:
    """One exchange. All times are microseconds since the cassette began."""

    id: int
    at: int
    method: str
    url: str
    headers: Headers
    body: bytes
    status: int | None = None
    response_at: int = 0
    response_headers: Headers = ()
    chunks: list[RecordedChunk] = field(default_factory=list)
    how: How | None = None
    end_at: int = 0
    error: tuple[str, str] | None = None
    """The class name and the message of what the client's HTTP library raised."""


def load_cassette(path: Path) -> list[Interaction]:
    """Read a cassette.

    Raises:
        CassetteError: there is none, or it is damaged; it names the file and the line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        msg = f"there is no cassette at {path}. Record one: pytest --streamrt-record=once"
        raise CassetteError(msg) from None
    except OSError as error:
        msg = f"the cassette {path} cannot be read: {error.strerror or error}"
        raise CassetteError(msg) from None
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise _damaged(path, 1, "the file is empty")
    if not data.endswith(b"\n"):
        last = data.rsplit(b"\n", 1)[-1]
        raise _damaged(path, data.count(b"\n") + 1, f"the file is cut short inside its last line: {_quote(last)}")
    lines = data.rstrip().split(b"\n")  # editors add a line at the end
    _check_header(path, lines[0])
    interactions: dict[int, Interaction] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            _read_line(_parse(line), interactions)
        except _LineError as error:
            raise _damaged(path, number, str(error)) from None
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise _damaged(path, number, f"this is no line of a cassette: {_quote(line)} ({what})") from None
    for interaction in interactions.values():
        if interaction.how is None:
            raise _damaged(path, len(lines), f"the exchange with id {interaction.id} has no end")
    return list(interactions.values())


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


def save_cassette(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a cassette, whole or not at all: what was there before stays until the new one is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_up(path)
        with temporary.open("wb") as file:
            for line in dump_cassette(lines):
                file.write(line)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            msg = (
                f"the cassette {path} cannot be written: {error.strerror or error}. What was there before is untouched"
            )
            raise CassetteError(msg) from None
        raise


def _clear_up(path: Path) -> None:
    """Remove what processes that were killed while they wrote this cassette have left."""
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        pid = left.name.split(".")[-2]
        if pid.isdigit() and not _is_alive(int(pid)):
            with contextlib.suppress(OSError):
                left.unlink()


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # where to ask is to kill
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def dump_cassette(lines: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A cassette's lines as bytes, header included."""
    yield json.dumps(_HEADER).encode() + b"\n"
    for line in lines:
        fields = dict(line)
        id, at = fields.pop("id"), fields.pop("at")
        rest = json.dumps(fields, ensure_ascii=False)
        # Times are written out, as 0.000083 and not 8.3e-05: people read these files, and diffs of them.
        yield f'{{"id": {id}, "at": {at:.6f}, {rest[1:]}\n'.encode()


def request_line(interaction: Interaction) -> dict[str, Any]:
    """The line that begins an exchange."""
    request = {"method": interaction.method, "url": interaction.url, "headers": [list(h) for h in interaction.headers]}
    return {"id": interaction.id, "at": interaction.at / 1e6, "request": {**request, **_body_fields(interaction.body)}}


def response_line(interaction: Interaction) -> dict[str, Any]:
    """The line for the response's head."""
    response = {"status": interaction.status, "headers": [list(h) for h in interaction.response_headers]}
    return {"id": interaction.id, "at": interaction.response_at / 1e6, "response": response}


def chunk_line(interaction: Interaction, chunk: RecordedChunk) -> dict[str, Any]:
    """The line for one chunk."""
    return {"id": interaction.id, "at": chunk.at / 1e6, **_bytes_fields(chunk.data)}


def end_line(interaction: Interaction) -> dict[str, Any]:
    """The line that ends an exchange."""
    line: dict[str, Any] = {"id": interaction.id, "at": interaction.end_at / 1e6, "end": interaction.how}
    if interaction.error is not None:
        line["error"] = list(interaction.error)
    return line


class _LineError(Exception):
    """What is wrong with a line, in a sentence."""


def _parse(line: bytes) -> dict[str, Any]:
    try:
        parsed = from_json(line)
    except ValueError as error:
        msg = f"this is not JSON: {_quote(line)} ({error})"
        raise _LineError(msg) from None
    if not isinstance(parsed, dict):
        msg = f"this is not a JSON object: {_quote(line)}"
        raise _LineError(msg)
    return parsed


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = _parse(line)
    except _LineError as error:
        raise _damaged(path, 1, str(error)) from None
    if header.get("cassette") != _HEADER["cassette"]:
        raise _damaged(path, 1, f"this is no cassette of pytest-streamrt: it begins with {_quote(line)}")
    if header.get("version") != VERSION:
        msg = (
            f"the cassette {path} has version {header.get('version')!r}, and this pytest-streamrt reads version {VERSION}. "
            "Record it again: pytest --streamrt-record=rewrite"
        )
        raise CassetteError(msg)


def _read_line(line: dict[str, Any], interactions: dict[int, Interaction]) -> None:
    id, at = line["id"], round(line["at"] * 1e6)
    if not isinstance(id, int) or isinstance(id, bool):
        raise _LineError(f"an id is a whole number, not {id!r}")
    if "request" in line:
        request = line["request"]
        if id in interactions:
            msg = f"the exchange with id {id} begins a second time"
            raise _LineError(msg)
        interactions[id] = Interaction(
            id, at, request["method"], request["url"], _headers(request["headers"]), _body(request)
        )
        return
    interaction = interactions.get(id)
    if interaction is None or interaction.how is not None:
        msg = f"the exchange with id {id} has {'not begun' if interaction is None else 'ended'} at this line"
        raise _LineError(msg)
    if "response" in line:
        response = line["response"]
        interaction.status = _status(response["status"])
        interaction.response_at = at
        interaction.response_headers = _headers(response["headers"])
    elif "end" in line:
        if line["end"] not in get_args(How):
            msg = f"an exchange ends in one of {', '.join(get_args(How))}, not {line['end']!r}"
            raise _LineError(msg)
        interaction.how = line["end"]
        interaction.end_at = at
        error = line.get("error")
        interaction.error = (str(error[0]), str(error[1])) if error else None
        if interaction.error is None and interaction.how in ("disconnected", "timeout", "failed"):
            raise _LineError(
                f"an exchange that ended {interaction.how!r} has the error that was raised, and this has none"
            )
        if interaction.status is None and interaction.how == "complete":
            raise _LineError(f"the exchange with id {id} is complete, and has no response")
    else:
        if interaction.status is None:
            msg = f"the exchange with id {id} has a chunk and no response"
            raise _LineError(msg)
        interaction.chunks.append(RecordedChunk(at, _bytes(line)))


def _status(status: Any) -> int:
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise _LineError(f"a status is a number from 100 to 599, not {status!r}")
    return status


def _headers(pairs: Iterable[Any]) -> Headers:
    headers = tuple((str(name), str(value)) for name, value in pairs)
    for name, value in headers:
        f"{name}{value}".encode("latin-1")  # what is no header must not be found out in the middle of a test
    return headers


def _body(request: Mapping[str, Any]) -> bytes:
    return _compact(request["json"]) if "json" in request else _bytes(request)


def _body_fields(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return _bytes_fields(body)
    try:
        same = _compact(parsed) == body
    except (ValueError, RecursionError):  # a lone surrogate, a NaN, a nesting without end
        same = False
    return {"json": parsed} if same else _bytes_fields(body)


def _bytes(fields: Mapping[str, Any]) -> bytes:
    if "text" in fields:
        text: str = fields["text"]
        return text.encode()
    return base64.b64decode(fields["base64"], validate=True)


def _bytes_fields(data: bytes) -> dict[str, Any]:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _compact(value: object) -> bytes:
    """JSON as httpx and httpx2 write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _damaged(path: Path, number: int, what: str) -> CassetteError:
    msg = (
        f"the cassette {path} is damaged at line {number}: {what}. Take it from version control, "
        "or record it again: pytest --streamrt-record=rewrite"
    )
    return CassetteError(msg)


def _quote(line: bytes) -> str:
    text = repr(line[:_SHOWN].decode(errors="replace"))
    return text if len(line) <= _SHOWN else f"{text}…"
