"""Cassettes damaged in every way that files are, loaded and played: one clear error or none, at once, and no memory wasted."""

from __future__ import annotations

import contextlib
import json
import tracemalloc

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, CassetteMiss, Transcript, use_cassette
from pytest_streamrt.cassette import load_cassette
from tests.cassette.recordings import ASK, answer, ask, record
from tests.strategies import examples, json_values

OTHER = {**ASK, "model": "other"}
SETTINGS = settings(
    parent=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ODD = [
    "1e999",
    "-1e999",
    "NaN",
    "-1",
    "1e308",
    str(2**70),
    '"x"',
    "[]",
    "{}",
    "null",
    "true",
    "0.5",
    '"\\ud800"',
    '"é"',
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of a good cassette with two exchanges."""
    path = tmp_path_factory.mktemp("whole") / "whole.jsonl"
    record(path, answer("Hello wörld"), [b"\xff\xfe", b'{"a": 1}'], questions=[ASK, OTHER])
    return path.read_bytes().splitlines(keepends=True)


@st.composite
def damages(draw):
    """A function from the lines of a cassette to damaged ones."""
    kinds = st.sampled_from(["drop", "double", "swap", "value", "line", "cut", "bytes", "join", "key"])
    steps = draw(
        st.lists(
            st.tuples(kinds, st.integers(0, 99), st.integers(0, 99), st.sampled_from(ODD), json_values),
            min_size=1,
            max_size=3,
        )
    )

    def damage(lines):
        lines = list(lines)
        for kind, a, b, odd, value in steps:
            if not lines:
                break
            i, j = a % len(lines), b % len(lines)
            line = lines[i]
            if kind == "drop":
                del lines[i]
            elif kind == "double":
                lines.insert(j, line)
            elif kind == "swap":
                lines[i], lines[j] = lines[j], lines[i]
            elif kind == "line":
                lines[i] = json.dumps(value).encode() + b"\n"
            elif kind == "cut":
                lines[i] = line[: b % (len(line) + 1)]
            elif kind == "bytes":
                at = b % (len(line) + 1)
                lines[i] = line[:at] + bytes([a * 7 % 256]) + line[at + 1 :]
            elif kind == "join":
                lines[i] = line.rstrip(b"\n") + b","
            else:
                lines[i] = _with_odd(line, b, odd, of_key=kind == "key")
        return b"".join(lines)

    return damage


def _with_odd(line, at, odd, *, of_key):
    """The line with one of its values, or its names, replaced."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    inner = next((value for value in fields.values() if isinstance(value, dict)), fields) if at % 2 else fields
    names = list(inner)
    if not names:
        return line
    name = names[at % len(names)]
    if of_key:
        inner[odd] = inner.pop(name)
        return json.dumps(fields).encode() + b"\n"
    inner[name] = "@@"
    return json.dumps(fields).replace('"@@"', odd).encode() + b"\n"


@SETTINGS
@given(damage=damages())
def test_it_is_refused_by_its_line_or_it_plays(damage, whole, tmp_path):
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(damage(whole))

    try:
        load_cassette(path)
    except CassetteError as error:
        assert str(path) in str(error)
        with pytest.raises(CassetteError) as again, use_cassette(path):
            pass
        assert str(again.value) == str(error)
        return
    transcript = Transcript()
    with use_cassette(path, verify=False, timing="instant", transcript=transcript) as cassette:
        for question in (ASK, OTHER):
            try:
                ask(question)
            except (CassetteMiss, CassetteError, httpx2.TransportError, httpx2.DecodingError) as error:
                assert str(error)
        assert cassette.problem() is None or str(path) in cassette.problem()
    assert transcript.marbles()


def test_damage_takes_no_memory(whole, tmp_path):
    path = tmp_path / "big.jsonl"
    size = 8_000_000
    for data in (
        b"[" * size,
        whole[0] + b'{"id": 1, "at": 0, "text": "' + b"x" * size,
        whole[0] + b"".join(whole[1:]) + b"{" * size + b"\n",
        whole[0] + b'{"id": ' + b"9" * size + b"}\n",
    ):
        path.write_bytes(data)
        tracemalloc.start()
        try:
            with pytest.raises(CassetteError) as caught:
                load_cassette(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert len(str(caught.value)) < 1_000 + len(str(path))
        assert peak < 8 * size


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, deflate", "nonsense"])
def test_a_body_that_is_not_what_its_header_says(encoding, whole, tmp_path):
    """It is played as it is; that it cannot be read is the client's to say, and the transcript's."""
    path = tmp_path / "odd.jsonl"
    header = json.dumps(["content-encoding", encoding])
    text = b"".join(whole).decode().replace('["content-type", "text/event-stream"]', header)
    path.write_text(text, encoding="utf-8")

    transcript = Transcript()
    with use_cassette(path, verify=False, transcript=transcript), contextlib.suppress(httpx2.DecodingError):
        ask(ASK)

    assert transcript.marbles()
