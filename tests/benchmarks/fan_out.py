"""Fan-out: events a second to k listeners, against anyio memory object streams, as a ratio measured in one run.

Run it with ``python -m tests.benchmarks.fan_out``. It is no test: a time is no reason to fail.
"""
# ruff: noqa: T201 - it prints

from __future__ import annotations

import time

import anyio

from pytest_streamrt import Environment, Observer, Signal, Transcript

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
        began = time.perf_counter()
        for _ in range(events // BURST):
            for _ in range(BURST):
                room.emit(TICK)
            await room.settled()
        return events / (time.perf_counter() - began)


async def theirs(k: int, events: int) -> float:
    """Events a second to tasks that each read a memory object stream, without numbers, times, log or laws."""

    async def listen(receive):
        async with receive:
            async for event in receive:
                await handle(event)

    async def handle(event):
        pass

    streams = [anyio.create_memory_object_stream(BURST) for _ in range(k)]
    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _, receive in streams:
            tasks.start_soon(listen, receive)
        for _ in range(events):
            for send, _ in streams:
                await send.send(TICK)
        for send, _ in streams:
            send.close()
    return events / (time.perf_counter() - began)


def measure(k: int) -> tuple[float, float, float]:
    """The best of three runs each, one after the other: anyio, ours, and ours where nobody has a handler."""
    events = {1: 12_800, 10: 6_400, 100: 1_280}[k]
    runs = [
        (anyio.run(theirs, k, events), anyio.run(ours, k, events, Listener), anyio.run(ours, k, events, Observer))
        for _ in range(3)
    ]
    return max(r[0] for r in runs), max(r[1] for r in runs), max(r[2] for r in runs)


def main() -> None:
    """Print a line for each k."""
    print(f"{'k':>4}{'anyio':>12}{'ours':>12}{'ratio':>8}{'budget':>8}{'no handler':>14}{'ratio':>8}")
    for k, budget in BUDGET.items():
        anyio_rate, rate, idle = measure(k)
        line = f"{k:>4}{anyio_rate:>12,.0f}{rate:>12,.0f}{rate / anyio_rate:>8.1f}{budget:>8}"
        print(f"{line}{idle:>14,.0f}{idle / anyio_rate:>8.1f}")


if __name__ == "__main__":
    main()
