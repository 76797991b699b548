"""Secrets in bodies that are not quite what they say, and in headers that hold URLs: none of them reaches the disk."""

from __future__ import annotations

import gzip
import json
import re

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask
from tests.strategies import cut_text, examples, sizes

KEY = "sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3"  # known to nobody, but for its looks
OPAQUE = "Zx81-qwerty-55-plain"  # which looks like nothing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.jsonl"


def clean(chunks, headers=(), **environment):
    found, _ = Redactor(environment=environment).chunks(chunks, headers)
    assert [len(chunk) for chunk in found] == [len(chunk) for chunk in chunks]
    return b"".join(found).decode()


@pytest.mark.parametrize(
    "body",
    [
        f'data: {{"text": "mine is {KEY}',  # the connection was lost here
        f'data: {{"text": "mine is {KEY}\\',
        f'data: {{"{KEY}": 1}}\n\n',
        f'data: {{"{KEY}": "a"}}\n\n',
        f"{{'error': 'no such key: {KEY}'}}",  # Python's, not JSON
        f"{{ {KEY} }}",
        f'data: {{"a": 1}} {KEY}\n\n',
        f'{{"a": 1}}\n{{"b": {KEY}}}\n',
    ],
)
def test_where_json_is_cut_short_or_is_none(body):
    assert clean([body.encode()]) == body.replace(KEY, PLACEHOLDER + "*" * (len(KEY) - len(PLACEHOLDER)))


@pytest.mark.parametrize(
    "before", ["\\n", "\\t", "\\r\\n", "\\\\n", "\\u00e9", "\\u4e2d", "\\u2028", "%0A", "%C3%A9", "é", "密钥"]
)
def test_right_after_a_line_s_end_or_a_letter_beyond_ascii(before):
    event = f'data: {{"text":"my keys:{before}{KEY}是"}}\n\n'
    placeholder = PLACEHOLDER + "*" * (len(KEY) - len(PLACEHOLDER))

    assert clean([event.encode()]) == event.replace(KEY, placeholder)
    assert Redactor(environment={}).body(event.encode()).decode() == event.replace(KEY, placeholder)


@pytest.mark.parametrize("head", ["", "data: "])
@pytest.mark.parametrize("other", ["xyz", "long enough to be one-"])
def test_a_string_beside_others_of_its_name(other, head):
    event = f'{head}{{"all": [{{"value": "{other}"}}, {{"value": "{KEY}"}}, {{"value": "z"}}, "{other}", "{KEY}"]}}\n\n'

    assert clean([event.encode()]) == event.replace(KEY, PLACEHOLDER + "*" * (len(KEY) - len(PLACEHOLDER)))


def test_a_last_delta_that_is_cut_short_belongs_to_those_before():
    body = "".join(f'data: {{"id": "a", "text": "{piece}"}}\n\n' for piece in cut_text(KEY, [9]))

    left = clean([body.removesuffix('"}\n\n').encode()])

    assert "".join(json.loads(line[6:])["text"] for line in left.split("\n\n")[:-1]) == PLACEHOLDER + "*" * 17
    assert left.endswith('"*****')


def test_what_stands_in_events_beside_their_strings_stays():
    frames = [f'event: a.b\ndata: {{"n":{n},"at":1712345678.5e3,"ok":true,"no":null,"t":"x"}}\n\n' for n in range(3)]
    body = "".join([*frames, "data: [DONE]\n\n"])
    found = Redactor(environment={}, patterns=[re.compile(r"\d{10}")])

    assert b"".join(found.chunks([body.encode()])[0]).decode() == body


@pytest.mark.parametrize("secret", ["p{ss[w0rd]12345", '"quoted-secret-9"', KEY])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_plain_text_that_begins_like_json_and_any_line_ends(secret, end):
    frames = [f"data: {letter}{end}{end}" for letter in f"it is {secret}."]

    left = clean([frame.encode() for frame in frames], A_PASSWORD=secret)

    said = "".join(line[6:] for line in left.split(end) if line)
    assert said == f"it is {PLACEHOLDER}{'*' * (len(secret) - len(PLACEHOLDER))}."


def test_the_tokens_that_a_model_might_have_said_instead():
    frames = []
    for piece in cut_text(OPAQUE, [3]):
        as_bytes = list(piece.encode())
        others = [
            {"token": piece, "logprob": -0.1, "bytes": as_bytes},
            {"token": "other", "logprob": -3.0, "bytes": [9]},
        ]
        delta = {"content": piece}
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": {"content": [{"token": piece, "logprob": -0.1, "bytes": as_bytes, "top_logprobs": others}]},
        }
        frames.append(f"data: {json.dumps({'id': 'chatcmpl-1', 'choices': [choice]})}\n\n".encode())

    left = clean(frames, A_TOKEN=OPAQUE)

    tokens = [json.loads(line[6:])["choices"][0]["logprobs"]["content"][0] for line in left.split("\n\n") if line]
    for said in ("".join(t["token"] for t in tokens), "".join(t["top_logprobs"][0]["token"] for t in tokens)):
        assert said == PLACEHOLDER + "*" * (len(OPAQUE) - len(PLACEHOLDER))
    assert {t["top_logprobs"][1]["token"] for t in tokens} == {"other"}
    assert {number for t in tokens for number in (*t["bytes"], *t["top_logprobs"][0]["bytes"])} <= {1, 11, 111}
    assert {tuple(t["top_logprobs"][1]["bytes"]) for t in tokens} == {(9,)}


@pytest.mark.parametrize("indent", [None, 2])
def test_the_bytes_of_tokens_of_an_answer_that_came_at_once(indent):
    tokens = [{"token": piece, "bytes": list(piece.encode())} for piece in cut_text(f"it is {OPAQUE}!", [3])]

    left = json.loads(clean([json.dumps({"content": tokens}, indent=indent).encode()], A_TOKEN=OPAQUE))["content"]

    numbers = [number for token in left for number in token["bytes"]]
    assert bytes(numbers).startswith(b"it is ")
    assert bytes(numbers).endswith(b"!")
    assert set(numbers[6:-1]) <= {1, 11, 111}


def test_a_secret_that_comes_in_equal_parts():
    secret = "hunter2!hunter2!"

    left = clean([b'data: {"id": "a", "text": "hunter2!", "n": 1}\n\n'] * 2, A_PASSWORD=secret)

    assert left == "".join(f'data: {{"id": "a", "text": "{half}", "n": 1}}\n\n' for half in ("[redacte", "d]******"))


@pytest.mark.parametrize("name", ["id", "messageId", "toolCallId", "part_id"])
@pytest.mark.parametrize("numbered", [True, False])
def test_texts_that_come_interleaved_by_their_ids(name, numbered):
    frames = []
    other = "nothing of any interest here"
    for number, pair in enumerate(zip(cut_text(KEY, [5]), cut_text(other, [5]), strict=False)):
        for id, piece in zip("ab", pair, strict=True):
            event = {"type": "delta", name: id, "delta": piece, **({"event_id": f"{number}{id}"} if numbered else {})}
            frames.append(f"data: {json.dumps(event)}\n\n".encode())

    left = [json.loads(line[6:]) for line in clean(frames).split("\n\n") if line]

    said = {id: "".join(event["delta"] for event in left if event[name] == id) for id in "ab"}
    assert said["b"] == other[: len(said["b"])]
    assert said["a"] == PLACEHOLDER + "*" * (len(said["a"]) - len(PLACEHOLDER))


def zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


@pytest.mark.parametrize("secret", [KEY, OPAQUE])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_where_each_event_was_packed_by_itself(encoding, together, secret, path, monkeypatch):
    monkeypatch.setenv("A_TOKEN", OPAQUE)
    pack = gzip.compress if encoding == "gzip" else zstd
    chunks = [pack(f"data: {text}.\n\n".encode() * 20) for text in ("hello", f"it is {secret}", "bye")]
    chunks = [b"".join(chunks)] if together else chunks

    network = Network(chunks, headers=[("content-encoding", encoding)])
    with intercept(network), use_cassette(path, record="once"), httpx2.Client(verify=False) as client:
        with client.stream("POST", URL, json=ASK) as response:
            list(response.iter_raw())

    (recorded,) = load_cassette(path)
    left = gzip.decompress(b"".join(chunk.data for chunk in recorded.chunks)).decode()
    assert secret not in left
    assert left.count("data: hello") == left.count(f"data: it is {PLACEHOLDER}") == left.count("data: bye") == 20
    assert len(recorded.chunks) == len(chunks)


@pytest.mark.parametrize(
    "value",
    [
        "/back?state=1&code={}",
        "//login.example/back?id_token={}",
        "https://login.example/back#access_token={}&state=1",
        "https://login.example/back#/route?token={}",
        "wss://api.example/v1/realtime?api-key={}",
        "HTTPS://api.example/?token={}",
        "<https://api.example/?page=2&private_token={}>; rel=next",
        "0; url=https://api.example/?secret={}",
        "https://me:{}@api.example/",
        "<https://me:{}@api.example/>; rel=next",
        "http://[not-a-host/?key={}",
    ],
)
def test_a_url_in_a_header(value, path):
    network = Network(
        [f"it is at {value.format(OPAQUE)}".encode()], answer("b"), headers=[("location", value.format(OPAQUE))]
    )
    with intercept(network), use_cassette(path, record="once"):
        ask(headers={"x-from": value.format(OPAQUE)})

    assert OPAQUE.encode() not in path.read_bytes()
    (recorded,) = load_cassette(path)
    left = dict(recorded.response_headers)["location"].lower()
    assert left in (value.format("redacted").lower(), value.replace("me:{}", "redacted").lower())


@pytest.mark.parametrize(
    "value",
    ["/a/b?page=2#top", "https://h.example/?q=a=b&c#d", 'W/"abc?x=1"', "max-age=3; a=b", "http://[x", "a@b://c"],
)
def test_a_header_without_secrets_stays_as_it_is(value):
    assert Redactor(environment={}).headers([("x-any", value)]) == (("x-any", value),)


def test_a_url_that_is_none_is_recorded_without_its_secrets():
    redactor = Redactor(environment={})
    redactor.learn([], f"http://[nowhere/?api_key={OPAQUE}")

    assert redactor.url(f"http://[nowhere/?api_key={OPAQUE}") == "http://[nowhere/?api_key=redacted"
    assert redactor.text(f"with {OPAQUE}") == f"with {PLACEHOLDER}"


def test_a_cookie_that_an_earlier_answer_has_told(path):
    class Two(Network):
        def handle(self, library, transport, request, forward):
            self.headers = self.headers[:1] if not self.requests else [("set-cookie", f"sid={OPAQUE}")]
            return super().handle(library, transport, request, forward)

    with intercept(Two([f"your session will be {OPAQUE}".encode()], [b"ok"])), use_cassette(path, record="once"):
        ask()
        ask({**ASK, "model": "n"})

    assert OPAQUE.encode() not in path.read_bytes()


def test_a_cookie_that_the_user_s_function_takes_away_is_known_all_the_same(path):
    def without_cookies(response):
        response.headers = [(name, value) for name, value in response.headers if name != "set-cookie"]
        return response

    network = Network([f"your session is {OPAQUE}".encode()], headers=[("set-cookie", f"sid={OPAQUE}")])
    with intercept(network), use_cassette(path, record="once", before_record_response=without_cookies):
        ask()

    assert OPAQUE.encode() not in path.read_bytes()


@pytest.mark.parametrize("field", ["client_secret", "refresh_token", "password"])
def test_a_form_that_asks_for_a_token(field, path):
    def post(secret):
        with httpx2.Client(verify=False) as client:
            return client.post(URL, data={"grant_type": "x", field: secret}).content

    with intercept(Network([f"not {OPAQUE}".encode()])), use_cassette(path, record="once"):
        recorded = post(OPAQUE)
    assert OPAQUE.encode() not in path.read_bytes()
    with use_cassette(path):
        assert len(post("another-secret-of-mine")) == len(recorded)


@given(
    constant=st.dictionaries(
        st.sampled_from(["id", "type", "a", "index"]),
        st.sampled_from(["x", "", "{", '\\"{', "data: {", 0, None, [], ["x"], {"t": 0}]),
    ),
    last=st.dictionaries(st.sampled_from(["finish", "z"]), st.sampled_from(["x", "", None, 1, ["x"], {}])),
    head=st.sampled_from(["data: ", "data:", ""]),
    end=st.sampled_from(["\n", "\r\n"]),
    between=st.lists(
        st.sampled_from([": ping", "event: x", "", '"', '{"', "[", 'data: {"a":"cut', 'data: {"a":"x"}']), max_size=9
    ),
    nested=st.sampled_from(["plain", "object", "array"]),
    pieces=sizes,
    window=st.integers(1, 60),
    many=st.sampled_from([1, 64]),
)
@examples(200)
def test_whatever_all_events_begin_and_end_with(constant, last, head, end, between, nested, pieces, window, many):
    secret = 'ab"ca{b-12\\3é4ab'
    lines = []
    for number, piece in enumerate([*["<"] * many, *cut_text(f"{secret}>", pieces)]):
        value = {"plain": {"t": piece}, "object": {"d": {"t": piece}}, "array": {"d": [{"t": piece}]}}[nested]
        lines += [
            head + json.dumps({**constant, **value, **last}, separators=(",", ":")),
            *between[number : number + 1],
        ]
    whole = end.join([*lines, ""]).encode()
    chunks = [whole[at : at + window] for at in range(0, len(whole), window)]

    left = clean(chunks, A_SECRET=secret).split(end)

    said = ""
    for line in left:
        if line.startswith(f"{head}{{") and (event := loaded(line.removeprefix(head))):
            inner = event.get("d", event)
            said += (inner[0] if isinstance(inner, list) else inner).get("t", "")
    assert said.startswith("<" * many)
    assert said.endswith(">")
    assert set(said[many:-1]) <= set(PLACEHOLDER + "*")


def loaded(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_a_redirect_with_a_secret_is_followed_at_the_replay_too(path):
    class Redirecting(Network):
        def handle(self, library, transport, request, forward):
            response = super().handle(library, transport, request, forward)
            if len(self.requests) == 1:
                response.status_code = 302
                response.headers["location"] = f"/back?code={OPAQUE}#access_token={KEY}"
            return response

    def follow():
        with httpx2.Client(verify=False, follow_redirects=True) as client:
            return client.get("https://api.example/login").content

    with intercept(Redirecting([b"moved"], [f"you came with {OPAQUE}".encode()])), use_cassette(path, record="once"):
        assert follow() == f"you came with {OPAQUE}".encode()

    assert OPAQUE.encode() not in path.read_bytes()
    assert KEY.encode() not in path.read_bytes()
    with use_cassette(path):
        assert follow().startswith(b"you came with [redacted]")
