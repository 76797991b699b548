"""Cutting a stream's bytes into chunks. Whatever decides where one read from a socket ends lives here."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, Literal, get_args

from pytest_streamrt.numbers import is_whole
from pytest_streamrt.wire.sse import SSEDecoder

__all__ = ["Cut", "rechunk"]

CutName = Literal["recorded", "whole", "event", "byte"]
Cut = CutName | int
"""How to cut: a name, or the seed of random cuts."""

# Small sizes cut inside characters, escapes and line ends; the large ones put several events into one chunk.
_RANDOM_SIZES: Final = (1, 1, 2, 3, 5, 8, 13, 34, 89, 233, 610, 1597)


def rechunk(data: bytes | Iterable[bytes], how: Cut) -> list[bytes]:
    """Cut a stream anew. The chunks, joined, are always the bytes that went in; no chunk is empty.

    Args:
        data: the stream, whole or in the chunks it came in.
        how: "recorded" (the chunks as given), "whole" (one chunk), "event" (a chunk for each SSE frame), "byte" (a
            chunk for each byte), or an integer: random cuts by that seed, also inside UTF-8 characters and between
            CR and LF. The same seed cuts the same bytes alike.

    Raises:
        TypeError: these are no bytes.
        ValueError: `how` is none of these.
    """
    __tracebackhide__ = True
    if not is_whole(how) and how not in get_args(CutName):
        msg = f'rechunk: cut "recorded", "whole", "event", "byte" or by an integer seed, not {how!r}'
        raise ValueError(msg)
    chunks = [bytes(data)] if isinstance(data, bytes | bytearray | memoryview) else list(data)
    if not all(isinstance(chunk, bytes) for chunk in chunks):
        msg = f"rechunk: a stream is bytes, or chunks of bytes, not {data!r:.80}"
        raise TypeError(msg)
    if how == "recorded":
        return [chunk for chunk in chunks if chunk]
    whole = b"".join(chunks)
    if not whole:
        return []
    if how == "whole":
        return [whole]
    if how == "event":
        decoder = SSEDecoder()
        return [frame.raw for frame in (*decoder.feed(whole), *decoder.close())]
    if how == "byte":
        return [whole[i : i + 1] for i in range(len(whole))]
    rng = random.Random(how)  # noqa: S311 - a repeatable cut, not a secret
    cuts: list[bytes] = []
    at = 0
    while at < len(whole):
        size = rng.choice(_RANDOM_SIZES)
        cuts.append(whole[at : at + size])
        at += size
    return cuts
