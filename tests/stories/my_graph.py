"""A little framework that streams from Chat Completions, of which the stories test how it is cancelled."""

from __future__ import annotations

from dataclasses import dataclass

from openai import AsyncOpenAI


@dataclass
class State:
    """What the graph keeps, also when it is cancelled."""

    partial: str = ""


_state = State()


def my_state() -> State:
    """Of the last run."""
    return _state


async def run_my_graph() -> None:
    """Ask the model, and keep the text as it comes."""
    _state.partial = ""
    async with AsyncOpenAI(api_key="none is needed", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Plan it."}], stream=True
        )
        async with stream:
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    _state.partial += chunk.choices[0].delta.content
