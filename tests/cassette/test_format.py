"""The file: what is in it, readable and without loss, and written whole or not at all."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, Transcript, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask, record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassettes" / "deep" / "one.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_it_is_a_line_for_each_thing_that_happened(path):
    record(path, [b'data: {"a": 1}\n\n', "data: ü\n\n".encode()])

    header, request, response, first, second, end = lines(path)
    assert header == {"cassette": "pytest-streamrt", "version": 1}
    assert (request["id"], request["request"]["method"], request["request"]["url"]) == (1, "POST", URL)
    assert request["request"]["json"] == ASK
    assert response["response"] == {"status": 200, "headers": [["content-type", "text/event-stream"]]}
    assert [first["text"], second["text"]] == ['data: {"a": 1}\n\n', "data: ü\n\n"]
    assert end["end"] == "complete"
    times = [line["at"] for line in (request, response, first, second, end)]
    assert times == sorted(times)


def test_times_are_written_out_to_the_microsecond(path):
    record(path, answer("x"))

    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        at = line.partition('"at": ')[2].partition(",")[0]
        assert len(at.partition(".")[2]) == 6
        assert "e" not in at


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(min_size=1, max_size=12), max_size=6))
def test_any_bytes_come_back_in_the_same_cuts(chunks, tmp_path):
    path = tmp_path / "any.jsonl"
    record(path, chunks)

    (recorded,) = load_cassette(path)

    assert [chunk.data for chunk in recorded.chunks] == chunks
    with use_cassette(path):
        assert ask() == b"".join(chunks)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=30) | st.text(max_size=20).map(lambda text: json.dumps({"q": text}).encode()))
def test_any_request_body_comes_back_to_the_byte(body, tmp_path):
    import httpx2

    path = tmp_path / "any.jsonl"
    with intercept(Network([b"ok"])), use_cassette(path, record="rewrite"), httpx2.Client(verify=False) as client:
        client.post(URL, content=body)

    (recorded,) = load_cassette(path)

    assert recorded.body == body


def test_a_recording_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    record(path, answer("old"))
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", _no_space)

    with pytest.raises(CassetteError, match=r"cannot be written: No space left.*What was there before is untouched"):
        record(path, answer("new"))

    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["one.jsonl"]


def _no_space(_):
    raise OSError(28, "No space left on device")


def test_a_failing_assertion_does_not_discard_a_recording(path):
    with pytest.raises(AssertionError), intercept(Network(answer("x"))), use_cassette(path, record="once"):
        ask()
        raise AssertionError

    assert len(load_cassette(path)) == 1


def test_nothing_recorded_is_nothing_written(path):
    with use_cassette(path, record="once"):
        pass

    assert not path.exists()


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite", "none"])
def test_the_modes(mode, path):
    """What each mode makes of one known question and one unknown one."""
    record(path, answer("old"))
    new = {**ASK, "model": "other"}
    network = Network(answer("new 1"), answer("new 2"))
    transcript = Transcript()

    asked = []
    with intercept(network), use_cassette(path, record=mode, transcript=transcript, verify=False):
        for question in (ASK, new):
            try:
                asked.append(ask(question))
            except BaseException as error:  # noqa: BLE001 - a miss is no Exception
                asked.append(type(error).__name__)

    texts = [said if isinstance(said, str) else _text(said) for said in asked]
    models = [json.loads(each.body)["model"] for each in load_cassette(path)]
    assert (texts, models) == {
        "none": (["old", "CassetteMiss"], ["m"]),
        "once": (["old", "CassetteMiss"], ["m"]),
        "new_episodes": (["old", "new 1"], ["m", "other"]),
        "all": (["new 1", "new 2"], ["m", "other"]),
        "rewrite": (["new 1", "new 2"], ["m", "other"]),
    }[mode]


def _text(body):
    return "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content", "")
        for line in body.decode().split("\n\n")
        if line.startswith("data: {")
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"record": "sometimes"}, "record mode is one of none, once, new_episodes, all, rewrite, not 'sometimes'"),
        ({"timing": "slowly"}, "timing is"),
        ({"timing": 0}, "timing is"),
        ({"timing": True}, "timing is"),
        ({"timing": -1.0}, "timing is"),
        ({"rechunk": "finely"}, "cut"),
    ],
)
def test_wrong_options_are_refused_at_once(options, what, path):
    record(path, answer("x"))

    with pytest.raises(CassetteError, match=what), use_cassette(path, **options):
        ask()


def test_what_is_recorded_anew_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "one.jsonl"
    record(path, answer("a"), answer("b"), questions=[ASK, {**ASK, "model": "other"}])
    with intercept(Network(answer("new"))), use_cassette(path, record="all"):
        ask()

    with use_cassette(path):  # and it plays, to the last of it
        assert _text(ask()) == "new"
        assert _text(ask({**ASK, "model": "other"})) == "b"


def test_sync_clients_in_many_threads_get_exchanges_of_their_own(tmp_path):
    path = tmp_path / "one.jsonl"
    questions = [{**ASK, "model": f"m{n}"} for n in range(40)]
    with at_every_instruction(), intercept(Network(*[answer("a")] * 80)), use_cassette(path, record="rewrite"):
        with ThreadPoolExecutor(20) as threads:
            list(threads.map(ask, questions * 2))

    recorded = load_cassette(path)
    assert sorted(each.id for each in recorded) == list(range(1, 81))
    with at_every_instruction(), use_cassette(path), ThreadPoolExecutor(20) as threads:
        assert len(list(threads.map(ask, questions * 2))) == 80


@contextmanager
def at_every_instruction():
    """Threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
