"""Which recording answers a request, and what to say when none does: the nearest one, and how it differs, by path."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pytest_streamrt.cassette.format import Headers, Interaction
from pytest_streamrt.cassette.json_paths import JsonPath
from pytest_streamrt.cassette.placeholders import PLACEHOLDER
from pytest_streamrt.cassette.unpack import encodings_of, unpack

__all__ = ["MATCH_ON", "Asked", "Matcher", "show"]

MATCH_ON: Final = ("method", "uri", "body")
"""What counts unless something else is asked for."""

_REDACTED: Final = re.compile(rf"{re.escape(PLACEHOLDER)}\**")
_MOST: Final = 8  # differences shown
_SHOWN: Final = 70  # characters of a value shown
_ELSEWHERE: Final = 100  # how many differences in a body weigh as much as another method or URL


class Asked(NamedTuple):
    """A request that somebody makes, as far as recordings of it may differ. Its URL is without secrets."""

    method: str
    url: str
    headers: Headers
    body: bytes


class Matcher:
    """Says how requests differ from recorded ones.

    JSON bodies are compared by structure, all else by bytes. What was redacted matches anything.

    Args:
        match_on: what counts, by vcr's names.
        ignored: places in JSON bodies that do not.
    """

    def __init__(self, match_on: Sequence[str] = MATCH_ON, ignored: Sequence[JsonPath] = ()) -> None:
        self._match_on = match_on
        self._ignored = ignored
        self._bodies: dict[int, tuple[Interaction, bytes, Any]] = {}  # of recorded requests, read once

    def differences(self, recorded: Interaction, asked: Asked) -> list[str]:
        """How a request differs from a recorded one: a line for each place, and none where they match."""
        return [line for name in self._match_on for line in self._compare(name, recorded, asked)]

    def matches(self, recorded: Interaction, asked: Asked) -> bool:
        """Whether that recording answers that request."""
        return not any(True for name in self._match_on for _ in self._compare(name, recorded, asked))

    def nearest(self, recorded: Sequence[Interaction], asked: Asked) -> tuple[Interaction, list[str]] | None:
        """The recorded request that is most alike, and how that one differs. One to another URL is far away."""
        compared = [(each, self.differences(each, asked)) for each in recorded]
        return min(compared, key=lambda pair: _weight(pair[1]), default=None)

    def _compare(self, name: str, recorded: Interaction, asked: Asked) -> Iterator[str]:
        if name in ("body", "raw_body"):
            yield from self._compare_bodies(recorded, asked, by_structure=name == "body")
        elif name == "headers":
            yield from _compare_headers(recorded.headers, asked.headers)
        else:
            before, now = _PARTS[name](recorded.method, recorded.url), _PARTS[name](asked.method, asked.url)
            if not _is_same_text(before, now):
                yield _line("url" if name == "uri" else name, before, now)

    def _compare_bodies(self, recorded: Interaction, asked: Asked, *, by_structure: bool) -> Iterator[str]:
        if recorded.body == asked.body:
            return
        _, old_body, old = self._read(recorded)
        new_body = _unpacked(asked.body, asked.headers)
        new = _json(new_body)
        if by_structure and old is not _NO_JSON and new is not _NO_JSON:
            yield from self._compare_json("body", old, new, ())
        elif not _is_same_text(old_body.decode("latin-1"), new_body.decode("latin-1")):
            yield _line("body", old_body, new_body)

    def _read(self, recorded: Interaction) -> tuple[Interaction, bytes, Any]:
        read = self._bodies.get(id(recorded))
        if read is None or read[0] is not recorded:
            body = _unpacked(recorded.body, recorded.headers)
            read = self._bodies[id(recorded)] = (recorded, body, _json(body))
        return read

    def _compare_json(self, path: str, old: Any, new: Any, place: tuple[str | int, ...]) -> Iterator[str]:
        if place and any(ignored.leads_to(place) for ignored in self._ignored):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for key in [*old, *(key for key in new if key not in old)]:
                yield from self._compare_json(
                    f"{path}.{key}", old.get(key, _MISSING), new.get(key, _MISSING), (*place, key)
                )
        elif isinstance(old, list) and isinstance(new, list):
            for i in range(max(len(old), len(new))):
                before = old[i] if i < len(old) else _MISSING
                after = new[i] if i < len(new) else _MISSING
                yield from self._compare_json(f"{path}[{i}]", before, after, (*place, i))
        elif isinstance(old, str) and (isinstance(new, str) or _REDACTED.fullmatch(old)):
            if new is _MISSING or (isinstance(new, str) and not _is_same_text(old, new)):
                yield _line(path, old, new)
        elif old != new or isinstance(old, bool) is not isinstance(new, bool):
            yield _line(path, old, new)


def show(found: Sequence[str]) -> str:
    """Differences as indented lines, the first few."""
    lines = [f"    {line}" for line in found[:_MOST]]
    if len(found) > _MOST:
        lines.append(f"    … and {len(found) - _MOST} more")
    return "\n".join(lines)


class _NoJson:
    pass


_NO_JSON: Final = _NoJson()
_MISSING: Final = _NoJson()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _compare_headers(old: Headers, new: Headers) -> Iterator[str]:
    before, now = _by_name(old), _by_name(new)
    for name in [*before, *(name for name in now if name not in before)]:
        was, is_ = before.get(name), now.get(name)
        if was is None or is_ is None or not _is_same_text(was, is_):
            yield _line(f"header {name}", _MISSING if was is None else was, _MISSING if is_ is None else is_)


def _by_name(headers: Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name.lower()] = f"{joined[name.lower()]}, {value}" if name.lower() in joined else value
    return joined


def _unpacked(body: bytes, headers: Iterable[tuple[str, str]]) -> bytes:
    encoding = encodings_of(tuple(headers))
    unpacked = unpack([body], encoding) if encoding else None
    return body if unpacked is None else b"".join(unpacked)


def _weight(found: Sequence[str]) -> int:
    return sum(_ELSEWHERE if line.startswith(_FAR) else 1 for line in found)


def _is_same_text(recorded: str, now: str) -> bool:
    """Whether they are equal, but for what was redacted in the recorded one."""
    if PLACEHOLDER not in recorded:
        return recorded == now
    return re.fullmatch(".*".join(map(re.escape, _REDACTED.split(recorded))), now, re.DOTALL) is not None


def _line(path: str, old: object, new: object) -> str:
    return f"{path}: recorded {_show(old)}, now {_show(new)}"


def _show(value: object) -> str:
    if value is _MISSING:
        return "(absent)"
    if isinstance(value, bytes):
        value = value[: _SHOWN + 1]
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _query(url: str) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(urlsplit(url).query, keep_blank_values=True)))


_PARTS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "method": lambda method, _: method,
    "uri": lambda _, url: url,
    "scheme": lambda _, url: urlsplit(url).scheme,
    "host": lambda _, url: urlsplit(url).hostname or "",
    "port": lambda _, url: str(urlsplit(url).port or ""),
    "path": lambda _, url: urlsplit(url).path,
    "query": lambda _, url: _query(url),
}
_FAR: Final = tuple(f"{'url' if name == 'uri' else name}: " for name in _PARTS)
