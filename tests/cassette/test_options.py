"""What a project can say of its cassettes: vcr's keys, and some more."""

from __future__ import annotations

import json
import re

import pytest

from pytest_streamrt import CassetteError, CassetteMiss, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.errors import Unanswered
from tests.cassette.recordings import ASK, URL, Network, answer, ask, record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.jsonl"


def recorded(path, *bodies, question=ASK, url=URL, headers=None, **options):
    with intercept(Network(*(bodies or (answer("a"),)))), use_cassette(path, record="rewrite", **options):
        ask(question, url, headers=headers or {})
    return load_cassette(path)[0]


def test_headers_with_a_replacement_or_removed(path):
    filters = ["X-One", ("x-two", "2"), ("x-three", None)]
    one = recorded(path, headers={"x-one": "a", "x-two": "b", "x-three": "c"}, filter_headers=filters)

    assert [(name, value) for name, value in one.headers if name.startswith("x-")] == [
        ("x-one", "[redacted]"),
        ("x-two", "2"),
    ]


def test_query_parameters_likewise_and_it_plays_with_other_values(path):
    filters = {"filter_query_parameters": ["a", ("b", "B"), ("c", None)]}
    one = recorded(path, url=f"{URL}?a=1&b=2&c=3&d=4%20", **filters)

    assert one.url == f"{URL}?a=redacted&b=B&d=4%20"
    with use_cassette(path, **filters):
        ask(url=f"{URL}?a=x&b=y&c=z&d=4%20")


QUESTION = {**ASK, "user": {"email": "a@b.example", "age": 41}, "tags": [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}]}


@pytest.mark.parametrize(
    ("path_", "expected"),
    [
        ("user.email", {"user": {"email": "[redacted]", "age": 41}}),
        ("$.user", {"user": "[redacted]"}),
        ("tags[*].id", {"tags": [{"id": "[redacted]", "n": "x"}, {"id": "[redacted]", "n": "y"}]}),
        ("tags[1]", {"tags": [{"id": 1, "n": "x"}, "[redacted]"]}),
        ("**.n", {"tags": [{"id": 1, "n": "[redacted]"}, {"id": 2, "n": "[redacted]"}]}),
    ],
)
def test_json_paths_of_a_request_match_anything_there(path_, expected, path):
    one = recorded(path, question=QUESTION, filter_json_paths=[path_])

    assert json.loads(one.body) == {**QUESTION, **expected}
    with use_cassette(path):
        ask(json.loads(one.body.replace(b'"[redacted]"', b"[9, 9]")))


def test_json_paths_of_a_response_keep_its_length(path):
    frames = [b'data: {"delta": {"text": "abc"}, "n": -1.5, "ok": true}\n\n', b'data: {"delta": {"text": ""}}\n\n']
    one = recorded(path, frames, filter_json_paths=["delta.text", "n", "ok"])

    assert [chunk.data for chunk in one.chunks] == [
        b'data: {"delta": {"text": "***"}, "n": 1111, "ok": null}\n\n',
        b'data: {"delta": {"text": ""}}\n\n',
    ]


def test_patterns_everywhere(path):
    frames = [b'data: {"text": "customer 12"}\n\n', b'data: {"text": "345"}\n\n', b'data: {"text": ", hello"}\n\n']
    one = recorded(
        path,
        frames,
        question={**ASK, "for": "customer 12345"},
        url=f"{URL}?q=customer%2012345",
        headers={"x-for": "customer 12345"},
        filter_patterns=[r"customer \d+", re.compile("HELLO", re.IGNORECASE)],
    )

    text = path.read_text()
    assert "12345" not in text
    assert "customer" not in text
    assert b"".join(json.loads(c.data[6:])["text"].encode() for c in one.chunks) == b"[redacted]****, *****"


def test_hosts_that_are_ignored_go_to_the_network_in_any_mode(path):
    record(path, answer("known"))
    network = Network(answer("live"))
    with intercept(network), use_cassette(path, ignore_hosts=["*.other.example"]) as cassette:
        assert b"live" in ask(url="https://api.other.example/v1/chat/completions")
        assert b"known" in ask()

    assert len(network.requests) == cassette.requests == 1


def test_repeats(path):
    record(path, answer("first"), answer("second"))
    with use_cassette(path, allow_playback_repeats=True):
        said = [re.search(rb"first|second", ask())[0] for _ in range(4)]

    assert said == [b"first", b"second", b"first", b"first"]  # as vcr has it


def test_recordings_may_be_left_over(path):
    record(path, answer("a"), answer("b"))
    with use_cassette(path, allow_unplayed=True):
        ask()


@pytest.mark.parametrize(
    ("match_on", "url", "question", "matches"),
    [
        (["method", "uri"], URL, {"any": "thing"}, True),
        (["path"], "http://elsewhere.example/v1/chat/completions?q=1", {}, True),
        (["host", "path"], "http://elsewhere.example/v1/chat/completions", ASK, False),
        (["scheme", "host", "port", "path", "query", "body"], f"{URL}?a=1", ASK, False),
        (["raw_body"], "http://elsewhere.example/", ASK, True),
        (["raw_body"], URL, dict(reversed(ASK.items())), False),
        (["headers"], URL, {**ASK, "same": "length?"}, False),
    ],
)
def test_what_counts(match_on, url, question, matches, path):
    recorded(path)

    with use_cassette(path, match_on=match_on, verify=False):
        if matches:
            ask(question, url)
        else:
            with pytest.raises(CassetteMiss, match="differs:"):
                ask(question, url)


def test_places_in_a_body_that_do_not_count(path):
    recorded(path, question={**ASK, "at": 1, "meta": {"id": "a"}})
    with use_cassette(path, ignore_json_paths=["at", "meta.id", "extra"]):
        ask({**ASK, "at": 2, "meta": {}, "extra": 3})
    with pytest.raises(CassetteMiss, match=r"body\.meta\.other"), use_cassette(path, ignore_json_paths=["at"]):
        ask({**ASK, "at": 2, "meta": {"id": "a", "other": 1}})


def test_functions_of_ones_own(path):
    def request(asked):
        if asked.url.endswith("/health"):
            return None
        asked.body = asked.body.replace(b"Hi", b"Ho")
        return asked

    def response(answered):
        answered.headers.append(("x-seen", "yes"))
        answered.chunks = [chunk.replace(b"secret", b"******") for chunk in answered.chunks]
        return answered

    functions = {"before_record_request": request, "before_record_response": response}
    with intercept(Network([b"fine"], [b"a secret"])), use_cassette(path, record="once", **functions):
        assert ask(url="https://api.example/health") == b"fine"
        assert ask() == b"a secret"  # the client has what was sent

    (one,) = load_cassette(path)
    assert (one.chunks[0].data, one.response_headers[-1], b"Ho" in one.body) == (b"a ******", ("x-seen", "yes"), True)
    with use_cassette(path, **functions):
        assert ask() == b"a ******"


def test_a_response_that_is_not_to_be_recorded(path):
    recorded_none = {"before_record_response": lambda _: None}
    with intercept(Network(answer("a"))), use_cassette(path, record="once", **recorded_none):
        ask()

    assert not path.exists()


def test_secrets_can_be_refused(path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "q7xz-9b8c-7f3a91bc")
    with pytest.raises(CassetteError) as caught:
        recorded(
            path,
            [b"it is q7xz-9b8c-7f3a91bc"],
            headers={"authorization": "Bearer q7xz-9b8c-7f3a91bc", "x-note": "q7xz-9b8c-7f3a91bc"},
            on_secret="fail",
        )

    message = str(caught.value)
    assert "is not written" in message
    assert f"the value of the environment variable SOME_API_KEY in the response to POST {URL}" in message
    assert f"in the header x-note of the request POST {URL}" in message
    assert "q7xz" not in message
    assert not path.exists()


def test_where_none_is_found_nothing_is_refused(path):
    recorded(path, headers={"authorization": "Bearer q7xz-9b8c-7f3a91bc"}, on_secret="fail")

    assert path.exists()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"filter_header": ["a"]}, "use_cassette does not take 'filter_header'; it takes filter_headers"),
        ({"filter_header": ["a"]}, "on_secret. Did you mean 'filter_headers'?"),
        ({"record_mode": "once"}, "on_secret. What is recorded, the command line says: pytest --streamrt-record=once"),
        ({"ignore_localhost": True}, "on_secret. Its like is ignore_hosts: ['localhost', '127.0.0.1']"),
        ({"filter_headers": "a"}, "filter_headers is a list of names, not 'a'"),
        ({"filter_headers": [("a", 1)]}, "the replacement of 'a' is a text or None, not 1"),
        ({"filter_headers": [1]}, "1 is neither"),
        (
            {"filter_patterns": ["("]},
            "filter_patterns is a list of regular expressions, and '\\(' is none: missing \\), unterminated",
        ),
        ({"filter_patterns": [b"a"]}, "regular expressions for texts, and b'a' is none"),
        ({"filter_json_paths": ["a..b"]}, "filter_json_paths is a list of paths, and 'a..b' is no path"),
        ({"filter_json_paths": [""]}, "'' is no path"),
        ({"match_on": ["uri", "weather"]}, "match_on is a list of method, uri,"),
        ({"match_on": []}, "match_on is a list of"),
        ({"ignore_hosts": [1]}, "and 1 is none"),
        ({"allow_playback_repeats": 1}, "allow_playback_repeats is True or False, not 1"),
        ({"before_record_request": "f"}, "before_record_request is a function, not 'f'"),
        ({"on_secret": "shout"}, 'on_secret is "redact" or "fail", not \'shout\''),
    ],
)
def test_what_makes_no_sense_is_refused(options, what, path):
    with pytest.raises(CassetteError) as caught, use_cassette(path, **options):
        pass

    assert re.search(what, str(caught.value)) or what in str(caught.value)


@pytest.mark.parametrize(
    ("functions", "what"),
    [
        ({"before_record_response": lambda _: 1}, "before_record_response returns the response, or None"),
        ({"before_record_response": lambda r: (r.chunks.pop(), r)[1]}, "has made 3 chunks of 4"),
    ],
)
def test_functions_that_give_something_else(functions, what, path):
    with pytest.raises(CassetteError, match=what):
        recorded(path, **functions)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda _: 1, "before_record_request returns the request, or None to leave it alone, not 1"),
        (lambda request: request.uri, "before_record_request raised AttributeError: .* 'uri', at test_options.py:"),
    ],
)
def test_what_is_wrong_with_a_function_of_the_request_no_client_takes_for_a_broken_connection(function, what, path):
    with pytest.raises(CassetteMiss, match=what), use_cassette(path, record="once", before_record_request=function):
        with pytest.raises(Unanswered, match=what):  # not an Exception, which SDKs try again
            ask()

    assert not path.exists()


def test_what_an_sdk_reports_about_itself_goes_nowhere(path):
    record(path, answer("a"))
    for mode in ("none", "rewrite"):
        network = Network(answer("b"))
        with intercept(network), use_cassette(path, record=mode):
            assert ask(url="https://api.openai.com/v1/traces/ingest") == b""
            ask()

        assert len(load_cassette(path)) == 1
