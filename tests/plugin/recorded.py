"""A user's project whose one test asks a model, and has a cassette."""

from __future__ import annotations

FUNCTION = """
    import os
    import openai

    async def answer(question):
        client = openai.AsyncOpenAI(base_url={url!r})
        said = []
        async with client:
            stream = await client.chat.completions.create(
                model="m", messages=[{{"role": "user", "content": question}}], stream=True
            )
            async for chunk in stream:
                said.append(chunk.choices[0].delta.content or "")
        return "".join(said)
"""


TEST = """
    import pytest
    from mine import answer

    @pytest.mark.asyncio
    @pytest.mark.virtual_time
    @pytest.mark.streamrt
    async def test_answer(transcript):
        assert await answer("Capital of France?") == "Paris."
        transcript.expect("openai.chat").text("Paris.").completed().nothing_more()
"""


CASSETTE = "cassettes/test_mine/test_answer.jsonl"
