"""Marble diagrams: signs, one time axis for all, runs, folding, and wide names."""

from __future__ import annotations

import pytest

from pytest_streamrt import Agent, Environment, FakeModel, Transcript, disconnect, pause, script
from tests.transcript.scenes import exchange, say

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def drawing(transcript, **options):
    """The lines of the drawing, without the legend."""
    return transcript.marbles(**options).split("\n\n")[0].splitlines()


async def test_one_line_for_each_source_on_one_axis():
    transcript = Transcript()
    first = Agent("first", FakeModel(script("a", "b", every=1)))
    second = Agent("second", FakeModel(script("c", every=1.5)))
    async with Environment(first, second, transcript=transcript):
        first.infer()
        second.infer()

    assert drawing(transcript, frame=0.25) == [
        "t       0   1 1.5  2",
        "first   ^---a------(c|)",
        "second  ^-----(b|)",
    ]


async def test_how_an_inference_ends_can_be_seen():
    transcript = await say(script("a", every=1), script("b", disconnect(), every=1), script("c", "d", every=1))
    await say(script("e", "f", every=1), name="other", transcript=transcript, deadline=1.5)

    lines = transcript.marbles(frame=1).splitlines()
    assert lines[1].startswith("bot    ^(a|^)")
    assert "(b#^)" in lines[1]
    assert lines[2].rstrip().endswith("!")


async def test_the_legend_gives_exact_times_and_texts():
    transcript = await say(script("Hello, ", pause(0.123456789), "world"))

    legend = transcript.marbles().split("\n\n")[1].splitlines()

    assert legend == [
        "bot  a   0.000000000  text.delta 'Hello, '",
        "bot  b   0.123456789  text.delta 'world'",
        "bot  |   0.123456789  inference.completed (stop)",
    ]


async def test_many_deltas_in_a_row_are_one_run():
    transcript = await say(script(*("word " * 30).split(" ")[:-1], every=0.01))

    lines = transcript.marbles().splitlines()

    assert lines[1].startswith("bot  ^")
    assert lines[1].rstrip("|)").endswith("~") or "a~" in lines[1]
    assert any("30 x text.delta" in line and "0.010000000 to 0.300000000" in line for line in lines)
    assert len(lines) == 5


async def test_a_long_drawing_is_folded():
    transcript = await say(*(script("a", every=1) for _ in range(24)))

    drawn = transcript.marbles().split("\n\n")

    assert len(drawn) >= 3
    assert max(len(line) for block in drawn[:-1] for line in block.splitlines()) <= 110


async def test_wide_names_are_aligned():
    transcript = Transcript()
    wide = Agent("规划者", FakeModel(script("a", every=1)))
    narrow = Agent("r", FakeModel(script("b", every=1)))
    async with Environment(wide, narrow, transcript=transcript):
        wide.infer()
        narrow.infer()

    lines = drawing(transcript)

    assert lines[1].startswith("规划者  ^")  # three characters, six columns
    assert lines[2].startswith("r       ^")


@pytest.mark.parametrize("name", ["Andre\u0301e", "👩‍🚀 x", "agent\u200b1"])
async def test_what_takes_no_column_is_not_counted(name):
    transcript = await say(script("a"), name=name)
    await say(script("b"), name="abcdef", transcript=transcript)

    lines = drawing(transcript)

    columns = {"Andre\u0301e": 6, "👩‍🚀 x": 4, "agent\u200b1": 6}[name]
    assert lines[1].startswith(name + " " * (8 - columns) + "(^")
    assert lines[2].startswith("abcdef  ")


async def test_nothing_is_nothing():
    assert Transcript().marbles() == "(nothing happened)"


async def test_a_transcript_in_which_nothing_was_said_does_not_claim_that_nothing_happened():
    transcript = Transcript()
    exchange(transcript, ("GET", "https://api.example/v1/models"), chunks=[b"{}"])

    assert transcript.marbles() == "(nothing was said)"


@pytest.mark.parametrize("frame", [0, -1])
async def test_a_column_takes_time(frame):
    transcript = await say(script("a", every=1))

    with pytest.raises(ValueError, match="the time of a column is a number of seconds above 0"):
        transcript.marbles(frame=frame)
