"""What faults do to bytes: an event damaged, a stream whose numbers or order are wrong, a body packed. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Final

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.script.faults import Damage, Law

__all__ = ["broken_law", "damaged", "packed"]

Chunks = list[tuple[int, bytes]]
"""Pairs of a time and a frame."""

_SEQUENCE: Final = re.compile(rb'"sequence_number":(\d+)')
_GZIP: Final = 31  # zlib's window bits for the gzip format


def damaged(data: bytes, damage: Damage) -> bytes:
    """An event, or a JSON body, that cannot be read any more, as long as it was or shorter."""
    start = data.find(b"{")
    end = data.rfind(b"}")
    if start < 0:  # such as [DONE]
        start, end = 0, len(data.rstrip())
    middle = (start + end) // 2
    if damage == "utf8":
        return data[:middle] + b"\xff" + data[middle + 1 :]
    return data[:middle] + data[end + 1 :]


def packed(chunks: Iterable[bytes]) -> list[bytes]:
    """A body in gzip, its chunks flushed so that each can be read as it comes; the last one closes it."""
    packer = zlib.compressobj(wbits=_GZIP)
    result = [packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH) for data in chunks]
    if result:
        result[-1] += packer.flush()
    return result


def broken_law(chunks: Chunks, law: Law) -> Chunks:
    """The frames of a stream whose source breaks a law.

    Raises:
        ScriptError: nothing in the stream could break it.
    """
    change = _LAWS.get(law)
    return chunks if change is None else change(chunks)


def _numbers(chunks: Chunks, law: Law, shift: int) -> Chunks:
    """The sequence numbers, from the middle of the stream on, moved."""
    numbered = [i for i, (_, frame) in enumerate(chunks) if _SEQUENCE.search(frame)]
    if len(numbered) < 2:
        msg = f"misbehave({law!r}): this API numbers nothing; openai.responses does"
        raise ScriptError(msg)
    since = numbered[len(numbered) // 2]

    def moved(found: re.Match[bytes]) -> bytes:
        return b'"sequence_number":%d' % (int(found[1]) + shift)

    return [(at, _SEQUENCE.sub(moved, frame) if i >= since else frame) for i, (at, frame) in enumerate(chunks)]


def _reordered(chunks: Chunks) -> Chunks:
    """The last two neighbours that are deltas of one kind, exchanged."""
    kinds = [_kind(frame) for _, frame in chunks]
    pairs = [i for i, (one, other) in enumerate(pairwise(kinds)) if one is not None and one == other]
    if not pairs:
        msg = "misbehave('reordered'): no two deltas come one after the other"
        raise ScriptError(msg)
    i = pairs[-1]
    result = list(chunks)
    result[i], result[i + 1] = (chunks[i][0], chunks[i + 1][1]), (chunks[i + 1][0], chunks[i][1])
    return result


def _kind(frame: bytes) -> bytes | None:
    """What kind of delta a frame has, in any dialect; None where it has none."""
    found = re.search(rb'"type":"(response\.[a-z_.]*delta|content_block_delta)"', frame)
    if found:
        return found[1]
    found = re.search(rb'"delta":\{"(\w+)":[^n]', frame) or re.search(rb'"parts":\[\{"(\w+)"', frame)
    return found[1] if found and b'"role":"assistant"' not in frame else None


def _split(chunks: Chunks) -> Chunks:
    """Frames cut inside a character, wherever they have one of several bytes."""
    result: Chunks = []
    for at, frame in chunks:
        inside = next((i for i, byte in enumerate(frame) if byte & 0xC0 == 0x80), None)
        result += [(at, frame)] if inside is None else [(at, frame[:inside]), (at, frame[inside:])]
    return result


_LAWS: Final[Mapping[Law, Callable[[Chunks], Chunks]]] = {
    "duplicate sequence": lambda chunks: _numbers(chunks, "duplicate sequence", -1),
    "missing sequence": lambda chunks: _numbers(chunks, "missing sequence", 1),
    "reordered": _reordered,
    "split utf8": _split,
}
