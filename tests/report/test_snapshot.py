"""Transcript snapshots: readable, the same on every run, without secrets, updated by syrupy's own option."""

from __future__ import annotations

import pytest

from pytest_streamrt import Transcript, script, tool_call, usage
from pytest_streamrt.events import InferenceStarted, ProviderEvent, ToolCallStarted, ToolResult, Usage
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
        "Events:\n"
        ' 0.000000000  bot  participant.joined  name="bot"\n'
        " 0.000000000  bot  inference.started\n"
        ' 0.500000000  bot  text.delta  text="Hel"\n'
        ' 1.000000000  bot  item.completed  item={"text": "Hel", "type": "model_message"}\n'
        ' 1.000000000  bot  tool_call.started  call=1  name="t"\n'
        ' 1.000000000  bot  tool_call.delta  call=1  arguments="{\\"a\\":1}"\n'
        ' 1.000000000  bot  item.completed  item={"call": 1, "name": "t", "arguments": "{\\"a\\":1}", '
        '"type": "function_call"}\n'
        " 1.000000000  bot  usage  input_tokens=1  output_tokens=2\n"
        ' 1.000000000  bot  inference.completed  finish_reason="tool_calls"\n'
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


@pytest.mark.anyio
async def test_no_secret_is_shown_that_lies_across_deltas(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sk-canary-7f3a91bc-0123456789")
    transcript = await say(
        script(
            "the key is sk-can",
            "ary-7f3a91bc-01",
            "23456789",
            tool_call(
                "t", {"k": "sk-canary-7f3a91bc-0123456789"}, pieces=['{"k":"sk-canary-7', 'f3a91bc-0123456789"}']
            ),
        )
    )

    for text in (snapshot_text(transcript), failure_section(transcript)):
        assert "sk-can" not in text
        assert "23456789" not in text
        assert "the key is" in text


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_ids_and_what_else_differs_from_run_to_run_is_left_out():
    def one(id, response):
        transcript = Transcript()
        pieces = [
            InferenceStarted("m", response),
            ToolCallStarted(id, "t"),
            ToolResult(id, "t", "18"),
            ProviderEvent("p", "x", {"request_id": id, "created_at": 7, "text": "kept"}),
            Usage(1, 2, {"prompt_ms": id}),
        ]
        list(transcript.record(iter(pieces), source="agent"))
        return transcript

    first, second = one("call_a8f3", "resp_1"), one("call_77e0", "resp_2")

    assert snapshot_text(first) == snapshot_text(second)
    assert first == second
    assert 'tool.result  call=1  name="t"  output="18"' in snapshot_text(first)
    assert '"text": "kept"' in snapshot_text(first)


def test_of_an_empty_transcript_there_is_nothing_to_show():
    assert failure_section(Transcript()) == ""


def test_the_fixture_keeps_compares_and_updates(project):
    project.write(TEST)

    project.run("--snapshot-update").assert_outcomes(passed=2)
    project.run().assert_outcomes(passed=2)
    kept = project.path / "__snapshots__" / "test_mine" / "test_it[asyncio].transcript"
    assert kept.read_text() == kept.with_name("test_it[trio].transcript").read_text()

    project.write(TEST.replace('"lo"', '"p"'))
    result = project.run("-vv", "-k", "asyncio")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "*2 of 7 events did not come as expected (-), 2 came instead (+):",
            '*- *text.delta  text="lo"',
            '*- *"text": "Hello"*',
            '*+ *text.delta  text="p"',
            "*If that is as it should be: pytest --snapshot-update",
        ]
    )


def test_under_xdist_snapshots_are_written_and_compared(project):
    project.write(TEST)

    project.run("-n2", "--snapshot-update").assert_outcomes(passed=2)
    project.run("-n2").assert_outcomes(passed=2)
    assert len(list((project.path / "__snapshots__" / "test_mine").iterdir())) == 2


def test_a_first_run_says_how_to_write_it(project):
    project.write(TEST)

    result = project.run("-k", "asyncio")

    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*There is no snapshot yet. Write it: pytest --snapshot-update*"])


def test_it_is_redacted_as_cassettes_are(project):
    project.write("""
        import pytest
        from pytest_streamrt import Transcript

        @pytest.fixture(scope="session")
        def streamrt_config():
            return {"filter_patterns": [r"tenant-\\d+"]}

        def test_it(transcript, transcript_snapshot):
            list(transcript.record(iter(["for tenant-", "4711."]), source="agent"))
            assert transcript == transcript_snapshot
    """)

    project.run("--snapshot-update").assert_outcomes(passed=1)
    (kept,) = (project.path / "__snapshots__" / "test_mine").iterdir()
    assert "for " in kept.read_text()
    assert "4711" not in kept.read_text()


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


def test_a_snapshot_that_is_no_text_is_told_and_updated(project):
    project.write("""
        def test_it(transcript, transcript_snapshot):
            list(transcript.record(iter("ab"), source="agent"))
            assert transcript == transcript_snapshot
    """)
    kept = project.path / "__snapshots__" / "test_mine" / "test_it.transcript"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\xff\xfe")

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*The snapshot is damaged: it is no text in UTF-8. Write it anew: pytest --snapshot-update"]
    )
    project.run("--snapshot-update").assert_outcomes(passed=1)
    assert "text.delta" in kept.read_text()
