"""Private keys, known to nobody, as OpenSSL, OpenSSH and OpenPGP write them: whole, spelt out by deltas, and cut off."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import script
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.events import fold
from pytest_streamrt.providers import decode, encode
from tests.strategies import cut_text, examples, sizes


def lines(width, size=400):
    code = base64.b64encode(bytes(n * 97 % 251 for n in range(size))).decode()
    return [code[at : at + width] for at in range(0, len(code), width)]


def armoured(name, *headers, width=64, end=()):
    return "\n".join([f"-----BEGIN {name}-----", *headers, *lines(width), *end, f"-----END {name}-----"])


KEYS = {
    "pkcs 8": armoured("PRIVATE KEY"),
    "encrypted": armoured("ENCRYPTED PRIVATE KEY"),
    "openssl": armoured("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0F1E2D3C4B5A6978", ""),
    "openssh": armoured("OPENSSH PRIVATE KEY", width=70),
    "openpgp": armoured(
        "PGP PRIVATE KEY BLOCK", "Version: GnuPG v2.0-x", "Comment: https://a-b.example/-c", "", end=["=Qx7Z"]
    ),
}
KEYS["openssl with \\r\\n"] = KEYS["openssl"].replace("\n", "\r\n")


def clean(text):
    return Redactor(environment={}).text(text)


@pytest.mark.parametrize("name", KEYS)
def test_in_any_text(name):
    assert clean(f"before\n{KEYS[name]}\nafter") == f"before\n{PLACEHOLDER}\nafter"


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_in_json_however_deep(name, depth):
    body = KEYS[name]
    for _ in range(depth):
        body = json.dumps({"key": body, "after": 1})

    left = clean(body)

    for _ in range(depth - 1):
        left = json.loads(left)["key"]
    assert json.loads(left) == {"key": PLACEHOLDER, "after": 1}


@given(name=st.sampled_from(sorted(KEYS)), deltas=sizes, kept=st.floats(0, 1))
@examples(40)
def test_spelt_out_by_deltas_and_cut_off_anywhere(name, deltas, kept):
    key = KEYS[name]
    said = f"It is:\n{key}"[: 1 + round(len(key) * kept)]
    frames = encode(script(*cut_text(said, deltas)), "openai.chat")

    left, _ = Redactor(environment={}).chunks(frames)

    text = fold(decode(left, "openai.chat")).text
    for line in key.splitlines()[4:-1]:
        if len(line) > 8:
            assert line[:16] not in text


@pytest.mark.parametrize(
    "text",
    [
        "It begins with -----BEGIN RSA PRIVATE KEY-----, and then come lines of base64.",
        "-----BEGIN PRIVATE KEY-----\n...",
        "-----BEGIN PUBLIC KEY-----\n" + "\n".join(lines(64)) + "\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + "\n".join(lines(64)) + "\n-----END CERTIFICATE-----",
        "No PRIVATE KEY at all ----- none",
    ],
)
def test_what_is_none_stays(text):
    assert clean(text) == text


def test_what_comes_after_one_that_was_cut_off_stays():
    begun = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines(64)[:3]])

    assert (
        clean(f"It is:\n{begun}\n\nThat is all I have of it.") == f"It is:\n{PLACEHOLDER}\n\nThat is all I have of it."
    )
    assert clean(f'{{"key": {json.dumps(begun)}, "n": 1}}') == f'{{"key": "{PLACEHOLDER}", "n": 1}}'


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("end", ["\n", "\\n"])
def test_each_line_of_one_that_is_known_as_in_a_diff(name, end):
    key = KEYS[name].replace("\r\n", "\n")
    redactor = Redactor(environment={"SIGNING_KEY": key.replace("\n", end)})

    diff = "\n".join(f"E   - {line}" for line in key.split("\n")[1:-1])
    shown = redactor.text(f"E   - a\n{diff}\nE   - b")

    for line in lines(70 if name == "openssh" else 64):
        assert len(line) < 12 or line not in shown
    assert shown.startswith("E   - a\nE   - ")
    assert shown.endswith("\nE   - b")
    assert ("Proc-Type" in shown) == ("Proc-Type" in key)


def test_words_and_sentences_in_a_secret_of_several_lines_are_none():
    redactor = Redactor(
        environment={"SOME_CREDENTIALS": '{\n  "type": "service_account",\n  documentation\n  k9-4711-xyz-81\n}'}
    )

    text = 'a "type": "service_account", and documentation'
    assert redactor.text(text) == text
    assert redactor.text("it is k9-4711-xyz-81") == f"it is {PLACEHOLDER}"


def test_a_line_that_is_a_secret_of_its_own_is_known_as_one():
    redactor = Redactor(environment={"A_KEY": "one/line-4711-xyz\nand-another-4712", "B_KEY": "one/line-4711-xyz"})

    assert redactor.text('"one\\/line-4711-xyz"') == f'"{PLACEHOLDER}"'
    assert PLACEHOLDER in redactor.text(base64.b64encode(b"one/line-4711-xyz").decode())
