"""Cassettes over a whole run: used by whom, recorded by whom, in one process and in several."""

from __future__ import annotations

import shutil

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer

MINE = """
import httpx2
import pytest
from pytest_streamrt import use_cassette


def ask():
    with httpx2.Client(verify=False) as client:
        return client.post("{url}/chat/completions", json={{"model": "m"}}).text


@pytest.mark.streamrt
@pytest.mark.parametrize("n", range({n}))
def test_{name}(n):
    assert "Hello" in ask()
"""

SHARED = MINE.replace("@pytest.mark.streamrt\n", '@pytest.mark.streamrt(cassette="shared")\n')

BY_HAND = """

def test_by_hand():
    with use_cassette("cassettes/by_hand.jsonl"):
        ask()


@pytest.mark.skip
@pytest.mark.streamrt(cassette="of_a_skipped_test")
def test_skipped():
    pass
"""


@pytest.fixture
def answers(server):
    """As many answers as anybody asks for."""
    server.enqueue(*[Answer(encode(script("Hello"), "openai.chat")) for _ in range(20)])
    return server


@pytest.fixture
def temporary(project, monkeypatch):
    """Where the processes of a run put what is to be gone after it."""
    folder = project.path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def write(project, server, name, source=MINE, n=3, more=""):
    project.write(source.format(url=server.url, name=name, n=n) + more, f"test_{name}")


def test_any_number_of_workers_record_and_play_and_unused_cassettes_are_reported_once(project, answers, temporary):
    write(project, answers, "one", n=4)
    write(project, answers, "two", n=2, more=BY_HAND)
    cassettes = project.path / "cassettes"

    recorded = project.record("-n", "2", "-k", "not by_hand")
    for name in ("by_hand", "of_a_skipped_test", "test_one/test_gone", "left"):
        shutil.copy(cassettes / "test_one" / "test_one[0].jsonl", cassettes / f"{name}.jsonl")
    (cassettes / "other.jsonl").write_text("{}\n")
    played = project.run("-n", "2", "--streamrt-unused")

    recorded.assert_outcomes(passed=6, skipped=1)
    played.assert_outcomes(passed=7, skipped=1)
    assert played.ret == 1
    lines = played.stdout.lines
    listed = [line for line in lines if line.endswith(".jsonl")]
    assert listed == ["cassettes/left.jsonl", "cassettes/test_one/test_gone.jsonl"]
    assert sum("cassettes that no test uses" in line for line in lines) == 1
    assert list(temporary.glob("pytest-streamrt-*")) == []


def test_in_one_process_likewise_and_what_was_deselected_is_used(project, answers):
    write(project, answers, "one", n=2)
    project.record()
    project.ini("streamrt_unused = true")

    one = project.run("test_one.py")
    (project.path / "cassettes" / "test_one" / "test_one[0].jsonl").rename(project.path / "cassettes" / "old.jsonl")
    missed = project.run("-k", "1")

    assert one.ret == 0
    one.stdout.fnmatch_lines(
        ["*cassettes that no test uses*", "not looked for: only some of the tests were asked for*"]
    )
    assert missed.ret == 1
    listed = [line for line in missed.stdout.lines if line.endswith(".jsonl")]
    assert listed == ["cassettes/old.jsonl"]


def test_two_tests_that_record_one_cassette_are_stopped_in_any_process(project, answers, temporary):
    write(project, answers, "one", SHARED, n=1)
    write(project, answers, "two", SHARED, n=1)

    result = project.record("-n", "2", "--dist=loadfile", mode="rewrite")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        "*shared.jsonl is being recorded by test_*.py::test_*0* in this run already, and test_*"
    )
    assert list(temporary.glob("pytest-streamrt-*")) == []


def test_a_cassette_that_is_there_may_be_played_by_many_in_a_mode_that_records(project, answers):
    write(project, answers, "one", SHARED, n=2)

    result = project.record(mode="once")

    result.assert_outcomes(passed=2)
    assert len(answers.requests) == 1
