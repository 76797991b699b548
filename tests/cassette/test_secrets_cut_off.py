"""A stream that ends in the midst of a secret: what was said of it is not kept either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import StreamError, script, use_cassette
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.providers import decode, encode
from tests.cassette.recordings import Network, ask
from tests.strategies import cut_text, examples

SECRET = "Zx81-qwerty-55-plain-Pq07"
TOLD = 12  # characters of it, from which on it is told from words
DIALECTS = ["openai.chat", "openai.responses", "anthropic.messages", "gemini.generate"]


def said(chunks, dialect):
    """The text of a stream, as far as it came."""
    try:
        events = decode(chunks, dialect)
    except StreamError as error:
        events = error.events
    return "".join(event.text for event in events if event.type == "text.delta")


@given(
    dialect=st.sampled_from(DIALECTS),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    before=st.sampled_from([0, 3, 80]),
    end=st.floats(0, 1),
)
@examples(100)
def test_what_deltas_have_spelt_out_of_it_is_replaced(dialect, sizes, before, end):
    spelt = script(*["and "] * before, *cut_text(SECRET, sizes))
    stream = b"".join(encode(spelt, dialect))
    cut_off = stream[: round(end * len(stream))]

    (clean,), _ = Redactor(environment={"A_TOKEN": SECRET}).chunks([cut_off], whole=False)

    assert len(clean) == len(cut_off)
    assert SECRET[:TOLD].encode() not in clean
    text, was = said([clean], dialect), said([cut_off], dialect)
    assert len(text) == len(was)
    assert SECRET[:TOLD] not in text
    assert text.startswith("and " * min(before, len(was) // 4))


ODD = 'Zx81"qw\\erty/é密-55"plain\\n-Pq07'


@given(
    dialect=st.sampled_from(DIALECTS),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    end=st.floats(0, 1),
    ascii_only=st.booleans(),
)
@examples(100)
def test_also_where_it_stands_under_escapes(dialect, sizes, end, ascii_only):
    stream = b"".join(encode(script(*cut_text(ODD, sizes)), dialect)).decode()
    if ascii_only:
        stream = "".join(each if each.isascii() else f"\\u{ord(each):04x}" for each in stream)
    cut_off = stream.encode()[: round(end * len(stream.encode()))]

    (clean,), _ = Redactor(environment={"A_TOKEN": ODD}).chunks([cut_off], whole=False)

    text = said([clean], dialect)
    assert len(said([cut_off], dialect)) <= len(text)  # bytes, of those beyond ASCII
    assert ODD[: TOLD + 1] not in text


KEYS = ["sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3", "ghp_2H3q92D9VOyBoSKj9Km8WaJ6lF6AB4EmtGxA", f"AIza{'Sy9Q-_7' * 5}"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kept", [20, 22, 30])
@pytest.mark.parametrize("before", ["It is ", "It is:\n", "É"])
def test_what_only_looks_like_a_key_so_far(key, kept, before):
    frames = encode(script(before, *key[:kept]), "openai.chat")

    clean, _ = Redactor(environment={}).chunks(frames)

    assert said(clean, "openai.chat").removeprefix(before) == PLACEHOLDER + "*" * (kept - len(PLACEHOLDER))


@pytest.mark.parametrize(
    "word",
    ["sk-learn-wrapped-models", "hf_transformers_v2", "hf_BertTokenizerFast", "sk-1", "xai-grok-4-fast", "ghp_x1"],
)
def test_what_looks_like_a_word_at_the_end_stays(word):
    frames = encode(script("It is ", *word), "openai.chat")

    assert Redactor(environment={}).chunks(frames)[0] == frames


def test_a_word_that_a_secret_begins_with_stays():
    frames = b"".join(encode(script("It is Zx81-qwerty"), "openai.chat"))

    (clean,), _ = Redactor(environment={"A_TOKEN": SECRET}).chunks([frames])

    assert clean == frames


@pytest.mark.parametrize("kept", [12, 18, 24])
def test_a_client_that_left_in_the_midst_of_it_keeps_none_of_it(tmp_path, monkeypatch, kept):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    path = tmp_path / "one.jsonl"
    frames = encode(script(*SECRET), "openai.chat")
    with intercept(Network(frames[: kept + 1])), use_cassette(path, record="once"):
        ask()

    with use_cassette(path):
        played = said([ask()], "openai.chat")

    assert len(played) == kept
    assert not set(played) & set(SECRET[:TOLD]) - set(PLACEHOLDER)
