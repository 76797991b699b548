"""What takes a cassette's place: nothing that is broken, nothing that is a fragment, and nothing half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_streamrt import CassetteError, StreamrtWarning, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, Network, answer, ask, record

OTHER = {**ASK, "model": "other"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "one.jsonl"
    record(path, answer("old"), answer("old too"), questions=[ASK, OTHER])
    return path


def refused(path, network, *questions, raises=None, **options):
    """Record anew; the old cassette is to stay."""
    before = path.read_bytes()
    expected = pytest.raises(raises) if raises else pytest.raises(CassetteError)
    with expected as caught, intercept(network), use_cassette(path, record="rewrite", **options):
        for question in questions:
            ask(question)
        if raises:
            raise raises
    assert path.read_bytes() == before
    return str(caught.value)


def test_an_http_error_does_not_take_the_place_of_a_complete_cassette(path):
    message = refused(path, Network([b"slow down"], [b"slow down"], status=429), ASK, OTHER)

    assert "was answered with HTTP 429" in message
    assert "--streamrt-record-errors" in message
    assert "is as it was" in message


def test_unless_that_is_asked_for(path):
    with intercept(Network([b"slow down"], status=429)), use_cassette(path, record="rewrite", record_errors=True):
        ask()

    assert [each.status for each in load_cassette(path)] == [429]


def test_a_broken_stream_does_not(path):
    class Breaks(Network):
        def handle(self, library, transport, request, forward):
            response = super().handle(library, transport, request, forward)
            response.stream = broken(library, response.stream)
            return response

    def broken(library, stream):
        class Body(library.SyncByteStream):
            def __iter__(self):
                yield from list(stream)[:1]
                raise library.ReadError("connection reset")

        return Body()

    with pytest.raises(CassetteError, match=r"lost its connection \(ReadError\)"), intercept(Breaks(answer("x"))):
        with use_cassette(path, record="rewrite"):
            with pytest.raises(Exception, match="connection reset"):
                ask()
    assert len(load_cassette(path)) == 2


def test_an_error_that_a_retry_made_good_is_part_of_the_story(path):
    class Flaky(Network):
        def handle(self, library, transport, request, forward):
            self.status = 200 if self.requests else 503
            return super().handle(library, transport, request, forward)

    with intercept(Flaky([b"busy"], answer("a"), answer("b"))), use_cassette(path, record="rewrite"):
        ask()
        ask()
        ask(OTHER)

    assert [each.status for each in load_cassette(path)] == [503, 200, 200]


def test_errors_may_take_the_place_of_errors(tmp_path):
    path = tmp_path / "errors.jsonl"
    for status in (401, 404):
        with intercept(Network([b"no"], status=status)), use_cassette(path, record="rewrite"):
            ask()

        assert [each.status for each in load_cassette(path)] == [status]


def test_a_new_episode_that_failed_is_not_added(path):
    before = path.read_bytes()
    with pytest.raises(CassetteError, match="HTTP 500"), intercept(Network([b"no"], status=500)):
        with use_cassette(path, record="new_episodes"):
            ask()
            ask(OTHER)
            ask({**ASK, "model": "new"})

    assert path.read_bytes() == before


@pytest.mark.filterwarnings("ignore::pytest_streamrt.StreamrtWarning")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_test_that_broke_off_leaves_no_fragment(error, path):
    refused(path, Network(answer("new"), answer("new")), ASK, OTHER, raises=error)


def test_and_says_so(path):
    with pytest.warns(StreamrtWarning, match="is as it was: the test broke off"):
        refused(path, Network(answer("new")), ASK, raises=ValueError)


@pytest.mark.filterwarnings("ignore::pytest_streamrt.StreamrtWarning")
def test_a_failed_assertion_before_all_requests_were_made_leaves_no_fragment(path):
    refused(path, Network(answer("new")), ASK, raises=AssertionError)


def test_a_failed_assertion_at_the_end_discards_nothing(path):
    with pytest.raises(AssertionError), intercept(Network(answer("new"), answer("new"))):
        with use_cassette(path, record="rewrite"):
            ask()
            ask(OTHER)
            raise AssertionError

    assert [b"new" in b"".join(c.data for c in each.chunks) for each in load_cassette(path)] == [True, True]


def test_a_damaged_cassette_can_be_recorded_anew(path):
    path.write_bytes(path.read_bytes()[:-30])
    record(path, answer("new"))

    assert len(load_cassette(path)) == 1


KILLED = """
import os, pathlib, signal, sys
from tests.cassette.recordings import Network, answer, ask
from pytest_streamrt import use_cassette
from pytest_streamrt.cassette import format, load_cassette
from pytest_streamrt.cassette.seam import intercept

path = pathlib.Path(sys.argv[1])
CANARY = sys.argv[2]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Chunks(list):
    def __init__(self, chunks, dies_at):
        super().__init__(chunks)
        self.dies_at = dies_at
    def __iter__(self):
        for number, chunk in enumerate(super().__iter__()):
            if number == self.dies_at:
                die()
            yield chunk

def run(point):
    kind, at = point
    chunks = Chunks(answer("new " + CANARY), at if kind == "chunk" else -1)
    if kind == "line":
        dump = format.dump_cassette
        def dying(lines):
            for number, line in enumerate(dump(lines)):
                if number == at:
                    die()
                yield line
        format.dump_cassette = dying
    if kind == "fsync":
        os.fsync = lambda _: die()
    if kind in ("before", "after"):
        replace = pathlib.Path.replace
        def dying(self, target):
            if kind == "after":
                replace(self, target)
            die()
        pathlib.Path.replace = dying
    with intercept(Network(chunks, headers=[("set-cookie", "sid=" + CANARY)])):
        with use_cassette(path, record="rewrite"):
            ask(headers={"authorization": "Bearer " + CANARY})

old = path.read_bytes()
points = [("chunk", n) for n in range(5)] + [("line", n) for n in range(9)] + [("fsync", 0), ("before", 0), ("after", 0)]
for point in points:
    path.write_bytes(old)
    pid = os.fork()
    if pid == 0:
        run(point)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    died = os.WIFSIGNALED(status)
    kept = "old" if path.read_bytes() == old else "new"
    load_cassette(path)
    for each in path.parent.iterdir():
        assert CANARY.encode() not in each.read_bytes(), (point, each)
    if died:  # else there is no such chunk, or no such line
        print(*point, kept)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_there_is_the_old_one_or_the_new_and_no_secret(path):
    canary = "sk-canary-7f3a91bc-0123456789"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), canary], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    outcomes = {(kind, int(at)): kept for kind, at, kept in map(str.split, done.stdout.splitlines())}
    assert {kind for kind, _ in outcomes} == {"chunk", "line", "fsync", "before", "after"}
    assert len(outcomes) > 12
    assert {point for point, kept in outcomes.items() if kept == "new"} == {("after", 0)}
    assert canary not in done.stdout + done.stderr

    # What was left of those that were killed is gone with the next recording.
    record(path, answer("new"), answer("new"))
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert json.loads(path.read_text().splitlines()[0])["version"] == 1
