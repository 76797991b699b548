"""What differs between two recordings: what was said and happened, when, and how it came over the wire."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_streamrt.cassette.format import Interaction
from pytest_streamrt.cassette.matching import Asked, Matcher
from pytest_streamrt.cli.reading import Recorded
from pytest_streamrt.events import Event
from pytest_streamrt.events.order import DELTAS, TERMINALS, piece_of
from pytest_streamrt.transcript.explain import show_event

__all__ = ["Difference", "Part", "differences"]

Part = Literal["request", "wire", "events", "timing", "shape", "file"]
"""What kind of thing differs."""

_AROUND: Final = 24  # characters of a text shown on each side of where it begins to differ
_UNTOLD: Final = frozenset({"exchange.opened", "exchange.closed"})  # the wire's to tell


@dataclass(frozen=True)
class Difference:
    """One thing that differs. `old` or `new` is None where there is nothing on that side."""

    part: Part
    where: str
    old: str | None
    new: str | None


def differences(old: Recorded, new: Recorded, *, tolerance: float = 0.0) -> Iterator[Difference]:
    """Everything that differs, in the order: requests and wire, events, timing.

    Args:
        old: the one recording.
        new: the other.
        tolerance: by which part of the old a time may differ: 0.1 is a tenth.
    """
    if (old.interactions is None) != (new.interactions is None):
        kinds = ["a transcript" if each.interactions is None else "a cassette" for each in (old, new)]
        yield Difference("file", "kind", *kinds)
    elif old.interactions is not None and new.interactions is not None:
        yield from _wire(old.interactions, new.interactions)
    yield from _events(old.events, new.events)
    yield from _timing(old.events, new.events, tolerance)


def _wire(old: Sequence[Interaction], new: Sequence[Interaction]) -> Iterator[Difference]:
    if len(old) != len(new):
        yield Difference("request", "number of requests", str(len(old)), str(len(new)))
    matcher = Matcher()
    for number, (before, after) in enumerate(zip(old, new, strict=False), start=1):
        where = f"exchange {number}"
        for line in matcher.differences(before, Asked(after.method, after.url, after.headers, after.body)):
            place, _, rest = line.partition(": recorded ")
            was, _, now = rest.partition(", now ")
            absent = "(absent)"  # in the matcher's words
            yield Difference(
                "request", f"{where}, {place}", None if was == absent else was, None if now == absent else now
            )
        facts: list[tuple[str, object, object]] = [
            ("status", before.status, after.status),
            ("content-type", _header(before, "content-type"), _header(after, "content-type")),
            ("end", before.how, after.how),
            ("chunks", len(before.chunks), len(after.chunks)),
            ("bytes", sum(len(c.data) for c in before.chunks), sum(len(c.data) for c in after.chunks)),
        ]
        for what, fact, fact_now in facts:
            if fact != fact_now:
                yield Difference("wire", f"{where}, {what}", str(fact), str(fact_now))
        cuts = [[len(chunk.data) for chunk in each.chunks] for each in (before, after)]
        if cuts[0] != cuts[1] and len(cuts[0]) == len(cuts[1]) and sum(cuts[0]) == sum(cuts[1]):
            at = next(n for n, (a, b) in enumerate(zip(*cuts, strict=True)) if a != b)
            yield Difference("wire", f"{where}, size of chunk {at + 1}", str(cuts[0][at]), str(cuts[1][at]))


def _header(interaction: Interaction, wanted: str) -> str | None:
    return next((value for name, value in interaction.response_headers if name.lower() == wanted), None)


def _events(old: Sequence[Event], new: Sequence[Event]) -> Iterator[Difference]:
    for source in dict.fromkeys(event.source for event in (*old, *new)):
        told = [_told([event for event in each if event.source == source]) for each in (old, new)]
        keys = [[f"{what} {said}" for what, said in each] for each in told]
        matcher = difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False)
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind == "equal":
                continue
            before, after = told[0][a:b], told[1][c:d]
            for n in range(max(len(before), len(after))):
                was = before[n] if n < len(before) else None
                now = after[n] if n < len(after) else None
                yield _event_difference(source, a + n + 1, was, now)


def _event_difference(source: str, number: int, was: tuple[str, str] | None, now: tuple[str, str] | None) -> Difference:
    where = f"{source}, step {number}"
    if was is not None and now is not None and was[0] == now[0] and was[0] in DELTAS:
        at = next(
            (n for n, (a, b) in enumerate(zip(was[1], now[1], strict=False)) if a != b), min(len(was[1]), len(now[1]))
        )
        return Difference(
            "events", f"{where}, {was[0]} from character {at}", _excerpt(was[1], at), _excerpt(now[1], at)
        )
    return Difference("events", where, _line(was), _line(now))


def _line(step: tuple[str, str] | None) -> str | None:
    if step is None:
        return None
    what, said = step
    return f"{what} {_excerpt(said, 0)}" if what in DELTAS else said


def _excerpt(text: str, at: int) -> str:
    first, last = max(at - _AROUND, 0), at + _AROUND
    return f"{'…' if first else ''}{text[first:last]!r}{'…' if last < len(text) else ''}"


def _told(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What a source did, step by step; deltas of one kind that follow each other are one text, however they were cut."""
    steps: list[tuple[str, str]] = []
    last: tuple[str, str | None] | None = None
    for event in events:
        if event.type in _UNTOLD:
            continue
        run = (event.type, event.inference)
        if event.type in DELTAS:
            if run == last:
                steps[-1] = (event.type, steps[-1][1] + piece_of(event))
            else:
                steps.append((event.type, piece_of(event)))
            last = run
        else:
            steps.append((event.type, show_event(event)))
            last = None
    return steps


def _timing(old: Sequence[Event], new: Sequence[Event], tolerance: float) -> Iterator[Difference]:
    times = [_times(each) for each in (old, new)]
    for where, was in times[0].items():
        now = times[1].get(where)
        if now is not None and abs(now - was) > tolerance * abs(was):
            yield Difference("timing", where, f"{was:.6f} s", f"{now:.6f} s")


def _times(events: Sequence[Event]) -> dict[str, float]:
    """Of each inference: how long to its first delta, its longest gap, and how long to its end, in seconds."""
    began: dict[tuple[str, str], tuple[str, float]] = {}
    last: dict[str, float] = {}
    times: dict[str, float] = {}
    counts: dict[str, int] = {}
    for event in events:
        if event.inference is None:
            continue
        key = (event.source, event.inference)
        if event.type == "inference.started":
            counts[event.source] = counts.get(event.source, 0) + 1
            name = event.source if counts[event.source] == 1 else f"{event.source}, inference {counts[event.source]}"
            began[key] = (name, event.time)
        elif key in began:
            name, start = began[key]
            if event.type in DELTAS:
                times.setdefault(f"{name}, first delta", event.time - start)
                if name in last:
                    longest = f"{name}, longest gap"
                    times[longest] = max(times.get(longest, 0.0), event.time - last[name])
                last[name] = event.time
            elif event.type in TERMINALS:
                times[f"{name}, end"] = event.time - start
    return times
