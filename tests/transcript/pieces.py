"""An async stream of given pieces, for the tests of `Transcript.record`, and how it is read."""

from __future__ import annotations

import anyio


class Pieces:
    """An async iterator that takes time; a class, since nobody closes it where it is left in the middle."""

    answer = 42

    def __init__(self, *pieces, every=0.1):
        self._pieces = iter(pieces)
        self._every = every
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.sleep(self._every)
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            return piece
        raise StopAsyncIteration

    async def aclose(self):
        self.closed = True


async def drained(stream):
    return [piece async for piece in stream]
