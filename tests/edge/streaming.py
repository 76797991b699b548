"""Apps that stream given pieces, for the tests of `assert_streams`, and what that says of them."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from pytest_streamrt import assert_streams
from tests.edge.apps import GOOD, client_of

THREE = ("data: Hel\n\n", "data: lo\n\n", "data: [DONE]\n\n")


def app_of(pieces, *, headers=GOOD, media_type="text/event-stream", status=200, every=0.1):
    """An app that sends these pieces; a number among them is a pause, in seconds."""

    async def chat(request):
        async def stream():
            for piece in pieces:
                if isinstance(piece, int | float):
                    await anyio.sleep(piece)
                    continue
                await anyio.sleep(every)
                yield piece

        return StreamingResponse(stream(), status, headers, media_type)

    return Starlette(routes=[Route("/chat", chat)])


async def failure(app, *, library=httpx2, patience=5, **options):
    """What `assert_streams` says of that app."""
    async with client_of(library, app) as client, client.stream("GET", "/chat", timeout=patience) as response:
        with pytest.raises(AssertionError) as caught:
            await assert_streams(response, **options)
    return str(caught.value)
