"""Secrets in base64, as `Authorization: Basic` has them: alone or within something longer, in either alphabet."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import script, use_cassette
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.events import fold
from pytest_streamrt.providers import decode, encode
from tests.cassette.recordings import ASK, Network, ask
from tests.strategies import examples

CANARY = "q7Xz9-béta+7f3a91bc?0123~~>"  # whose two alphabets differ
ALPHABETS = [base64.b64encode, base64.urlsafe_b64encode]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    return tmp_path / "one.jsonl"


def shows(text, code, before):
    """Whether the text has eight characters in a row of what that base64 says of the secret, behind so many other bytes."""
    own = code[before * 8 // 6 : -(-(before + len(CANARY.encode())) * 8 // 6)]
    return any(own[i : i + 8] in text for i in range(len(own) - 7))


@settings(parent=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.binary(max_size=8), after=st.binary(max_size=8), alphabet=st.sampled_from(ALPHABETS))
def test_it_is_taken_out_of_any_text_and_what_stands_around_it_stays(path, before, after, alphabet):
    code = alphabet(before + CANARY.encode() + after).decode()
    assert shows(code, code, len(before))

    clean = Redactor().text(f"one {code} two")

    assert not shows(clean, code, len(before))
    assert clean.startswith(f"one {code[: len(before) * 8 // 6]}")
    assert clean.endswith(" two")
    assert clean.count(PLACEHOLDER) == 1


@pytest.mark.parametrize("alphabet", ALPHABETS)
@pytest.mark.parametrize("user", ["", "u", "us", "user"])
def test_one_in_a_request_is_not_kept_and_the_request_is_answered_all_the_same(path, alphabet, user):
    code = alphabet(f"{user}:{CANARY}".encode()).decode()
    body = ASK | {"tools": [{"type": "mcp", "headers": {"Authorization": f"Basic {code}"}}]}
    frames = encode(script("Hello"), "openai.chat")
    with intercept(Network(frames)), use_cassette(path, record="once"):
        ask(body)
    with use_cassette(path):
        played = ask(body)

    assert not shows(path.read_text(), code, len(user) + 1)
    assert played == b"".join(frames)


WRAPPED = ["\n", "\r\n", "\\n", "\\r\\n", "\n    ", "\\n  ", "\\\\n", "\\u000a"]


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("end", WRAPPED)
@pytest.mark.parametrize("before", [20, 31, 40])
def test_where_it_is_wrapped(path, width, end, before):
    code = base64.b64encode(b"-" * before + CANARY.encode() + b"-" * 70).decode()
    wrapped = end.join(code[at : at + width] for at in range(0, len(code), width))

    for written in (wrapped, wrapped.replace("/", "\\/")):
        clean = Redactor().text(f"{written}.")

        assert not shows(clean.replace(end, "").replace("\\/", "/"), code, before)
        assert clean.count(PLACEHOLDER) == 1
        assert clean.startswith(written[:20])
        assert clean.endswith(f"{written[-20:]}.")


@pytest.mark.parametrize("width", [64, 76])
def test_where_it_is_wrapped_in_what_a_model_spells_out(path, width):
    code = base64.encodebytes(b"-" * 31 + CANARY.encode() + b"-" * 70).decode().rstrip("\n")
    assert "\n" in code[:80]
    frames = encode(script(*(code[at : at + 7] for at in range(0, len(code), 7))), "openai.chat")

    clean, _ = Redactor().chunks(frames)

    said = fold(decode(clean, "openai.chat")).text.replace("\n", "")
    assert not shows(said, code.replace("\n", ""), 31)
    assert PLACEHOLDER in said


@pytest.mark.parametrize(
    "escape",
    [
        lambda code: code.replace("/", "\\/"),
        lambda code: quote(code, safe=""),
        lambda code: quote(quote(code, safe=""), safe=""),
        lambda code: code.replace("/", "\\u002f").replace("+", "\\u002B"),
        lambda code: "".join(f"&#{ord(each)};" if each in "+/=" else each for each in code),
    ],
)
def test_where_it_is_escaped(path, escape):
    code = base64.b64encode(b"us:" + CANARY.encode() + b"?").decode()
    assert escape(code) != code

    assert re.fullmatch(rf"one dXM6{re.escape(PLACEHOLDER)}\S{{0,9}} two", Redactor().text(f"one {escape(code)} two"))


def test_one_that_a_model_spells_out_is_not_kept(path):
    code = base64.b64encode(f"user:{CANARY}".encode()).decode()
    words = [code[i : i + 5] for i in range(0, len(code), 5)]
    with intercept(Network(encode(script("It is ", *words, "."), "openai.chat"))), use_cassette(path, record="once"):
        ask()

    kept = [json.loads(line) for line in path.read_text().splitlines()]
    deltas = [json.loads(each["text"][6:]) for each in kept if each.get("text", "").startswith("data: {")]
    said = "".join(choice["delta"].get("content") or "" for each in deltas for choice in each["choices"])
    assert said.startswith("It is dXNlc")
    assert said.endswith(".")
    assert not shows(said, code, len("user:"))
