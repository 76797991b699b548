"""What a project can say of its cassettes, by vcr's names where vcr has one: read here, and refused where it makes no sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pytest_streamrt.cassette.json_paths import JsonPath
from pytest_streamrt.cassette.matching import MATCH_ON, Matcher
from pytest_streamrt.cassette.placeholders import PLACEHOLDER
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.errors import CassetteError

__all__ = [
    "CassetteConfig",
    "Filter",
    "MatchOn",
    "OnSecret",
    "RecordedRequest",
    "RecordedResponse",
    "config_from",
]

Filter = str | tuple[str, str | None]
"""A header or a query parameter by its name; with a replacement, instead of a placeholder, or with None to have it removed."""

MatchOn = Literal["method", "uri", "scheme", "host", "port", "path", "query", "headers", "body", "raw_body"]
"""What of a request counts when a recording is looked for."""

OnSecret = Literal["redact", "fail"]
"""What to do about a secret where none should be: take it out, or refuse the recording."""


@dataclass
class RecordedRequest:
    """A request, as `before_record_request` is given it; what it changes is what is recorded, and what is looked for."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class RecordedResponse:
    """A response, as `before_record_response` is given it; what it changes is what is recorded.

    `chunks` are the body as it came; each may be changed, and there must be as many afterwards.
    """

    status: int
    headers: list[tuple[str, str]]
    chunks: list[bytes]


@dataclass(frozen=True)
class CassetteConfig:
    """All that can be said, read and checked. The names are those of `use_cassette`'s arguments."""

    filter_headers: Mapping[str, str | None] = field(default_factory=dict)
    filter_query_parameters: Mapping[str, str | None] = field(default_factory=dict)
    filter_json_paths: tuple[JsonPath, ...] = ()
    filter_patterns: tuple[re.Pattern[str], ...] = ()
    match_on: tuple[str, ...] = MATCH_ON
    ignore_json_paths: tuple[JsonPath, ...] = ()
    ignore_hosts: tuple[str, ...] = ()
    allow_playback_repeats: bool = False
    allow_unplayed: bool = False
    before_record_request: Callable[[RecordedRequest], RecordedRequest | None] | None = None
    before_record_response: Callable[[RecordedResponse], RecordedResponse | None] | None = None
    on_secret: OnSecret = "redact"  # noqa: S105 - what to do about one

    @property
    def refuses_secrets(self) -> bool:
        """Whether a recording with a secret where none should be is not to be written."""
        return self.on_secret == "fail"  # noqa: S105 - likewise

    def redactor(self) -> Redactor:
        """What takes the secrets out of a recording."""
        return Redactor(
            headers=self.filter_headers,
            parameters=self.filter_query_parameters,
            json_paths=self.filter_json_paths,
            patterns=self.filter_patterns,
        )

    def matcher(self) -> Matcher:
        """What tells which recording answers a request."""
        return Matcher(self.match_on, self.ignore_json_paths)

    def ignores(self, url: str) -> bool:
        """Whether requests to that URL are none of ours: they go on to the network and are not recorded."""
        host = urlsplit(url).hostname or ""
        return any(fnmatch(host, pattern) for pattern in self.ignore_hosts)


def config_from(given: Mapping[str, Any], where: str = "use_cassette") -> CassetteConfig:
    """Read what was given by name.

    Raises:
        CassetteError: there is no such name, or its value makes no sense; it says which, and `where` it was given.
    """
    unknown = [name for name in given if name not in _READERS]
    if unknown:
        instead = [advice for name in unknown if (advice := _instead_of(name))]
        msg = f"{where} does not take {', '.join(map(repr, unknown))}; it takes {', '.join(_READERS)}"
        raise CassetteError(". ".join([msg, *instead]))
    read = {}
    for name, value in given.items():
        try:
            read[name] = _READERS[name](value)
        except (ValueError, TypeError) as error:
            raise CassetteError(f"{where}: {name} is {error}") from None
    return CassetteConfig(**read)


def _instead_of(name: str) -> str:
    """What to write for a name that there is not, or ""."""
    near = get_close_matches(str(name), _READERS, 1, 0.8)
    return f"Did you mean {near[0]!r}?" if near else _OF_VCR.get(name, "")


def _list(value: Any, what: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"a list of {what}, not {value!r}")
    return list(value)


def _names(value: Any) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    for each in _list(value, "names"):
        if isinstance(each, str):
            names[each.lower()] = PLACEHOLDER
        elif isinstance(each, Sequence) and len(each) == 2 and isinstance(each[0], str):
            name, replacement = each
            if replacement is not None and not isinstance(replacement, str):
                raise ValueError(f"a list of names; the replacement of {name!r} is a text or None, not {replacement!r}")
            names[name.lower()] = replacement
        else:
            raise ValueError(f"a list of names, or of pairs of a name and its replacement; {each!r} is neither")
    return names


def _strings(value: Any) -> tuple[str, ...]:
    strings = _list(value, "texts")
    for each in strings:
        if not isinstance(each, str):
            raise TypeError(f"a list of texts, and {each!r} is none")
    return tuple(strings)


def _paths(value: Any) -> tuple[JsonPath, ...]:
    paths = _strings(value)
    try:
        return tuple(map(JsonPath, paths))
    except ValueError as error:
        raise ValueError(f"a list of paths, and {error}") from None


def _patterns(value: Any) -> tuple[re.Pattern[str], ...]:
    found = []
    for each in _list(value, "regular expressions"):
        try:
            pattern = re.compile(each) if isinstance(each, str) else each
        except re.error as error:
            raise ValueError(f"a list of regular expressions, and {each!r} is none: {error}") from None
        if not isinstance(pattern, re.Pattern) or not isinstance(pattern.pattern, str):
            raise TypeError(f"a list of regular expressions for texts, and {each!r} is none")
        found.append(pattern)
    return tuple(found)


def _match_on(value: Any) -> tuple[str, ...]:
    names = _strings(value)
    unknown = [name for name in names if name not in get_args(MatchOn)]
    if unknown or not names:
        raise ValueError(f"a list of {', '.join(get_args(MatchOn))}, not {value!r}")
    return names


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"True or False, not {value!r}")
    return value


def _function(value: Any) -> Callable[..., Any] | None:
    if value is not None and not callable(value):
        raise ValueError(f"a function, not {value!r}")
    function: Callable[..., Any] | None = value
    return function


def _on_secret(value: Any) -> OnSecret:
    if value not in get_args(OnSecret):
        raise ValueError(f'"redact" or "fail", not {value!r}')
    found: OnSecret = value
    return found


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "filter_headers": _names,
    "filter_query_parameters": _names,
    "filter_json_paths": _paths,
    "filter_patterns": _patterns,
    "match_on": _match_on,
    "ignore_json_paths": _paths,
    "ignore_hosts": _strings,
    "allow_playback_repeats": _bool,
    "allow_unplayed": _bool,
    "before_record_request": _function,
    "before_record_response": _function,
    "on_secret": _on_secret,
}

_OF_VCR: Final[Mapping[str, str]] = {
    "record_mode": "What is recorded, the command line says: pytest --streamrt-record=once",
    "cassette_library_dir": "Where cassettes are, the command line or the configuration says: --streamrt-cassette-dir",
    "ignore_localhost": "Its like is ignore_hosts: ['localhost', '127.0.0.1']",
    "filter_post_data_parameters": "Its like is filter_json_paths, or filter_patterns",
    "decode_compressed_response": "Leave it out: packed bodies are looked through, and kept as they came",
}
"""What to write for the keys of vcr that are none here."""
