"""Which recording answers a request, and what is said when none does."""

from __future__ import annotations

import contextlib
import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, CassetteMiss, use_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask, record


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "one.jsonl"
    record(path, answer("a"))
    return path


def changed(**changes):
    return {**copy.deepcopy(ASK), **changes}


def miss(path, question=ASK, url=URL, **options):
    """The message of the miss that this request is."""
    with pytest.raises(CassetteMiss) as caught, use_cassette(path):
        ask(question, url, **options)
    return str(caught.value)


def test_json_is_compared_by_structure_not_by_its_order(path):
    with use_cassette(path):
        assert ask(dict(reversed(ASK.items())))


@pytest.mark.parametrize(
    ("question", "difference"),
    [
        (changed(model="n"), "body.model: recorded 'm', now 'n'"),
        (changed(messages=[]), "body.messages[0]: recorded {'role': 'user', 'content': 'Hi'}, now (absent)"),
        (
            changed(messages=[{"role": "user", "content": "Ho"}]),
            "body.messages[0].content: recorded 'Hi', now 'Ho'",
        ),
        (changed(temperature=0), "body.temperature: recorded (absent), now 0"),
        (changed(stream=1), "body.stream: recorded True, now 1"),
    ],
)
def test_a_miss_shows_how_the_nearest_recording_differs(question, difference, path):
    message = miss(path, question)

    assert f"    {difference}\n" in message
    assert str(path) in message
    assert "--streamrt-record=new_episodes" in message


def test_the_nearest_is_the_one_with_the_fewest_differences(tmp_path):
    path = tmp_path / "two.jsonl"
    far = changed(model="far", messages=[{"role": "system", "content": "Ho"}])
    record(path, answer("a"), answer("b"), questions=[far, ASK])

    with use_cassette(path, verify=False), pytest.raises(CassetteMiss) as caught:
        ask(changed(model="n"))

    assert "body.model: recorded 'm', now 'n'" in str(caught.value)
    assert "far" not in str(caught.value)


def test_method_and_url_count(path):
    assert "url: recorded 'https://api.example/v1/chat/completions', now" in miss(path, url=f"{URL}/more")


def test_a_body_that_is_no_json_is_compared_by_its_bytes(tmp_path):
    import httpx2

    path = tmp_path / "plain.jsonl"
    with intercept(Network([b"ok"])), use_cassette(path, record="once"), httpx2.Client(verify=False) as client:
        client.post(URL, content=b"plain")
    with use_cassette(path), httpx2.Client(verify=False) as client:
        client.post(URL, content=b"plain")
    with (
        pytest.raises(CassetteMiss, match="body: recorded b'plain', now b'other'"),
        use_cassette(path),
        httpx2.Client(verify=False) as client,
    ):
        client.post(URL, content=b"other")


def test_one_recording_answers_one_request(path):
    with pytest.raises(CassetteMiss, match="was played already"), use_cassette(path):
        ask()
        ask()


def test_equal_requests_are_answered_in_the_order_of_recording(tmp_path):
    path = tmp_path / "two.jsonl"
    record(path, answer("first"), answer("second"))

    with use_cassette(path):
        assert b"first" in ask()
        assert b"second" in ask()


def test_a_miss_is_no_exception_that_an_agent_could_swallow(path):
    assert not issubclass(CassetteMiss, Exception)
    with pytest.raises(CassetteMiss, match=r"body\.model"), use_cassette(path):
        with contextlib.suppress(BaseException):  # it can be swallowed by force, and is raised again on leaving
            ask(changed(model="n"))


def test_recordings_that_were_never_played_are_named(tmp_path):
    path = tmp_path / "two.jsonl"
    record(path, answer("a"), answer("b"))

    with pytest.raises(CassetteError, match=r"1 of 2 recordings in .* was never played"), use_cassette(path):
        ask()


def test_an_error_in_the_block_is_not_hidden_by_what_was_not_played(path):
    with pytest.raises(KeyError, match="mine"), use_cassette(path):
        raise KeyError("mine")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(recorded=JSON, now=JSON)
def test_a_request_matches_exactly_when_its_json_is_the_same(recorded, now, tmp_path):
    path = tmp_path / "any.jsonl"
    record(path, answer("a"), questions=[{"q": recorded}])

    with use_cassette(path, verify=False):
        try:
            ask({"q": now})
            matched = True
        except CassetteMiss:
            matched = False

    assert matched == _same(recorded, now)


def _same(one, other):
    """Equality of JSON values: Python says True == 1, JSON does not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def test_a_miss_at_another_server_says_what_to_set(path):
    moved = miss(path, url=URL.replace("api.example", "127.0.0.1:8000"))

    assert "Only the server differs: set the base URL" in moved
    assert "Only the server" not in miss(path, url=f"{URL}/more")
    assert "Only the server" not in miss(path, changed(model="n"), url=URL.replace("api.example", "127.0.0.1:8000"))
