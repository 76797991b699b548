"""Transcript snapshots: readable, the same on every run, without secrets, updated by syrupy's own option."""

from __future__ import annotations

import pytest

from pytest_streamrt import Transcript, script, tool_call, usage
from pytest_streamrt.report import failure_section, snapshot_text
from tests.transcript.scenes import say

TEST = """
    import pytest
    from pytest_streamrt import Agent, FakeModel, script

    pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

    async def test_it(environment, transcript, transcript_snapshot):
        async with environment(agent := Agent("agent", FakeModel(script("Hel", "lo", every=0.5)))):
            await agent.infer("Hi")
        assert transcript == transcript_snapshot
"""


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_it_is_marbles_and_then_an_event_a_line():
    transcript = await say(script("Hel", tool_call("t", {"a": 1}), usage(1, 2), every=0.5))

    assert snapshot_text(transcript) == (
        "t    0                               0.5                             1\n"
        "bot  ^-------------------------------a-------------------------------(bc|)\n"
        "\n"
        "bot  a   0.500000000  text.delta 'Hel'\n"
        "bot  b   1.000000000  tool_call.started 't'\n"
        "bot  c   1.000000000  tool_call.delta '{\"a\":1}'\n"
        "bot  |   1.000000000  inference.completed (tool_calls)\n"
        "\n"
        ' 0.000000000  bot  participant.joined  {"name": "bot"}\n'
        ' 0.000000000  bot  inference.started  {"inference": "bot/1"}\n'
        ' 0.500000000  bot  text.delta  {"inference": "bot/1", "text": "Hel", "choice": 0}\n'
        ' 1.000000000  bot  item.completed  {"inference": "bot/1", "item": {"text": "Hel", "refusal": "", "choice": 0, '
        '"type": "model_message"}}\n'
        ' 1.000000000  bot  tool_call.started  {"inference": "bot/1", "id": "call_0", "name": "t", "choice": 0}\n'
        ' 1.000000000  bot  tool_call.delta  {"inference": "bot/1", "id": "call_0", "arguments": "{\\"a\\":1}", '
        '"choice": 0}\n'
        ' 1.000000000  bot  item.completed  {"inference": "bot/1", "item": {"id": "call_0", "name": "t", '
        '"arguments": "{\\"a\\":1}", "choice": 0, "type": "function_call"}}\n'
        ' 1.000000000  bot  usage  {"inference": "bot/1", "input_tokens": 1, "output_tokens": 2}\n'
        ' 1.000000000  bot  inference.completed  {"inference": "bot/1", "finish_reason": "tool_calls"}\n'
    )


@pytest.mark.anyio
async def test_on_real_time_the_times_are_left_out():
    texts = {snapshot_text(await say(script("a", "b"))) for _ in range(3)}

    assert len(texts) == 1
    assert "0.0" not in texts.pop()


@pytest.mark.anyio
async def test_no_secret_of_the_environment_is_shown(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sk-canary-7f3a91bc-0123456789")
    transcript = await say(script("the key is sk-canary-7f3a91bc-0123456789"))

    assert "canary" not in snapshot_text(transcript)
    assert "canary" not in failure_section(transcript)
    assert "the key is [redacted]" in failure_section(transcript)


def test_of_an_empty_transcript_there_is_nothing_to_show():
    assert failure_section(Transcript()) == ""


def test_the_fixture_keeps_compares_and_updates(project):
    project.write(TEST)

    project.run("--snapshot-update").assert_outcomes(passed=2)
    project.run().assert_outcomes(passed=2)
    kept = project.path / "__snapshots__" / "test_mine" / "test_it[asyncio].transcript"
    assert kept.read_text() == kept.with_name("test_it[trio].transcript").read_text()

    project.write(TEST.replace('"lo"', '"p"'))
    result = project.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*text.delta 'p'*"])


def test_only_transcripts_are_kept(project):
    project.write("""
        def test_it(transcript_snapshot):
            assert "text" == transcript_snapshot
    """)

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*transcript_snapshot keeps transcripts, not str*"])


def test_without_syrupy_it_says_what_to_install(project):
    project.write(TEST)

    result = project.run("-p", "no:syrupy")

    result.assert_outcomes(errors=2)
    assert "transcript_snapshot needs syrupy: pip install 'pytest-streamrt[syrupy]'" in result.stdout.str()
