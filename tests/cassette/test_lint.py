"""Secrets in cassettes that exist: found wherever they stand, and taken out without touching anything else."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, script
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.format import save_cassette
from pytest_streamrt.cassette.lint import PERSONAL, lint
from pytest_streamrt.cassette.recording import lines_of
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.providers import DIALECTS, decode, encode
from tests.cassette.test_faults import recording
from tests.strategies import chunked, examples, sizes

KEY = "sk-proj-0123456789abcdefghij"
VARIABLE = "correct-horse-battery-42-staple"


def redactor(**options):
    return Redactor(environment={"MY_TOKEN": VARIABLE}, **options)


def kept(folder, *interactions):
    path = folder / "a.jsonl"
    save_cassette(path, lines_of(interactions))
    return path


@pytest.fixture
def clean():
    found = recording("openai.chat", encode(script("Hel", "lo"), "openai.chat"))
    found.body = b'{"model":"m"}'
    found.headers = (("authorization", "[redacted]"),)
    return found


def changed(interaction, where, secret):
    """The exchange with that secret in that place; and the kind of line in which it then is."""
    match where:
        case "url":
            interaction.url += f"?api_key={secret}"
        case "user":
            interaction.url = interaction.url.replace("https://", f"https://me:{secret}@")
        case "header":
            interaction.headers = (("authorization", f"Bearer {secret}"),)
        case "other header":
            interaction.headers = (("x-note", f"it is {secret}"),)
        case "cookie":
            interaction.response_headers += (("set-cookie", f"sid={secret}; path=/"),)
            return "response"
        case "body":
            interaction.body = json.dumps({"messages": [f"my key is {secret}"]}).encode()
        case "escaped body":
            escaped = "".join(rf"\u{ord(each):04x}" for each in secret)
            interaction.body = f'{{"a":"{escaped}"}}'.encode()
        case "chunk":
            interaction.chunks[2] = type(interaction.chunks[2])(2, f"data: {{}}\n: {secret}\n\n".encode())
            return "chunk"
        case "error":
            interaction.how, interaction.error = "failed", ("ReadError", f"with {secret}")
            return "end"
    return "request"


PLACES = ["url", "user", "header", "other header", "cookie", "body", "escaped body", "chunk", "error"]


@pytest.mark.parametrize("secret", [KEY, VARIABLE], ids=["a key", "of the environment"])
@pytest.mark.parametrize("where", PLACES)
def test_a_secret_is_found_on_its_line_and_taken_out_of_it_alone(where, secret, clean, tmp_path):
    kind = changed(clean, where, secret)
    path = kept(tmp_path, clean)
    before = path.read_bytes().split(b"\n")

    found = lint(path, redactor())

    (leak,) = found.leaks
    line = before[leak.line - 1].decode()
    assert secret in re.sub(r"\\\\?u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), line)
    assert f'"{kind}"' in line or (kind == "chunk" and '"text"' in line)
    assert secret not in str(leak)
    after = found.data.split(b"\n")
    assert [n for n, (old, new) in enumerate(zip(before, after, strict=True), 1) if old != new] == [leak.line]
    path.write_bytes(found.data)
    assert lint(path, redactor()).leaks == []
    load_cassette(path)


@pytest.mark.parametrize("name", DIALECTS)
@given(cut=st.integers(1, len(KEY) - 1), sizes=sizes)
@examples(25)
def test_a_secret_that_is_cut_anywhere_is_found_and_cuts_and_times_stay(name, cut, sizes, tmp_path_factory):
    frames = encode(script("My key is ", KEY[:cut], KEY[cut:], ", keep it"), name)
    recorded = recording(name, chunked(b"".join(frames), sizes))
    path = kept(tmp_path_factory.mktemp("lint"), recorded)

    found = lint(path, redactor())

    assert {leak.what for leak in found.leaks} == {
        "an API key (sk-…)"
    }  # in some APIs more than once: the last events repeat it
    path.write_bytes(found.data)
    (after,) = load_cassette(path)
    assert [(c.at, len(c.data)) for c in after.chunks] == [(c.at, len(c.data)) for c in recorded.chunks]
    text = "".join(e.text for e in decode([c.data for c in after.chunks], name) if e.type == "text.delta")
    assert KEY not in text
    assert text.startswith("My key is [redacted]")
    assert text.endswith(", keep it")
    assert lint(path, redactor()).leaks == []


def test_a_packed_body_is_looked_into(clean, tmp_path):
    clean.response_headers += (("content-encoding", "gzip"),)
    clean.chunks = [type(clean.chunks[0])(5, gzip.compress(f"data: {KEY}\n\n".encode()))]
    path = kept(tmp_path, clean)

    found = lint(path, redactor())

    assert [(leak.what, leak.line) for leak in found.leaks] == [("an API key (sk-…)", 4)]
    path.write_bytes(found.data)
    (after,) = load_cassette(path)
    assert KEY.encode() not in gzip.decompress(after.chunks[0].data)


def test_what_is_learnt_from_a_header_is_found_elsewhere(clean, tmp_path):
    clean.headers = (("x-api-key", "no-prefix-0123456789"),)
    clean.body = b'{"echo":"no-prefix-0123456789"}'

    found = lint(kept(tmp_path, clean), redactor())

    assert [leak.where.split(" of ")[0] for leak in found.leaks] == ["the header x-api-key", "the body"]
    assert b"no-prefix" not in found.data


def test_places_that_were_named_are_found(clean, tmp_path):
    from pytest_streamrt.cassette.json_paths import JsonPath

    clean.body = b'{"user":{"name":"Ada"}}'
    found = lint(kept(tmp_path, clean), redactor(json_paths=[JsonPath("user.name")], headers={"x-tenant": None}))

    assert [(leak.line, leak.what) for leak in found.leaks] == [(2, "a secret by its place")]
    assert b"Ada" not in found.data


def test_a_clean_cassette_is_left_byte_for_byte(clean, tmp_path):
    path = kept(tmp_path, clean)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")

    found = lint(path, redactor())

    assert found.leaks == []
    assert found.data == path.read_bytes()


def test_any_other_file_is_looked_at_as_text(tmp_path):
    path = tmp_path / "test_plan.transcript"
    path.write_bytes(f"one\ntwo {KEY}\nthree \xff".encode("latin-1"))

    found = lint(path, redactor())

    assert [(leak.line, leak.what, leak.shown) for leak in found.leaks] == [
        (2, "an API key (sk-…)", "sk-p… (28 characters)")
    ]
    assert found.data == b"one\ntwo [redacted]\nthree \xff"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to ada.lovelace+x@engine.co.uk now", ["ada.lovelace+x@engine.co.uk"]),
        ("a@b.io, c@d.io", ["a@b.io", "c@d.io"]),
        ("me@example.com me@mail.example.org me@host.test root@localhost me@x.invalid", []),
        ("@decorator a@b git@github:repo x @ y.z", []),
        ("a" * 100_000 + "@", []),
        ("a@" * 50_000, []),
    ],
)
def test_addresses_of_people_and_nobody_s(text, found):
    assert PERSONAL.findall(text) == found


def test_a_damaged_cassette_is_refused(clean, tmp_path):
    path = kept(tmp_path, clean)
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(CassetteError, match="damaged at line"):
        lint(path, redactor())


WORDS = (
    KEY,
    VARIABLE,
    "sk-",
    "Bearer ",
    "ada@engine.org",
    "?key=",
    "\\u0073",
    "\\",
    '"',
    "\n",
    "é",
    "\ud800",
    "data: ",
    "{",
    "}",
    "x" * 30,
    "0",
)


@given(text=st.lists(st.sampled_from(WORDS), max_size=20).map("".join))
@examples(200)
def test_whatever_a_text_is_there_is_nothing_left_in_it_afterwards(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.transcript"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))

    found = lint(path, redactor(patterns=[PERSONAL]))

    assert VARIABLE.encode() not in found.data
    assert bool(found.leaks) == (found.data != path.read_bytes())
    path.write_bytes(found.data)
    assert lint(path, redactor(patterns=[PERSONAL])).leaks == []


@given(at=st.integers(0, 10_000), damage=st.binary(max_size=4), length=st.integers(0, 60))
@examples(150)
def test_a_cassette_damaged_anywhere_is_cleaned_or_refused(at, damage, length, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    recorded = recording("openai.chat", encode(script("My key is ", KEY), "openai.chat"))
    save_cassette(path, lines_of([recorded]))
    data = path.read_bytes()
    at %= len(data)
    path.write_bytes(data[:at] + damage + data[at + length :])

    try:
        found = lint(path, redactor())
    except CassetteError as error:
        assert str(path) in str(error)
    else:
        path.write_bytes(found.data)
        assert lint(path, redactor()).leaks == []
