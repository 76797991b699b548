"""How two transcripts differ, event by event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.report.text import event_lines
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wording import counted

__all__ = ["difference_of_events", "explain_difference"]

_AROUND: Final = 1  # events shown before and after those that differ
_TIME: Final = re.compile(r"^ *\d+\.\d{9}  ")


def explain_difference(left: Transcript, right: Transcript) -> list[str]:
    """Why ``left == right`` does not hold, for pytest to show: what the left has is marked ``+``, the right's ``-``."""
    timed = left.virtual and right.virtual
    clean = Redactor().text
    lines = [[clean(line) for line in event_lines(each.events, timed=timed)] for each in (left, right)]
    return ["the transcripts differ", *difference_of_events(*lines)]


def difference_of_events(received: Sequence[str], expected: Sequence[str]) -> Iterator[str]:
    """The events that differ, each with the one before and after it; in one line, how many do."""
    times = [[_TIME.sub("", line) for line in lines] for lines in (received, expected)]
    if times[0] == times[1] and list(received) != list(expected):
        moved = sum(a != b for a, b in zip(received, expected, strict=True))
        yield f"The events are the same, and {moved} of {len(expected)} came at another time:"
        pairs = [(i, i + 1, i, i + 1) for i, (a, b) in enumerate(zip(received, expected, strict=True)) if a != b]
    else:
        matcher = SequenceMatcher(None, expected, received, autojunk=False)
        blocks = [block for block in matcher.get_opcodes() if block[0] != "equal"]
        missing = sum(b - a for _, a, b, _, _ in blocks)
        extra = sum(b - a for _, _, _, a, b in blocks)
        yield f"{missing} of {counted(len(expected), 'event')} did not come as expected (-), {extra} came instead (+):"
        pairs = [(a, b, c, d) for _, a, b, c, d in blocks]
    shown = 0  # how many of the expected have been shown or passed
    for first, last, begin, end in pairs:
        before = max(shown, first - _AROUND)
        if before > shown:
            yield f"  … {counted(before - shown, 'event')} alike"
        yield from (f"  {line}" for line in expected[before:first])
        yield from (f"- {line}" for line in expected[first:last])
        yield from (f"+ {line}" for line in received[begin:end])
        shown = last
        following = min((a for a, *_ in pairs if a >= last and (a, last) != (first, last)), default=len(expected))
        after = min(last + _AROUND, following, len(expected))
        yield from (f"  {line}" for line in expected[last:after])
        shown = after
    if shown < len(expected):
        yield f"  … {counted(len(expected) - shown, 'event')} alike"
