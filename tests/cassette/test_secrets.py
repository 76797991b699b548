"""What never reaches the disk: keys in headers, URLs and bodies, also where a chunk's end cuts them in two."""

from __future__ import annotations

import base64
from itertools import pairwise

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask

CANARY = "sk-canary-7f3a91bc-0123456789"

OPAQUE = "Zx81qwerty55plain"  # which looks like nothing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.jsonl"


def record(path, network, *, url=URL, **options):
    with intercept(network), use_cassette(path, record="once"):
        return ask(url=url, **options)


def on_disk(path):
    return b"".join(each.read_bytes() for each in path.parent.rglob("*") if each.is_file())


@pytest.mark.parametrize(
    "header",
    [
        "Authorization",
        "api-key",
        "x-api-key",
        "X-Goog-Api-Key",
        "Cookie",
        "OpenAI-Organization",
        "openai-project",
        "Proxy-Authorization",
    ],
)
def test_of_a_request_no_secret_header(header, path):
    record(path, Network(answer("x")), headers={header: f"Bearer {CANARY}"})

    assert CANARY.encode() not in on_disk(path)
    assert (header.lower(), "[redacted]") in [(n.lower(), v) for n, v in load_cassette(path)[0].headers]


@pytest.mark.parametrize("header", ["set-cookie", "openai-organization"])
def test_of_a_response_no_secret_header(header, path):
    record(path, Network(answer("x"), headers=[(header, CANARY)]))

    assert CANARY.encode() not in on_disk(path)


@pytest.mark.parametrize(
    "url",
    [
        f"{URL}?key={CANARY}",
        f"{URL}?api-version=1&api_key={CANARY}&sig={CANARY}",
        f"https://{CANARY}@api.example/v1/chat/completions",
        f"https://user:{CANARY}@api.example/v1/chat/completions",
    ],
)
def test_no_key_in_the_url_and_it_plays_all_the_same(url, path):
    live = record(path, Network(answer("x")), url=url)

    assert CANARY.encode() not in on_disk(path)
    with use_cassette(path):
        assert ask(url=url.replace(CANARY, "another-key")) == live


def test_a_key_that_the_provider_repeats_in_its_answer(path):
    error = f'{{"error": {{"message": "Incorrect API key provided: {CANARY}."}}}}'.encode()
    record(path, Network([error], status=401), headers={"Authorization": f"Bearer {CANARY}"})

    assert CANARY.encode() not in on_disk(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(cuts=st.lists(st.integers(1, 70), max_size=6))
def test_also_where_chunks_cut_it_and_the_cuts_stay(cuts, tmp_path):
    path = tmp_path / "one.jsonl"
    path.unlink(missing_ok=True)
    whole = f"data: before {CANARY} between {CANARY} after\n\n".encode()
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    chunks = [whole[a:b] for a, b in pairwise(edges)]
    record(path, Network(chunks), headers={"Authorization": f"Bearer {CANARY}"})

    assert CANARY.encode() not in on_disk(path)
    (recorded,) = load_cassette(path)
    assert [len(chunk.data) for chunk in recorded.chunks] == [len(chunk) for chunk in chunks]
    clean = b"".join(chunk.data for chunk in recorded.chunks)
    assert CANARY.encode() not in clean
    assert clean.startswith(b"data: before [redacted]*")


@pytest.mark.parametrize("name", ["MY_API_KEY", "service_token", "DB_PASSWORD", "AUTH_HEADER"])
def test_no_value_of_an_environment_variable_that_looks_like_a_secret(name, path, monkeypatch):
    monkeypatch.setenv(name, CANARY)
    with (
        intercept(Network([CANARY.encode()])),
        use_cassette(path, record="once"),
        httpx2.Client(verify=False) as client,
    ):
        client.post(URL, json={**ASK, "note": f"my key is {CANARY}"}, headers={"x-note": CANARY})

    assert CANARY.encode() not in on_disk(path)
    with use_cassette(path):  # the placeholder matches anything, so another key will do
        ask({**ASK, "note": "my key is another"})


@pytest.mark.parametrize("value", ["short", "ordinary words", "a/path/to/a/key"])
def test_ordinary_words_are_no_secrets(value, path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", value)
    record(path, Network([f"data: {value}\n\n".encode()]))

    assert value.encode() in on_disk(path)


def test_headers_and_parameters_of_ones_own(path):
    url = f"{URL}?tenant={CANARY}"
    filters = {"filter_headers": ["X-Tenant"], "filter_query_parameters": ["tenant"]}
    with intercept(Network(answer("x"))), use_cassette(path, record="once", **filters):
        ask(url=url, headers={"x-tenant": CANARY})

    assert CANARY.encode() not in on_disk(path)


def test_an_error_message(path):
    class Broken(Network):
        def handle(self, library, transport, request, forward):
            raise library.ConnectError(f"cannot connect with {CANARY}")

    with intercept(Broken()), use_cassette(path, record="once"), pytest.raises(httpx2.ConnectError):
        ask(headers={"Authorization": f"Bearer {CANARY}"})

    assert CANARY.encode() not in on_disk(path)


@pytest.mark.parametrize(
    ("header", "value", "secret"),
    [
        ("cookie", f"theme=dark; sid={CANARY}", CANARY),
        ("set-cookie", f'sid="{CANARY}"; Path=/; HttpOnly', CANARY),
        ("authorization", f"Bearer {CANARY}", CANARY),
        ("authorization", "Basic " + base64.b64encode(f"user:{CANARY}".encode()).decode(), CANARY),
        ("authorization", "Basic " + base64.b64encode(f"{OPAQUE}:".encode()).decode(), OPAQUE),
        ("authorization", f'Token token="{OPAQUE}"', OPAQUE),
        ("authorization", f'Digest username="me", uri="/", response="{OPAQUE}", qop=auth', OPAQUE),
        ("authorization", f"AWS4-HMAC-SHA256 Credential={OPAQUE}/20261121/x, SignedHeaders=host, Signature=a1", OPAQUE),
        ("authorization", f"AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host;x-date, Signature={OPAQUE}", OPAQUE),
    ],
)
def test_what_was_in_a_header_is_found_in_a_body(header, value, secret, path):
    headers = [(header, value)] if header == "set-cookie" else []
    network = Network([f"data: you are {secret}\n\n".encode()], headers=headers)
    record(path, network, headers={} if header == "set-cookie" else {header: value})

    assert secret.encode() not in on_disk(path)


def test_the_rest_of_what_authorizes_is_no_secret(path):
    header = "AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=content-type;host, Signature=a1"
    basic = "Basic " + base64.b64encode(b"administrator:a1").decode()
    network = Network([b"data: an administrator sets the content-type\n\n"])
    record(path, network, headers={"authorization": header, "proxy-authorization": basic})

    assert b"an administrator sets the content-type" in on_disk(path)


def test_the_rest_of_a_cookie_is_no_secret(path):
    network = Network(
        [b"data: at api.provider.example\n\n"], headers=[("set-cookie", f"sid={CANARY}; Domain=api.provider.example")]
    )
    record(path, network)

    assert b"at api.provider.example" in on_disk(path)


@pytest.mark.parametrize("value", ["sk-QwErTyUiOpAsDfGhJkLzXcVbNm", "QwErTyUiOpAsDfGhJkLz", "sk-abcdefghijklmnop"])
def test_a_key_of_letters_alone_is_no_ordinary_word(value, path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", value)
    record(path, Network([f"data: {value}\n\n".encode()]))

    assert value.encode() not in on_disk(path)


@pytest.mark.parametrize("where", ["path", "form"])
def test_what_was_redacted_in_a_url_or_a_form_plays_all_the_same(where, path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    url = f"https://api.example/{CANARY}/chat" if where == "path" else URL
    form = {"key": CANARY, "q": "a"} if where == "form" else {"q": "a"}

    def post():
        with httpx2.Client(verify=False) as client:
            return client.post(url, data=form).content

    with intercept(Network(answer("a"))), use_cassette(path, record="once"):
        recorded = post()
    assert CANARY.encode() not in on_disk(path)
    monkeypatch.setenv("SOME_API_KEY", "placeholder-of-another-length")
    with use_cassette(path):
        assert post() == recorded
