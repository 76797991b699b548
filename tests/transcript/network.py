"""A provider in process for the tests of `record`: the real SDKs' clients, over a transport that answers with scripts."""

from __future__ import annotations

import httpx2

from pytest_streamrt.providers import encode

STREAM = {"content-type": "text/event-stream"}


class Body(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """An answer's chunks, and whether it was closed. A class and no generator: trio warns of unfinished ones."""

    def __init__(self, chunks, error=None):
        self._chunks = iter(chunks)
        self._error = error
        self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        chunk = next(self._chunks, None)
        if chunk is not None:
            return chunk
        if self._error is not None:
            raise self._error
        raise StopIteration

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self):
        self.closed = True

    async def aclose(self):
        self.closed = True


class Provider:
    """Answers each request with the next script."""

    def __init__(self, dialect, *scripts, error=None):
        self.bodies = []
        self._answers = [encode(each, dialect) if not isinstance(each, list) else each for each in scripts]
        self._error = error

    def answer(self, request):
        body = Body(self._answers.pop(0), self._error)
        self.bodies.append(body)
        return httpx2.Response(200, headers=STREAM, stream=body, request=request)

    @property
    def transport(self):
        return httpx2.MockTransport(self.answer)

    def sync_client(self):
        return httpx2.Client(transport=self.transport)

    def client(self):
        return httpx2.AsyncClient(transport=self.transport)
