"""A transcript as a drawing: a line for each source on one time axis, in the signs of RxJS's marble diagrams.

The signs: ``^`` an inference starts, a letter for each event that says something (the legend tells what), ``-`` time
passes, ``~`` deltas keep coming, ``( )`` things of one instant, ``|`` it completes, ``!`` it is aborted, ``#`` it fails.
"""

from __future__ import annotations

import string
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pytest_streamrt.clock import NS
from pytest_streamrt.events.order import DELTAS, piece_of
from pytest_streamrt.events.types import Event, InferenceStarted
from pytest_streamrt.numbers import require_seconds
from pytest_streamrt.transcript.explain import show_event

__all__ = ["draw_marbles"]

_WIDTH: Final = 96  # columns of a line, before the drawing is folded into several blocks
_COMFORTABLE: Final = 72  # columns that a drawing fills by default, where that does not stretch it
_LONGEST_WAIT: Final = 32  # columns of the longest wait by default
_LEAST_WAITING: Final = 24  # columns of waiting by default, however many signs there are
_MANY: Final = 24  # letters from which on runs of deltas are drawn as one
_RUN: Final = 4  # deltas in a row that are a run
_LEGEND_HEAD: Final = 32  # characters of a run's text in the legend, from its beginning
_LEGEND_TAIL: Final = 24  # and from its end: an abort is about what came last
_ENDS: Final = {"inference.completed": "|", "inference.aborted": "!", "inference.failed": "#"}
_LETTERED: Final = DELTAS | {"citation", "signal", "tool.result", "tool_call.started", "mark"}
_WITHOUT_WIDTH: Final = ("Mn", "Me", "Cf")
_JOINER: Final = "\u200d"
_LETTERS: Final = string.ascii_lowercase + string.ascii_uppercase


@dataclass
class _Marble:
    """One sign in the drawing: an event, or a run of deltas, which has a first and a last instant."""

    source: str
    first_ns: int
    last_ns: int
    sign: str
    events: list[Event]


def draw_marbles(events: Sequence[Event], frame: float | None = None) -> str:
    """Draw the events: what each source did, one under the other on a shared time axis, then a legend.

    However coarse the axis, no sign is left out; the ruler and the legend give exact times. Where there are more than 24
    letters, four deltas or more in a row become one run: its letter, then ``~`` for as long as they keep coming.

    Args:
        events: the events of a transcript, in order.
        frame: seconds for each column of waiting; by default what makes the drawing about 72 columns wide.

    Raises:
        TypeError: `frame` is no number.
        ValueError: it is no time above 0.
    """
    __tracebackhide__ = True
    if frame is not None:
        require_seconds("marbles(frame=…): the time of a column", frame, zero=False)
    marbles = _marbles(events)
    if not marbles:
        return "(nothing was said)" if events else "(nothing happened)"
    instants = sorted({marble.first_ns for marble in marbles} | {marble.last_ns for marble in marbles})
    sources = list(dict.fromkeys(marble.source for marble in marbles))
    cells = _cells(marbles)
    widths = {ns: max(1, *(len(cells[source, ns]) for source in sources)) for ns in instants}
    gaps = _gaps(instants, sum(widths.values()), frame)
    lines = {source: _line(source, marbles, instants, cells, widths, gaps) for source in sources}
    margin = max(_columns(source) for source in sources) + 2
    drawing = _folded({"t": _ruler(instants, widths, gaps), **lines}, margin)
    return "\n".join([*drawing, "", *_legend(marbles, margin)])


def _ns(event: Event) -> int:
    return round(event.time * NS)


def _marbles(events: Sequence[Event]) -> list[_Marble]:
    """What is to be drawn, in order. Letters are given out here; after z and Z they begin again."""
    shown = [e for e in events if e.type in _LETTERED or e.type in _ENDS or isinstance(e, InferenceStarted)]
    groups = _runs(shown) if sum(e.type in _LETTERED for e in shown) > _MANY else [[event] for event in shown]
    marbles = []
    letters = 0
    for group in groups:
        event = group[0]
        sign = "^" if isinstance(event, InferenceStarted) else _ENDS.get(event.type)
        if sign is None:
            sign = _LETTERS[letters % len(_LETTERS)]
            letters += 1
        marbles.append(_Marble(event.source, _ns(event), _ns(group[-1]), sign, group))
    return marbles


def _runs(shown: Sequence[Event]) -> list[list[Event]]:
    """The events, with deltas of one kind and inference put together where nothing comes between them in their source."""
    groups: list[list[Event]] = []
    open_runs: dict[str, list[Event]] = {}  # by source
    for event in shown:
        run = open_runs.get(event.source)
        same = run is not None and run[-1].type == event.type and run[-1].inference == event.inference
        if event.type in DELTAS and run is not None and same:
            run.append(event)
            continue
        group = [event]
        groups.append(group)
        if event.type in DELTAS:
            open_runs[event.source] = group
        else:
            open_runs.pop(event.source, None)
    short = [group if len(group) >= _RUN else None for group in groups]
    whole = [[group] if kept else [[event] for event in group] for group, kept in zip(groups, short, strict=True)]
    return sorted((group for parts in whole for group in parts), key=lambda group: group[0].time)


def _cells(marbles: Sequence[_Marble]) -> dict[tuple[str, int], str]:
    """The signs of each source at each instant, in brackets where there are several."""
    signs: dict[tuple[str, int], str] = defaultdict(str)
    for marble in marbles:
        signs[marble.source, marble.first_ns] += marble.sign
        if marble.last_ns > marble.first_ns:
            signs[marble.source, marble.last_ns] += "~"
    for key, cell in signs.items():
        end = cell.replace("~", "") if len(cell) > 1 else cell  # an end of a run goes without saying beside other signs
        signs[key] = f"({end})" if len(end) > 1 else end
    return signs


def _gaps(instants: Sequence[int], signs: int, frame: float | None) -> list[int]:
    """Columns of waiting before each instant, where signs take up so many."""
    waits = [later - earlier for earlier, later in pairwise(instants)]
    if frame is not None:
        frame_ns = max(round(frame * NS), 1)
    else:
        room = max(_COMFORTABLE - signs, _LEAST_WAITING)
        frame_ns = max(sum(waits) // room, max(waits, default=0) // _LONGEST_WAIT, 1)
    return [0, *(max(round(wait / frame_ns) - 1, 0) for wait in waits)]


def _line(
    source: str,
    marbles: Sequence[_Marble],
    instants: Sequence[int],
    cells: dict[tuple[str, int], str],
    widths: dict[int, int],
    gaps: Sequence[int],
) -> str:
    changes: dict[int, int] = defaultdict(int)  # how many inferences more, or fewer, run from that instant on
    for marble in marbles:
        if marble.source == source:
            changes[marble.first_ns] += (marble.sign == "^") - (marble.sign in _ENDS.values())
    runs = [(m.first_ns, m.last_ns) for m in marbles if m.source == source and m.last_ns > m.first_ns]
    line = ""
    running = 0
    for ns, gap in zip(instants, gaps, strict=True):
        filler = "~" if any(first < ns <= last for first, last in runs) else "-" if running else " "
        line += filler * gap
        running += changes[ns]
        cell = cells[source, ns]
        streaming = any(first <= ns < last for first, last in runs)
        line += (cell or filler) + ("~" if streaming else "-" if running else " ") * (widths[ns] - len(cell or filler))
    return line.rstrip()


def _ruler(instants: Sequence[int], widths: dict[int, int], gaps: Sequence[int]) -> str:
    """The time of as many instants as there is room for, each above its column."""
    ruler = ""
    column = 0
    for ns, gap in zip(instants, gaps, strict=True):
        column += gap
        if column >= len(ruler) + bool(ruler):
            ruler = ruler.ljust(column) + f"{ns / NS:.9g}"
        column += widths[ns]
    return ruler


def _folded(lines: dict[str, str], margin: int) -> list[str]:
    """The lines, broken into blocks where they are too long; a block leaves out the sources that are silent in it."""
    length = max(len(line) for name, line in lines.items() if name != "t")
    room = max(_WIDTH - margin, 20)
    folded: list[str] = []
    for start in range(0, length, room):
        if folded:
            folded.append("")
        for name, line in lines.items():
            # The last time may stand out beyond the last sign.
            part = line[start:] if name == "t" and start + room >= length else line[start : start + room]
            if name == "t" or part.strip():
                folded.append((_pad(name, margin) + part).rstrip())
    return folded


def _legend(marbles: Sequence[_Marble], margin: int) -> list[str]:
    lines = []
    for marble in marbles:
        if marble.sign == "^":
            continue
        when = f"{marble.first_ns / NS:>12.9f}"
        what = show_event(marble.events[0])
        if len(marble.events) > 1:
            when += f" to {marble.last_ns / NS:.9f}"
            said = "".join(map(piece_of, marble.events))
            if len(said) > _LEGEND_HEAD + _LEGEND_TAIL:
                said = f"{said[:_LEGEND_HEAD]}…{said[-_LEGEND_TAIL:]}"
            what = f"{len(marble.events)} x {marble.events[0].type} {said!r}"
        lines.append(f"{_pad(marble.source, margin)}{marble.sign}  {when}  {what}")
    return lines


def _pad(name: str, margin: int) -> str:
    return name + " " * (margin - _columns(name))


def _columns(text: str) -> int:
    """How many terminal columns a text takes: wide characters take two, combining ones and what is joined to them none."""
    columns = 0
    joined = False
    for char in text:
        if not joined and unicodedata.category(char) not in _WITHOUT_WIDTH:
            columns += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        joined = char == _JOINER
    return columns
