"""Transcripts to make pages of: small rooms in which something worth seeing happens."""

from __future__ import annotations

import anyio

from pytest_streamrt import Agent, Environment, FakeModel, Observer, Signal, Transcript, script, tool_call, virtual_time
from pytest_streamrt.events import InferenceCompleted, InferenceStarted, TextDelta, stamp
from pytest_streamrt.report.html_data import page_data

EVIL = "<script>window.ran = true</script><img src=x onerror='window.ran=true'>]]>--></script>{{data}}"


class Reviewer(Observer):
    """Stops whoever says "drop"."""

    async def on_external_event(self, source, event):
        if event.type == "text.delta" and "drop" in event.text:
            await self.abort(event.inference, reason=f"risky {EVIL}")


def weather(city: str) -> str:
    """What the weather is."""
    return f"18 degrees in {city} {EVIL}"


async def _room(n):
    transcript = Transcript()
    planner = Agent("planner", FakeModel(script("Step 1. ", f"{EVIL} ", "drop it", " and go", every=0.05)))
    look = script("Let me look. ", tool_call("weather", {"city": "慕尼黑 🦊"}), every=0.05)
    bot = Agent(f"bot {EVIL}", FakeModel(look, script("It is warm.", every=0.05)), tools=(weather,))
    talkers = [Agent(f"译员 {k}", FakeModel(script(*(f"词{i} " for i in range(n)), every=0.02))) for k in range(7)]
    async with Environment(planner, bot, Reviewer("reviewer"), *talkers, transcript=transcript) as room:
        transcript.mark("begun")
        inferences = [agent.infer("Go on.") for agent in (planner, bot, *talkers)]
        room.emit(Signal("policy", {"rule": 7, EVIL: EVIL}))
        for inference in inferences:
            await inference.outcome()
    return transcript


def room(n=10):
    """Ten sources on virtual time: one is stopped, one uses a tool, seven talk, n deltas each."""
    with virtual_time():
        return anyio.run(_room, n)


def long_answer(n, *, sources=1):
    """So many events, made by hand, from answers that run beside each other."""
    origin = object()
    events = [InferenceStarted(None, source=f"bot {s}", inference=f"bot {s}/1") for s in range(sources)]
    events += [
        TextDelta(f"word {k} ", source=f"bot {k % sources}", inference=f"bot {k % sources}/1", time=k / 100)
        for k in range(n - 2 * sources)
    ]
    events += [
        InferenceCompleted("stop", source=f"bot {s}", inference=f"bot {s}/1", time=n / 100) for s in range(sources)
    ]
    within = dict.fromkeys(range(sources), 0)
    logged = []
    for seq, event in enumerate(events, start=1):
        which = int(event.source.split()[1])
        within[which] += 1
        logged.append(
            (
                origin,
                stamp(
                    event,
                    seq=seq,
                    time=event.time,
                    source=event.source,
                    inference=event.inference,
                    inference_seq=within[which],
                ),
            )
        )
    return logged


def data(transcript, title="tests/test_it.py::test_it", **options):
    """What the page of a transcript needs."""
    return page_data(transcript.logged, title=title, virtual=transcript.virtual, leaks=transcript.leaks, **options)
