"""What the deltas say that a transcript kept as text has a line for each of: joined, with the way back to those lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


def lanes_of(text: str) -> Iterator[Folded]:
    """The deltas of each source, of each kind and of each call, as one text; of a file that is no transcript, nothing."""
    if ".delta " not in text:
        return
    for line in (_EVENT, _DRAWN):
        lanes: dict[tuple[str, ...], list[Span]] = {}
        for match in line.finditer(text):
            lanes.setdefault(match.group("who", "type", "before", "after"), []).append(match.span("said"))
        for spans in lanes.values():
            if len(spans) > 1:
                yield Folded(text, spans)
