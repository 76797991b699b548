"""Cassettes of vcr, read: those that the installed vcrpy really writes, and the layouts of old, written by hand."""

from __future__ import annotations

import gzip
import json

import httpx
import httpx2
import pytest
import vcr
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, Transcript, TranscriptError, script, use_cassette, virtual_time
from pytest_streamrt.cassette.format import save_cassette
from pytest_streamrt.cassette.recording import lines_of
from pytest_streamrt.cassette.vcr import NotVcr, read_vcr
from pytest_streamrt.providers import encode
from tests.loopback import PATIENCE, Answer
from tests.strategies import examples

STREAM = b"".join(encode(script("Hel", "lo ", "wörld 👋"), "openai.chat"))
SSE = {"content-type": "text/event-stream"}
ASK = {"model": "m", "stream": True}
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


def converted(path, data, **options):
    """A cassette of ours with what that one of vcr's says."""
    save_cassette(path, lines_of(read_vcr(data, **options)))
    return path


def ask(library, server):
    with library.Client(timeout=PATIENCE, verify=False) as client:
        response = client.post(f"{server.url}/chat/completions", json=ASK, headers={"authorization": "Bearer sk-none"})
        return response.status_code, response.headers.get("content-type"), response.content


@LIBRARIES
@pytest.mark.parametrize("unpacks", [False, True], ids=["as sent", "unpacked"])
@pytest.mark.parametrize(
    "answer",
    [
        Answer([STREAM], headers=SSE),
        Answer([gzip.compress(STREAM)], headers={**SSE, "content-encoding": "gzip"}),
        Answer([b"\x00\xff\xfe"], headers={"content-type": "application/octet-stream"}),
        Answer([b'{"error": "later"}'], status=429, headers={"content-type": "application/json"}),
        Answer([], status=204, headers={}),
    ],
    ids=["a stream", "packed", "binary", "an error", "empty"],
)
def test_what_vcrpy_records_plays_as_it_was(library, unpacks, answer, server, tmp_path):
    server.enqueue(answer)
    with vcr.use_cassette(str(tmp_path / "theirs.yaml"), decode_compressed_response=unpacks):
        live = ask(library, server)

    with use_cassette(converted(tmp_path / "ours.jsonl", (tmp_path / "theirs.yaml").read_bytes())):
        assert ask(library, server) == live


@LIBRARIES
def test_so_does_what_it_records_as_json(library, server, tmp_path):
    server.enqueue(Answer([STREAM], headers=SSE))
    with vcr.use_cassette(str(tmp_path / "theirs.json"), serializer="json"):
        live = ask(library, server)

    with use_cassette(converted(tmp_path / "ours.jsonl", (tmp_path / "theirs.json").read_bytes(), is_json=True)):
        assert ask(library, server) == live


RESPONSE = {
    "status": {"code": 200, "message": "OK"},
    "headers": {"Content-Type": ["text/plain"]},
    "body": {"string": "é"},
}
REQUEST = {"method": "get", "uri": "https://api.example/v1/models", "headers": {"Accept": ["*/*"]}, "body": None}


def one(**changes):
    """The one exchange of a cassette of vcr's, with these changes: names of the request's fields have ``request_`` before them."""
    request, response = dict(REQUEST), dict(RESPONSE)
    for name, value in changes.items():
        side, key = (request, name.removeprefix("request_")) if name.startswith("request_") else (response, name)
        side[key] = value
        if value is ...:
            del side[key]
    (found,) = read_vcr(
        yaml.safe_dump({"version": 1, "interactions": [{"request": request, "response": response}]}).encode()
    )
    return found


def body_of(found):
    return b"".join(chunk.data for chunk in found.chunks)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"string": "é"}, "é".encode()),
        ({"string": b"\xff\x00"}, b"\xff\x00"),
        ({"string": None}, b""),
        ({"string": ""}, b""),
        ({"encoding": "latin-1", "string": "é"}, b"\xe9"),
        ({"encoding": "no such", "string": "é"}, "é".encode()),
        ({"encoding": None, "base64_string": "/wA="}, b"\xff\x00"),
        ({"base64_string": "/wA=", "string": ""}, b"\xff\x00"),
        ("é", "é".encode()),
        (None, b""),
        (["a", b"\xff"], b"a\xff"),
        ({"type": "json", "content": {"a": ["é", None]}}, '{"a":["é",null]}'.encode()),
        ({"type": "text", "content": "é"}, "é".encode()),
        ({"type": "base64", "content": "/wA="}, b"\xff\x00"),
        ({}, b""),
    ],
)
def test_bodies_of_any_layout_are_read(body, expected):
    assert body_of(one(body=body)) == expected
    assert one(request_body=body).body == expected


def test_the_layout_of_its_old_httpx_stub_is_read():
    found = one(
        status=..., body=..., status_code=201, http_version="HTTP/1.1", content="data: x\n\n", headers={"A": "b"}
    )

    assert (found.status, body_of(found), found.response_headers) == (201, b"data: x\n\n", (("A", "b"),))


def test_a_body_that_was_parsed_is_written_again():
    found = one(body=..., parsed_body={"a": ["é", 1]}, request_body=..., request_parsed_body={"b": None})

    assert body_of(found) == '{"a":["é",1]}'.encode()
    assert found.body == b'{"b":null}'


def test_headers_fit_the_body_as_it_was_kept():
    headers = {"Content-Encoding": ["gzip"], "Content-Length": ["7"], "X": ["1", "2"]}
    unpacked = one(headers=headers, body={"string": "unpacked"})
    packed = one(headers=headers, body={"string": gzip.compress(b"x")})

    assert unpacked.response_headers == (("Content-Length", "8"), ("X", "1"), ("X", "2"))
    assert packed.response_headers[0] == ("Content-Encoding", "gzip")


OLD = """
- request: !!python/object:vcr.request.Request
    body: '{{"model": "m"}}'
    headers: {headers}
    host: api.example
    method: POST
    path: /v1/models?a=b
    port: {port}
    protocol: {scheme}
  response:
    body: {{string: !!python/unicode 'ok'}}
    headers: ["Content-Type: text/plain\\r\\n", "Date: Mon, 1 Jan 2013 10:00:00 GMT\\r\\n"]
    status: {{code: 200, message: OK}}
"""


@pytest.mark.parametrize(
    "headers",
    [
        "!!python/object/apply:__builtin__.frozenset [[!!python/tuple [Accept, text/plain]]]",
        "!!python/object/apply:builtins.frozenset [[!!python/tuple [Accept, text/plain]]]",
        "{Accept: text/plain}",
    ],
)
@pytest.mark.parametrize(
    ("scheme", "port", "url"),
    [
        ("https", 443, "https://api.example/v1/models?a=b"),
        ("http", 80, "http://api.example/v1/models?a=b"),
        ("https", 8443, "https://api.example:8443/v1/models?a=b"),
    ],
)
def test_a_cassette_of_before_version_1_is_read(headers, scheme, port, url):
    (found,) = read_vcr(OLD.format(headers=headers, scheme=scheme, port=port).encode())

    assert (found.method, found.url, found.headers) == ("POST", url, (("Accept", "text/plain"),))
    assert (found.body, found.status, body_of(found)) == (b'{"model": "m"}', 200, b"ok")
    assert found.response_headers == (("Content-Type", "text/plain"), ("Date", "Mon, 1 Jan 2013 10:00:00 GMT"))


def test_bodies_that_were_files_or_iterators_are_read():
    body = "!!python/object/new:_io.BytesIO {state: !!python/tuple [!!binary /wE=, 0, null]}"
    pieces = "!!python/object/apply:builtins.iter {args: [[!!binary /wE=, a]]}"
    text = "interactions:\n- request: {{method: POST, uri: 'http://a.example/', headers: {{}}, body: {}}}\n  response: {}\n"
    response = json.dumps(RESPONSE)

    assert read_vcr(text.format(body, response).encode())[0].body == b"\xff\x01"
    assert read_vcr(text.format(pieces, response).encode())[0].body == b"\xff\x01a"


def test_a_cassette_of_langchain_is_read():
    recorded = {"requests": [{**REQUEST, "headers": {"A": [["b"]]}}], "responses": [RESPONSE]}

    (found,) = read_vcr(gzip.compress(yaml.safe_dump(recorded).encode()))

    assert (found.url, found.headers, body_of(found)) == (REQUEST["uri"], (("A", "b"),), "é".encode())


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b", b"\x1f\x8bxxxxxxxxxxxxxxx", gzip.compress(b"a: 1", mtime=0)[:-12]],
    ids=["head", "noise", "cut"],
)
def test_damaged_gzip_is_refused(data):
    with pytest.raises(CassetteError, match="this is damaged gzip"):
        read_vcr(data)


def test_a_cassette_of_betamax_is_read():
    side = {"encoding": "utf-8", "string": ""}
    recorded = {
        "http_interactions": [
            {
                "request": {**REQUEST, "body": side},
                "response": {**RESPONSE, "body": {"encoding": None, "base64_string": "/wA="}, "url": REQUEST["uri"]},
                "recorded_at": "2013-09-28T01:25:38",
            }
        ],
        "recorded_with": "betamax/0.4.2",
    }

    (found,) = read_vcr(json.dumps(recorded).encode(), is_json=True)

    assert (found.method, found.url, body_of(found)) == ("GET", REQUEST["uri"], b"\xff\x00")


def test_times_are_not_in_the_source_and_so_they_are_refused(tmp_path):
    found = one(request_uri="https://api.example/v1/chat/completions", request_method="POST", body={"string": STREAM})
    save_cassette(tmp_path / "a.jsonl", lines_of([found]))
    transcript = Transcript()

    with (
        virtual_time(),
        use_cassette(tmp_path / "a.jsonl", transcript=transcript),
        httpx2.Client(verify=False) as client,
    ):
        client.post(found.url)

    transcript.expect("openai.chat").text("Hello wörld 👋").completed().nothing_more()
    with pytest.raises(TranscriptError, match="instant"):
        transcript.expect("openai.chat").text("Hello wörld 👋", at=0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no interactions in it"),
        ("a: 1", "no interactions in it"),
        ("[1]", "no interactions in it"),
        ("interactions: 1", "no interactions in it"),
        ("&a [*a]", "no interactions in it"),
    ],
)
def test_other_files_are_told_from_cassettes(text, problem):
    with pytest.raises(NotVcr, match=problem):
        read_vcr(text.encode())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "this cannot be read as YAML at line 2"),
        ("\x00", "this cannot be read as YAML"),
        ("[" * 100_000, "this cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [ls]", "it has a YAML object in it, .*os.system"),
        ("a: !!python/name:os.system", "it has a YAML object in it"),
        ("a: !mine {}", "it has a YAML object in it"),
        (
            "interactions: [{request: {}, response: {status: 200}}]",
            "interaction 1 is no exchange of vcr's: it lacks 'method'",
        ),
        ("interactions: [{request: 1, response: 1}]", "interaction 1 is no exchange of vcr's: it has no request"),
        ("interactions: [{request: {}, response: {}}, 1]", "it lacks 'status'"),
        ("interactions: [{request: {}, response: {status: {code: OK}}}]", "its status is 'OK'"),
        ("interactions: [{request: {}, response: {status: 200, body: {text: a}}}]", "its body is {'text': 'a'}"),
    ],
)
def test_what_is_wrong_is_said(text, problem):
    with pytest.raises(CassetteError, match=problem):
        read_vcr(text.encode())


def test_a_body_that_refers_to_itself_over_and_over_is_refused():
    levels = "".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}], " for n in range(1, 12))
    text = f"x: [&a0 [1], {levels}]\ninteractions: [{{request: {json.dumps(REQUEST)}, response: {{status: 200, parsed_body: *a11}}}}]"

    with pytest.raises(CassetteError, match="its body refers to itself over and over"):
        read_vcr(text.encode())


WORDS = (
    "interactions:",
    "- request:",
    "  response:",
    "{}",
    "[]",
    "&a",
    "*a",
    "!!binary",
    "string",
    ": ",
    "\n",
    "  ",
    "1",
    "'",
    "é",
)


@given(st.lists(st.sampled_from(WORDS), max_size=30).map("".join) | st.text(max_size=60))
@examples(200)
def test_any_file_is_read_or_refused(text):
    for is_json in (False, True):
        try:
            read_vcr(text.encode("utf-8", "surrogatepass"), is_json=is_json)
        except CassetteError as error:
            assert str(error)
