"""Faults over a recording, as a user's marker asks for them."""

from __future__ import annotations

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer

MINE = """
import httpx2
import pytest
from pytest_streamrt import disconnect


def answer():
    with httpx2.Client(verify=False) as client:
        return client.post("{url}/chat/completions", json={{"model": "m", "stream": True}}).text


@pytest.mark.streamrt(cassette="greeting")
def test_whole():
    assert "world" in answer()


@pytest.mark.streamrt(cassette="greeting", faults=[disconnect(after=2)])
def test_broken(transcript):
    with pytest.raises(httpx2.RemoteProtocolError):
        answer()
    transcript.expect("openai.chat").text("Hello, ").failed(kind="transport").nothing_more()
"""


def test_faults_are_laid_over_what_another_test_recorded(project, server):
    server.enqueue(Answer(encode(script("Hello", ", ", "world"), "openai.chat")))
    project.write(MINE.format(url=server.url))

    alone = project.record("-k", "broken", "-rs")
    recorded = project.record()
    played = project.run()

    alone.assert_outcomes(skipped=1)
    alone.stdout.fnmatch_lines("*its faults are laid over *greeting.jsonl, which is still to be recorded*")
    recorded.assert_outcomes(passed=2)
    played.assert_outcomes(passed=2)


def test_a_fault_that_never_strikes_fails_the_test(project, server):
    server.enqueue(Answer(encode(script("Hello"), "openai.chat")))
    project.write(MINE.format(url=server.url).replace("world", "Hello"))
    project.record("-k", "whole")

    result = project.run("-k", "broken")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*Disconnect() with after=2 never strikes: the recorded answer to POST * has 1 delta")
