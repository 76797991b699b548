"""Places in JSON by path, such as ``messages[*].content``: what stands there, and where in the text.

A path is names with dots between them. ``[0]`` is a place in an array, ``[*]`` or ``*`` any one, ``**`` any number of steps; a
leading ``$.`` says nothing. It means what stands there and all that is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pytest_streamrt.cassette.spans import Span

__all__ = ["JsonPath", "replace_at", "spans_at"]

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\*|\d+)\]")
# Of an event stream, what its lines begin with is no JSON, and an empty line ends an event, whose JSON may be in several lines.
_TOKEN: Final = re.compile(
    r"(?P<next>(?:\n|\r(?!\n))(?=(?:\r\n|[\r\n])(?:data|event|id|retry)?:))"
    r"|(?P<head>(?:^|(?<=[\r\n]))(?:data:|(?:event|id|retry)?:[^\r\n]*))"
    r'|"(?:[^"\\\n]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]+'
)

_CONTINUED: Final = re.compile(r"[^\r\n](?:\r\n|[\r\n])data:")

Step = str | int


class JsonPath:
    """One path, read.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, path: str) -> None:
        rest = path.removeprefix("$").removeprefix(".")
        steps: list[Step] = []
        at = 0
        while at < len(rest):
            match = _STEP.match(rest, at)
            if match is None:
                break
            name, number = match.groups()
            steps.append(name if name is not None else "*" if number == "*" else int(number))
            at = match.end()
        if at < len(rest) or not steps:
            msg = f"{path!r} is no path: write names with dots between them, such as 'user.email' or 'messages[*].content'"
            raise ValueError(msg)
        self.path = path
        self._steps = tuple(steps)

    def __repr__(self) -> str:
        return f"JsonPath({self.path!r})"

    def leads_to(self, place: Sequence[Step]) -> bool:
        """Whether it means that place, or what that is in."""
        return _leads(self._steps, place)


def _leads(steps: Sequence[Step], place: Sequence[Step]) -> bool:
    if not steps:
        return True
    if steps[0] == "**":
        return any(_leads(steps[1:], place[n:]) for n in range(len(place) + 1))
    return bool(place) and steps[0] in ("*", place[0]) and _leads(steps[1:], place[1:])


def replace_at(value: Any, paths: Sequence[JsonPath], replacement: Callable[[Any], Any]) -> Any:
    """The parsed JSON with what stands at these paths replaced."""
    return _replace(value, paths, replacement, ())


def _replace(value: Any, paths: Sequence[JsonPath], replacement: Callable[[Any], Any], place: tuple[Step, ...]) -> Any:
    if place and any(path.leads_to(place) for path in paths):
        return replacement(value)
    if isinstance(value, dict):
        return {key: _replace(each, paths, replacement, (*place, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, paths, replacement, (*place, n)) for n, each in enumerate(value)]
    return value


def spans_at(text: str, paths: Sequence[JsonPath]) -> Iterator[Span]:
    """Where, in the JSON of a body or of each event of a stream, the strings, numbers and words at these paths stand.

    Of a string, what is between its quotation marks. The JSON need not be complete: where a line of data seems to go on with that
    before it, it may as well begin anew.
    """
    yield from _spans(text, paths, anew=False)
    if _CONTINUED.search(text):
        yield from _spans(text, paths, anew=True)


def _spans(text: str, paths: Sequence[JsonPath], *, anew: bool) -> Iterator[Span]:
    place: list[Step] = []
    expects_name = False
    for match in _TOKEN.finditer(text):
        found = match[0]
        if match["next"] or (anew and match["head"]):  # the next event: whatever was not closed before it never will be
            place, expects_name = [], False
        elif match["head"]:
            continue
        elif found in "{[":
            place.append("" if found == "{" else 0)
            expects_name = found == "{"
        elif found in "}]":
            if place:
                place.pop()
            expects_name = False
        elif found == ",":
            if place and isinstance(place[-1], int):
                place[-1] += 1
            expects_name = bool(place) and isinstance(place[-1], str)
        elif found == ":":
            expects_name = False
        elif expects_name:
            place[-1] = _name(found)
        elif place and any(path.leads_to(place) for path in paths):
            start, end = match.span()
            yield (start + 1, end - 1) if found[0] == '"' else (start, end)


def _name(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token.strip('"')
