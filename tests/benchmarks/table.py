"""A row of the benchmark table, the runs it is made of, and how it is printed. Every module here makes its rows with this.

A benchmark is a module of this package with a function ``rows() -> Iterable[Row]``; ``python -m tests.benchmarks`` finds it.
Nothing here is a test: a time is no reason to fail.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

RUNS = 5


@dataclass(frozen=True)
class Row:
    """One thing measured, by itself or against something that does the same.

    Attributes:
        what: what is measured, such as "replay of 10,000 chunks, instant".
        against: what it is held against, such as "a MockTransport with checkpoints"; "" where it stands alone.
        ours: what each run took, in `unit`.
        theirs: likewise of what it is held against, run for run. Empty where there is none; `note` then says why.
        at_most: the budget, where ours may take that many times as much as theirs.
        at_least: the budget, where ours is to be that many times as fast.
        limit: the budget, where it is no ratio: that many `unit`.
        unit: "ms" or "MB", say.
        note: what a reader has to know besides.
    """

    what: str
    against: str = ""
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    at_most: float | None = None
    at_least: float | None = None
    limit: float | None = None
    unit: str = "ms"
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Ours to theirs, run for run; how many times as fast, where the budget is such a one."""
        pairs = zip(self.ours, self.theirs, strict=True) if self.theirs else ()
        return [theirs / ours if self.at_least is not None else ours / theirs for ours, theirs in pairs]

    @property
    def holds(self) -> bool | None:
        """Whether the budget holds in the median; None without a budget, or without what it is held against."""
        if self.limit is not None and self.ours:
            return statistics.median(self.ours) <= self.limit
        if not self.ratios:
            return None
        median = statistics.median(self.ratios)
        if self.at_most is not None:
            return median <= self.at_most
        return median >= self.at_least if self.at_least is not None else None


def paired(ours: Callable[[], float], theirs: Callable[[], float], runs: int = RUNS) -> tuple[list[float], list[float]]:
    """Measure both, in turns, so that whatever else the machine does falls on both; after a run each that does not count.

    Each is the first of a pair as often as the second, and neither pays for the garbage that the other has left.
    """
    both = (ours, theirs)
    taken: tuple[list[float], list[float]] = [], []
    for run in range(-1, runs):
        for which in (0, 1) if run % 2 else (1, 0):
            gc.collect()
            took = both[which]()
            if run >= 0:
                taken[which].append(took)
    return taken


def table(rows: Iterable[Row]) -> list[str]:
    """The rows as lines of a Markdown table: medians, and the spread of all runs in brackets."""
    lines = [
        "| what | ours | against | theirs | ratio | budget | |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for row in rows:
        holds = {True: "holds", False: "**missed**", None: ""}[row.holds]
        said = "; ".join(filter(None, (holds, row.note)))
        cells = (
            row.what,
            _figure(row.ours, row.unit),
            row.against,
            _figure(row.theirs, row.unit),
            _figure(row.ratios, "x"),
            _budget(row),
            said,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _figure(runs: Sequence[float], unit: str) -> str:
    if not runs:
        return ""
    middle = f"{_short(statistics.median(runs))} {unit}"
    return middle if len(runs) == 1 else f"{middle} ({_short(min(runs))} to {_short(max(runs))})"


def _short(value: float) -> str:
    """Three digits that mean something."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _budget(row: Row) -> str:
    if row.at_most is not None:
        return f"≤ {row.at_most:g} x"
    if row.at_least is not None:
        return f"≥ {row.at_least:g} x faster"
    return "" if row.limit is None else f"≤ {row.limit:g} {row.unit}"
