"""Without virtual time nobody can say when: questions of time are refused, and all others answered."""

from __future__ import annotations

import pytest

from pytest_streamrt import TranscriptError, script
from tests.transcript.scenes import say

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "step",
    [
        lambda chain: chain.text("a", at=0),
        lambda chain: chain.text("a", after=0),
        lambda chain: chain.text("a", within=10),
        lambda chain: chain.silence(0),
    ],
)
async def test_questions_of_time_are_refused(step):
    transcript = await say(script("a"))

    with pytest.raises(TranscriptError, match="the test ran on real time"):
        step(transcript.expect("bot"))


async def test_all_others_are_answered():
    transcript = await say(script("a"))

    transcript.expect("bot").text("a").completed().nothing_more()
    transcript.assert_lawful()
    assert not transcript.virtual
    assert transcript.elapsed() > 0
