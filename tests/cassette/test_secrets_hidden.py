"""Secrets that do not stand there as they are: under escapes and encodings, and in what the deltas of a stream add up to.

What was kept is read by other means than those that took the secret out: by the dialects' decoders, and by the libraries that pack.
"""

from __future__ import annotations

import gzip
import json
import zlib

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, script, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.events import fold
from pytest_streamrt.providers import decode, encode
from tests.cassette.recordings import ASK, URL, Network, ask
from tests.strategies import chunked, cut_text, examples, sizes

CANARY = 'q7/Xz"9-Ωbéta+7f3a91bc\\0123'  # with all that escapes are for
KEY = "sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3"  # known to nobody, but for its looks
DIALECTS = ["openai.chat", "openai.responses"]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    return tmp_path / "one.jsonl"


def kept(path, chunks, *, headers=(), **options):
    """The one exchange of a cassette recorded from such an answer."""
    path.unlink(missing_ok=True)
    with intercept(Network(chunks, headers=headers)), use_cassette(path, record="once", **options):
        with httpx2.Client(verify=False) as client, client.stream("POST", URL, json=ASK) as response:
            list(response.iter_raw())
    (recorded,) = load_cassette(path)
    return recorded


def said(recorded, dialect):
    """What its answer says, as the dialect reads it: text, reasoning and arguments."""
    folded = fold(decode([chunk.data for chunk in recorded.chunks], dialect))
    return "\n".join([folded.text, folded.reasoning, *(call.arguments for call in folded.tool_calls)])


def cuts_of(chunks):
    return [len(chunk) for chunk in chunks]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(parent=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    secret=st.sampled_from([CANARY, KEY]),
    deltas=sizes,
    wire=sizes,
    kind=st.sampled_from(["text", "reasoning", "arguments"]),
)
def test_what_a_model_spells_out_over_several_deltas(dialect, secret, deltas, wire, kind, path):
    text = f"before {secret} after"
    if kind == "arguments":
        arguments = {"value": text}
        pieces = cut_text(json.dumps(arguments, separators=(",", ":"), ensure_ascii=False), deltas)
        spoken = script(script.tool_call("tool", arguments, pieces=pieces))
    elif kind == "reasoning":
        spoken = script(script.reasoning(*cut_text(text, deltas), summary=True), "done")
    else:
        spoken = script(*cut_text(text, deltas))
    chunks = chunked(b"".join(encode(spoken, dialect)), wire)

    recorded = kept(path, chunks)

    shown = said(recorded, dialect)
    assert secret not in shown
    assert json.dumps(secret)[1:-1] not in shown
    assert "before " in shown
    assert " after" in shown
    assert cuts_of([c.data for c in recorded.chunks]) == cuts_of([chunk for chunk in chunks if chunk])


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_where_two_answers_come_interleaved(numbers, path):
    frames = []
    for a, b in zip(cut_text(KEY, [5]), cut_text("nothing of any interest here at all", [5]), strict=False):
        for number, text in zip(numbers, (a, b), strict=True):
            data = {"choices": [{"index": number, "delta": {"content": text}}]}
            frames.append(f"data: {json.dumps(data)}\n\n".encode())

    recorded = kept(path, frames)

    by_number = {0: "", 1: ""}
    for chunk in recorded.chunks:
        (choice,) = json.loads(chunk.data[6:])["choices"]
        by_number[choice["index"]] += choice["delta"]["content"]
    assert by_number[numbers[0]] == PLACEHOLDER + "*" * (len(KEY) - len(PLACEHOLDER))
    assert by_number[numbers[1]] == "nothing of any interest here at all"[: len(by_number[numbers[1]])]


def test_where_the_stream_is_of_plain_text(path):
    recorded = kept(path, [f"data: {piece}\n\n".encode() for piece in cut_text(f"it is {KEY}.", [4])])

    whole = b"".join(chunk.data for chunk in recorded.chunks).replace(b"data: ", b"").replace(b"\n", b"").decode()
    assert whole == f"it is {PLACEHOLDER}{'*' * (len(KEY) - len(PLACEHOLDER))}."


ESCAPED = {
    "json": json.dumps(CANARY)[1:-1],
    "json of json": json.dumps(json.dumps(CANARY)[1:-1])[1:-1],
    "every letter": "".join(f"\\u{ord(char):04X}" for char in CANARY),
    "solidus": json.dumps(CANARY, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    "url": "".join(f"%{byte:02x}" for byte in CANARY.encode()),
}


@pytest.mark.parametrize("how", ESCAPED)
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_under_escapes(how, size, path):
    escaped = ESCAPED[how]
    body = f'{{"message": "it is {escaped}, is it?"}}'.encode()

    recorded = kept(path, chunked(body, [size]))

    data = b"".join(chunk.data for chunk in recorded.chunks)
    assert len(data) == len(body)
    message = json.loads(data)["message"]
    assert message.startswith(f"it is {PLACEHOLDER}")
    assert message.endswith("*, is it?")
    assert set(message[len("it is ") + len(PLACEHOLDER) : -len(", is it?")]) == {"*"}


def test_of_a_request_under_escapes_and_it_plays_with_another(path, monkeypatch):
    question = {**ASK, "note": f"mine is {CANARY}"}
    with intercept(Network([b"ok"])), use_cassette(path, record="once"):
        ask(question)

    (recorded,) = load_cassette(path)
    assert json.loads(recorded.body)["note"].startswith(f"mine is {PLACEHOLDER}")
    monkeypatch.setenv("SOME_API_KEY", "quite-another-key-0987654321")
    with use_cassette(path):
        ask({**ASK, "note": "mine is quite-another-key-0987654321"})


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd(data):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


def brotli(data):
    return pytest.importorskip("brotli").compress(data)


PACKED = {
    "gzip": gzip.compress,
    "deflate": raw_deflate,
    "zstd": zstd,
    "br": brotli,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
}


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_in_a_packed_body(encoding, size, path):
    plain = b"".join(encode(script(*cut_text(f"it is {KEY}.", [3])), "openai.chat"))
    chunks = chunked(PACKED[encoding](plain), [size])

    recorded = kept(path, chunks, headers=[("content-encoding", encoding)])

    assert len(recorded.chunks) == len(chunks)
    assert KEY not in said_unpacked(recorded)
    assert said_unpacked(recorded).startswith(f"it is {PLACEHOLDER}")
    with use_cassette(path):
        assert b"[DONE]" in ask()  # a client unpacks it as it ever did


def said_unpacked(recorded):
    data = gzip.decompress(b"".join(chunk.data for chunk in recorded.chunks))
    return fold(decode(data, "openai.chat")).text


def test_a_packed_body_without_secrets_stays_as_it_is(path):
    chunks = chunked(gzip.compress(b"data: nothing here\n\n"), [5])

    recorded = kept(path, chunks, headers=[("content-encoding", "gzip")])

    assert [chunk.data for chunk in recorded.chunks] == chunks


def test_each_chunk_of_a_packed_stream_gives_what_it_gave(path):
    packer = zlib.compressobj(wbits=31)
    pieces = [b"data: a\n\n", f"data: {CANARY}\n\n".encode(), b"data: c\n\n"]
    chunks = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    chunks.append(packer.flush())

    recorded = kept(path, chunks, headers=[("content-encoding", "gzip")])

    unpacker = zlib.decompressobj(wbits=31)
    assert [len(unpacker.decompress(chunk.data)) for chunk in recorded.chunks] == [*map(len, pieces), 0]
    assert unpacker.eof


def test_a_body_that_nobody_can_unpack_is_not_written(path):
    with pytest.raises(CassetteError, match=r"packed as 'compress'.*accept-encoding: gzip"):
        kept(path, [b"\x1f\x9d..."], headers=[("content-encoding", "compress")])

    assert not path.exists()


def test_a_packed_request(path):
    body = gzip.compress(json.dumps({"note": CANARY}).encode())

    def post(data):
        with httpx2.Client(verify=False) as client:
            return client.post(URL, content=data, headers={"content-encoding": "gzip"}).content

    with intercept(Network([b"ok"])), use_cassette(path, record="once"):
        post(body)

    (recorded,) = load_cassette(path)
    assert gzip.decompress(recorded.body).decode().startswith(f'{{"note": "{PLACEHOLDER}')
    with use_cassette(path):
        assert post(gzip.compress(b'{"note": "another"}', mtime=1)) == b"ok"


@given(text=st.text(max_size=20), before=st.text(max_size=5), wraps=st.integers(0, 3))
@example(text="\\\x1f", before="", wraps=1)
@example(text="\\n", before="\\", wraps=2)
@settings(parent=examples(100))
def test_a_secret_is_found_however_often_it_was_escaped(text, before, wraps):
    secret = f"{text}-0123456789ab"
    written = secret
    for _ in range(wraps):
        written = json.dumps(written)[1:-1]
    redactor = Redactor(environment={})
    redactor.know(secret, "a secret")

    clean = redactor.text(f"{before}{written}.")

    assert written not in clean
    assert clean.endswith(f"{PLACEHOLDER}.")


@given(pieces=st.lists(st.text(alphabet='ab"\\/: {}[]\n%u0', max_size=6), max_size=30))
@settings(parent=examples(100))
def test_what_holds_no_secret_is_never_touched(pieces):
    redactor = Redactor(environment={"SOME_KEY": CANARY})
    chunks = [piece.encode() for piece in pieces]

    clean, headers = redactor.chunks(chunks, (("content-type", "text/event-stream"),))

    assert clean is chunks
    assert headers == (("content-type", "text/event-stream"),)
    assert redactor.text("".join(pieces)) == "".join(pieces)


@pytest.mark.parametrize("filler", [400_000, 1_048_560, 1_177_000, 1_600_000, 2_060_000, 2_096_000])
def test_in_the_middle_of_a_very_long_stream(filler):
    frame = b'data: {"delta": {"content": "%s"}}\n\n'
    before = [frame % (b"x" * 999 + b" ")] * (filler // 1_032)
    spelled = [frame % letter.encode() for letter in KEY]
    after = [frame % (b" " + b"y" * 99_999)] * 20
    redactor = Redactor(environment={})

    clean, _ = redactor.chunks([*before, *spelled, *after])

    middle = clean[len(before) : len(before) + len(spelled)]
    assert "".join(json.loads(chunk[6:])["delta"]["content"] for chunk in middle).startswith(PLACEHOLDER + "**")
    assert list(clean[: len(before)]) == before
    assert list(clean[len(before) + len(spelled) :]) == after
