"""Chunks with their times, cut anew: a new chunk comes when the last byte in it came."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_streamrt import wire
from pytest_streamrt.wire import Cut

__all__ = ["cut_anew"]


def cut_anew(chunks: Sequence[tuple[int, bytes]], how: Cut) -> list[tuple[int, bytes]]:
    """Pairs of a time and bytes, cut as `pytest_streamrt.wire.rechunk` cuts; times are of any unit, and do not decrease."""
    arrivals: list[tuple[int, int]] = []  # (bytes up to here, when)
    total = 0
    for at, data in chunks:
        total += len(data)
        arrivals.append((total, at))
    result = []
    reached = 0
    arrival = iter(arrivals)
    upto, at = next(arrival, (0, 0))
    for data in wire.rechunk((data for _, data in chunks), how):
        reached += len(data)
        while reached > upto:
            upto, at = next(arrival)
        result.append((at, data))
    return result
