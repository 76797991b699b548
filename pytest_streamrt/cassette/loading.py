"""Reads a cassette's file, some hundred lines at a time, and says where it is damaged."""

from __future__ import annotations

import base64
import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, get_args

from pydantic_core import from_json

from pytest_streamrt.cassette.format import HEADER, VERSION, compact
from pytest_streamrt.cassette.interaction import Chunks, Headers, Interaction
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.transcript.exchange import How

__all__ = ["load_cassette"]

_BOM: Final = b"\xef\xbb\xbf"  # which editors put in front
_BLOCK: Final = 1 << 17  # bytes that are read at once: more would not stay in the cache
_FOR_EVER: Final = 1e12  # seconds that no recording takes
_SHOWN: Final = 60  # characters of a damaged line that are quoted


def load_cassette(path: Path) -> list[Interaction]:
    """Read a cassette.

    Raises:
        CassetteError: there is none, or it is damaged; it names the file and the line.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # to open a pipe is to wait for its other end
            raise CassetteError(f"the cassette {path} cannot be read: it is no file")
        file = path.open("rb", buffering=_BLOCK)
    except FileNotFoundError:
        msg = f"there is no cassette at {path}. Record one: pytest --streamrt-record=once"
        raise CassetteError(msg) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    interactions: dict[int, Interaction] = {}
    with file, _without_collector():
        number = _read_blocks(path, file, interactions)
    for interaction in interactions.values():
        if interaction.how is None:
            raise _damaged(path, number, f"the exchange with id {interaction.id} has no end")
    return list(interactions.values())


def _read_blocks(path: Path, file: IO[bytes], interactions: dict[int, Interaction]) -> int:
    """Read all lines, some at a time; gives the number of the last."""
    number = 0
    open_: dict[int, Chunks] = {}
    while lines := _read(path, file):
        number = _read_block(path, lines, number, interactions, open_)
    if not number:
        raise _damaged(path, 1, "the file is empty")
    return number


def _read(path: Path, file: IO[bytes]) -> list[bytes]:
    try:
        return file.readlines(_BLOCK)
    except OSError as error:
        raise _unreadable(path, error) from None


def _read_block(
    path: Path, lines: list[bytes], before: int, interactions: dict[int, Interaction], open_: dict[int, Chunks]
) -> int:
    """Read these lines, which so many came before; gives the number of the last that says anything."""
    number = before
    if not before:
        lines[0] = lines[0].removeprefix(_BOM)
    while lines and not lines[-1].strip():  # editors add a line at the end
        lines.pop()
    cut_short = lines.pop() if lines and not lines[-1].endswith(b"\n") else None
    if not before and lines:
        _check_header(path, lines.pop(0))
        number = 1
    parsed = _parsed(lines)
    if parsed is None:  # not all of it is JSON: each line is looked at by itself
        parsed = [{}] * len(lines)
    place, looks_plain = 0, True
    while place < len(parsed):
        if looks_plain and (taken := _take_all(parsed, place, open_)):
            place += taken
            number += taken
            continue
        line = parsed[place]
        place += 1
        number += 1
        looks_plain = False
        try:
            # Where several exchanges are interleaved: a chunk of text, of one whose response has begun.
            data, at = line["text"].encode(), line["at"]
            if 0 <= at < _FOR_EVER:
                open_[line["id"]].add_read((at,), (data,))
                continue
        except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError):
            pass  # it is another line, or none
        _read_one(path, number, lines[place - 1], interactions, open_)
        looks_plain = True  # from here on: an exchange begins, or ends, with such a line
    if cut_short is not None:
        raise _damaged(path, number + 1, f"the file is cut short inside its last line: {_quote(cut_short)}")
    return number


def _take_all(parsed: Sequence[Any], place: int, open_: Mapping[int, Chunks]) -> int:
    """Take the lines from that place on, if all but the last are chunks of one exchange, as in a long stream; how many those are."""
    try:
        if "text" not in parsed[place]:
            return 0
        end = len(parsed) - ("end" in parsed[-1])
        chunks = parsed[place:end]
        ids = [line["id"] for line in chunks]
        if not ids or ids.count(ids[0]) != len(ids):
            return 0
        data = [line["text"].encode() for line in chunks]
        seconds = [line["at"] for line in chunks]
        if not (seconds[0] >= 0 and seconds[-1] < _FOR_EVER and sorted(seconds) == seconds):
            return 0
        open_[ids[0]].add_read(seconds, data)
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError):
        return 0
    return len(chunks)


def _parsed(lines: Sequence[bytes]) -> list[Any] | None:
    """All these lines as JSON, at once; None where one of them is none, or there is more in a line than one value."""
    if not lines:
        return []
    array = [*lines]
    array[0] = b"[" + array[0]
    array[-1] += b"]"
    try:
        parsed: list[Any] = from_json(b",".join(array), allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return None
    return parsed if len(parsed) == len(lines) else None


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Very many objects are made, none of which can be garbage: to look for some takes as long as all the rest."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read_one(
    path: Path, number: int, line: bytes, interactions: dict[int, Interaction], open_: dict[int, Chunks]
) -> None:
    try:
        interaction = _read_line(_parse(line), interactions)
    except _LineError as error:
        raise _damaged(path, number, str(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise _damaged(path, number, f"this is no line of a cassette: {_quote(line)} ({what})") from None
    if interaction.status is not None and interaction.how is None:
        assert isinstance(interaction.chunks, Chunks)
        open_[interaction.id] = interaction.chunks
    else:
        open_.pop(interaction.id, None)


class _LineError(Exception):
    """What is wrong with a line, in a sentence."""


def _parse(line: bytes) -> dict[str, Any]:
    try:
        parsed = from_json(line.removesuffix(b"\n"))
    except ValueError as error:
        msg = f"this is not JSON: {_quote(line)} ({error})"
        raise _LineError(msg) from None
    if not isinstance(parsed, dict):
        msg = f"this is not a JSON object: {_quote(line)}"
        raise _LineError(msg)
    return parsed


def _check_header(path: Path, line: bytes) -> None:
    if line.startswith(b"version https://git-lfs"):
        msg = f"the cassette {path} is a pointer of Git LFS, and what it stands for was not fetched: git lfs pull"
        raise CassetteError(msg)
    try:
        header = _parse(line)
    except _LineError as error:
        raise _damaged(path, 1, str(error)) from None
    if header.get("cassette") != HEADER["cassette"]:
        raise _damaged(path, 1, f"this is no cassette of pytest-streamrt: it begins with {_quote(line)}")
    if header.get("version") != VERSION:
        msg = (
            f"the cassette {path} has version {header.get('version')!r}, and this pytest-streamrt reads version {VERSION}. "
            "Where a newer one has recorded it, install that; else record it again: pytest --streamrt-record=rewrite"
        )
        raise CassetteError(msg)


def _read_line(line: dict[str, Any], interactions: dict[int, Interaction]) -> Interaction:
    id, at = line["id"], round(line["at"] * 1e6)
    if not is_whole(id):
        raise _LineError(f"an id is a whole number, not {id!r}")
    if "request" in line:
        request = line["request"]
        if id in interactions:
            msg = f"the exchange with id {id} begins a second time"
            raise _LineError(msg)
        interactions[id] = Interaction(
            id, at, request["method"], request["url"], _headers(request["headers"]), _body(request)
        )
        return interactions[id]
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
        assert isinstance(interaction.chunks, Chunks)
        interaction.chunks.add(at, _bytes(line))
    return interaction


def _status(status: Any) -> int:
    if not is_whole(status, 100, 599):
        raise _LineError(f"a status is a number from 100 to 599, not {status!r}")
    return status


def _headers(pairs: Iterable[Any]) -> Headers:
    headers = tuple((str(name), str(value)) for name, value in pairs)
    for name, value in headers:
        f"{name}{value}".encode("latin-1")  # what is no header must not be found out in the middle of a test
    return headers


def _body(request: Mapping[str, Any]) -> bytes:
    return compact(request["json"]) if "json" in request else _bytes(request)


def _bytes(fields: Mapping[str, Any]) -> bytes:
    if "text" in fields:
        text: str = fields["text"]
        return text.encode()
    return base64.b64decode(fields["base64"], validate=True)


def _unreadable(path: Path, error: OSError) -> CassetteError:
    return CassetteError(f"the cassette {path} cannot be read: {error.strerror or error}")


def _damaged(path: Path, number: int, what: str) -> CassetteError:
    msg = (
        f"the cassette {path} is damaged at line {number}: {what}. Take it from version control, "
        "or record it again: pytest --streamrt-record=rewrite"
    )
    return CassetteError(msg)


def _quote(line: bytes) -> str:
    line = line.rstrip(b"\n")
    text = repr(line[:_SHOWN].decode(errors="replace"))
    return text if len(line) <= _SHOWN else f"{text}…"
