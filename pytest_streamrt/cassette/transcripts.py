"""What the deltas say that a transcript kept as text has a line for each of: joined, with the way back to those lines."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from typing import Final

from pytest_streamrt.cassette.spans import Folded, Span

__all__ = ["lanes_of"]

_DELTA: Final = r"(?P<type>(?:text|reasoning|refusal|tool_call)\.delta)"
# As an event's own line has it, with JSON: `0.5  bot  text.delta  text="Hel"`.
_EVENT: Final = re.compile(
    rf'^ *(?:\d+\.\d+ +)?(?P<who>\S.*?)  {_DELTA}  (?P<before>[^"\n]*?)(?:text|arguments)='
    r'"(?P<said>(?:[^"\\\n]++|\\.)*+)"(?P<after>[^\n]*)$',
    re.MULTILINE,
)
# As the legend of the marbles has it, with a repr: `bot  a   0.500000000  text.delta 'Hel'`.
_DRAWN: Final = re.compile(
    rf"^ *(?P<who>\S[^\n]*?) +(?P<before>)\S +\d+\.\d{{9}} +{_DELTA} (?P<quote>['\"])"
    r"(?P<said>(?:(?!(?P=quote))[^\\\n]|\\.)*+)(?P=quote)(?P<after>[^\n]*)$",
    re.MULTILINE,
)


# As JSON Lines have it, which `to_json` writes: an event a line.
_JSON: Final = re.compile(rf'^\{{"type": ?"{_DELTA}", ?[^\n]*\}}$', re.MULTILINE)
_SAID: Final = re.compile(r', ?"(?:text|arguments)": ?"(?P<said>(?:[^"\\\n]++|\\.)*+)"')
_TELLING: Final = ("type", "source", "inference", "item", "id", "choice")


def lanes_of(text: str) -> Iterator[Folded]:
    """The deltas of each source, of each kind and of each call, as one text; of a file that is no transcript, nothing."""
    if ".delta" not in text:
        return
    for deltas in (_lines(text, _EVENT), _lines(text, _DRAWN), _events(text)):
        lanes: dict[Hashable, list[Span]] = {}
        for which, span in deltas:
            lanes.setdefault(which, []).append(span)
        for spans in lanes.values():
            if len(spans) > 1:
                yield Folded(text, spans)


def _lines(text: str, line: re.Pattern[str]) -> Iterator[tuple[Hashable, Span]]:
    for match in line.finditer(text):
        yield match.group("who", "type", "before", "after"), match.span("said")


def _events(text: str) -> Iterator[tuple[Hashable, Span]]:
    for match in _JSON.finditer(text):
        said = _SAID.search(text, *match.span())
        try:
            event = json.loads(match[0])
        except (ValueError, RecursionError):
            continue
        if said is not None:
            yield tuple(str(event.get(name)) for name in _TELLING), said.span("said")
