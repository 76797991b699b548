"""Who waits until so many deltas are out, while sync clients read them in other threads."""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.to_thread
import httpx2
import pytest

from pytest_streamrt import fake_provider_context, script

PATIENCE = 10  # real seconds that nothing here takes, unless it hangs


def ask() -> None:
    """Read a whole answer."""
    body = {"model": "m", "messages": [], "stream": True}
    httpx2.post("http://127.0.0.1:9/v1/chat/completions", json=body).raise_for_status()


def elsewhere(function) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


class Slow(int):
    """A number that takes so long to compare that something else is done meanwhile, the first time."""

    def __new__(cls, value, meanwhile):
        self = super().__new__(cls, value)
        self.meanwhile = meanwhile
        return self

    def __le__(self, other):
        answer = super().__le__(other)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return answer


@pytest.mark.anyio
async def test_they_may_come_out_just_as_it_begins_to_wait():
    with fake_provider_context(script("One."), script("Two.")) as provider, anyio.fail_after(PATIENCE):
        await anyio.to_thread.run_sync(ask)
        await provider.emitted(Slow(2, meanwhile=lambda: elsewhere(ask).join()))


@pytest.mark.anyio
async def test_whoever_waits_hears_of_it():
    with fake_provider_context(script("The ", "answer."), script("Another.")) as provider, anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.emitted, 0)
            tasks.start_soon(provider.emitted, 2)
            tasks.start_soon(provider.emitted, 3)
            tasks.start_soon(anyio.to_thread.run_sync, ask)
            tasks.start_soon(anyio.to_thread.run_sync, ask)


@pytest.mark.parametrize("closed", [False, True])
def test_a_client_does_not_wait_for_a_loop_that_has_ended_before(closed):
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[None]:
        waiting = asyncio.create_task(provider.emitted(2))
        await asyncio.sleep(0)
        return waiting

    with fake_provider_context(script("The ", "answer.")) as provider:
        waiting = loop.run_until_complete(begin())
        if closed:
            loop.close()
        reading = elsewhere(ask)
        reading.join(PATIENCE)

        assert not reading.is_alive()
        assert provider.calls[0].emitted == 2
    if closed:
        waiting.get_coro().close()
        waiting._log_destroy_pending = False  # or the loop complains of it
    else:
        loop.run_until_complete(waiting)
        loop.close()
