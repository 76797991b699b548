"""Fan-out: events a second to k listeners, against anyio memory object streams, as a ratio measured in one run.

Run it with ``python -m tests.benchmarks fan_out``. It is no test: a time is no reason to fail.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable

import anyio

from pytest_streamrt import Environment, Observer, Signal, Transcript
from tests.benchmarks.table import Row, paired

BUDGET = {1: 3, 10: 10, 100: 30}
TICK = Signal("tick")  # to make one takes as long as to tell one listener
BURST = 64  # as many events as an agent's inbox holds, and as the streams buffer


class Listener(Observer):
    """Has a handler of its own, which does nothing."""

    async def on_external_event(self, source, event):
        pass


async def ours(k: int, events: int, listener: type[Observer]) -> float:
    """Events a second in a room with a transcript."""
    async with Environment(*(listener(f"listener {i}") for i in range(k)), transcript=Transcript()) as room:
        await room.settled()
        gc.collect()
        began = time.process_time()
        for _ in range(events // BURST):
            for _ in range(BURST):
                room.emit(TICK)
            await room.settled()
        return events / (time.process_time() - began)


async def theirs(k: int, events: int) -> float:
    """Events a second to tasks that each read a memory object stream, without numbers, times, log or laws."""

    async def listen(receive):
        async with receive:
            async for event in receive:
                await handle(event)

    async def handle(event):
        pass

    streams = [anyio.create_memory_object_stream(BURST) for _ in range(k)]
    gc.collect()  # what the run before has left is not this one's to clear away
    began = time.process_time()
    async with anyio.create_task_group() as tasks:
        for _, receive in streams:
            tasks.start_soon(listen, receive)
        for _ in range(events):
            for send, _ in streams:
                await send.send(TICK)
        for send, _ in streams:
            send.close()
    return events / (time.process_time() - began)


def rows() -> Iterable[Row]:
    """For each k: observers that have a handler, and, where nobody has one, the same."""
    for k, budget in BUDGET.items():
        events = {1: 12_800, 10: 6_400, 100: 1_280}[k]

        def streams(k: int = k, events: int = events) -> float:
            return 1e6 / anyio.run(theirs, k, events)

        for listener, what in ((Listener, ""), (Observer, ", no handler")):

            def room(k: int = k, events: int = events, listener: type[Observer] = listener) -> float:
                return 1e6 / anyio.run(ours, k, events, listener)

            yield Row(
                f"an event to {k} participant{'s' if k > 1 else ''}{what}",
                "anyio memory object streams",
                *paired(room, streams),
                at_least=budget,
                unit="us",
            )
