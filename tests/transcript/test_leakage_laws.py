"""What holds of every leak check: a secret is found under every cut and disguise, and never where it is not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_streamrt import Transcript, hidden
from pytest_streamrt.events import Mark, ReasoningDelta, TextDelta
from pytest_streamrt.events.types import stamp
from tests.strategies import examples

INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad\ufeff\ufe0f\u034f\U000e0101"
SPACE = " \t\n\u00a0\u2003\u3000"
# Few letters, so that what is hidden nearly stands in the text again and again.
letters = st.text(st.sampled_from("abcABC é\u0301ﬁ-7ß中"), max_size=60)
words = st.text(st.sampled_from("abcdefgh -"), max_size=120)
secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=("Zs", "Zl", "Zp", "Cc", "Cf", "Mn")), min_size=1, max_size=20
)
ascii_secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


class Room:
    """Stands for who numbers events."""


def transcript_of(*said):
    """A transcript of sources that said things: pairs of a source and an unstamped event."""
    transcript, room = Transcript(), Room()
    for seq, (source, event) in enumerate(said, start=1):
        transcript.log(stamp(event, seq=seq, time=0.0, source=source, inference=f"{source}/1"), room)
    return transcript


def cut(text, places):
    places = sorted({place % (len(text) + 1) for place in places})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def said_by(source, text, places=()):
    return [(source, TextDelta(piece)) for piece in cut(text, places)]


def leaks(transcript, **options):
    try:
        transcript.assert_no_leak(visible="bot", allow_empty=True, **options)
    except AssertionError:
        return transcript.leaks
    return ()


cuts = st.lists(st.integers(0, 200), max_size=30)


@examples(300)
@given(letters, secrets, letters, cuts)
def test_a_planted_secret_is_found_under_every_cut(before, secret, after, places):
    transcript = transcript_of(*said_by("bot", before + secret + after, places))

    found = leaks(transcript, hidden=[secret])

    assert any((leak.start, leak.end) == (len(before), len(before) + len(secret)) for leak in found)
    assert all("".join(event.text for event in leak.events).find(secret) >= 0 for leak in found)


@examples(300)
@given(letters, st.lists(st.text(st.sampled_from("abcABC-7"), min_size=1, max_size=4), min_size=1, max_size=4), cuts)
def test_secrets_are_reported_where_they_are_and_nowhere_else(text, hide, places):
    transcript = transcript_of(*said_by("bot", text, places))

    found = {(leak.start, leak.end) for leak in leaks(transcript, hidden=hide)}

    assert found == {(i, i + len(s)) for s in hide for i in range(len(text)) if text.startswith(s, i)}


@st.composite
def disguises(draw, secret):
    """The secret with each letter in another form, and things between that are not seen."""
    pieces = []
    for character in secret:
        forms = [character, character.upper(), character.lower(), chr(ord(character) + 0xFEE0)]
        forms = [form for form in forms if same(form, character)]
        pieces += [draw(st.sampled_from(forms)), draw(st.text(st.sampled_from(INVISIBLE + SPACE), max_size=2))]
    return "".join(pieces)


def same(one, other):
    return unicodedata.normalize("NFKC", one).casefold() == unicodedata.normalize("NFKC", other).casefold()


@examples(300)
@given(st.data(), letters, ascii_secrets, letters, cuts)
def test_a_disguised_secret_is_found_under_every_cut(data, before, secret, after, places):
    assume(not after or not unicodedata.combining(after[0]))  # that would be another letter
    disguised = data.draw(disguises(secret))
    transcript = transcript_of(*said_by("bot", before + disguised + after, places))

    assert leaks(transcript, hidden=[secret], normalise=True)


@examples(300)
@given(letters, ascii_secrets, cuts)
def test_nothing_is_found_in_a_text_that_has_none_of_its_letters(text, secret, places):
    mine = set(unicodedata.normalize("NFKD", text).casefold())
    assume(not mine & set(secret.casefold()))
    transcript = transcript_of(*said_by("bot", text, places))

    assert not leaks(transcript, hidden=[secret], normalise=True)


def quotes(text, thought, shortest):
    """Where quotes are, by trying every one: the simple way to say what `search.Quotes` does."""
    size, variety = (shortest + 1) // 2, 6 if shortest >= 32 else 2 if shortest >= 8 else 1
    return [
        i
        for i in range(len(text) - shortest + 1)
        if (part := text[i : i + shortest]) in thought
        and any(len(set(part[j : j + size]) - {" "}) >= variety for j in range(shortest - size + 1))
    ]


@examples(500)
@given(words, words, words, st.integers(1, 40), cuts)
@example("", "--------------------abcdefgh--------------------", "", 34, [])
def test_quotes_are_found_from_min_quote_on_and_no_shorter_ones(before, thought, after, shortest, places):
    text = before + thought[len(before) % 7 :] + after
    transcript = transcript_of(("brain", ReasoningDelta(thought)), *said_by("bot", text, places))

    found = leaks(transcript, hidden=[hidden.reasoning()], min_quote=shortest)

    assert bool(found) == bool(quotes(text, thought, shortest))
    for leak in found:
        assert leak.end - leak.start >= shortest
        assert text[leak.start : leak.end] in thought


@examples(200)
@given(words, words, st.integers(4, 40), cuts, cuts)
def test_the_verdict_does_not_depend_on_the_cuts(thought, text, shortest, some, others):
    verdicts = [
        [(leak.start, leak.end) for leak in leaks(
            transcript_of(("brain", ReasoningDelta(thought)), *said_by("bot", text + thought[5:], places)),
            hidden=[hidden.reasoning(), "abc"], min_quote=shortest, normalise=True)]
        for places in (some, others)
    ]  # fmt: skip

    assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize("normalise", [False, True])
def test_halves_of_surrogate_pairs_do_no_harm(normalise):
    transcript = transcript_of(*said_by("bot", "a\ud83d secret \udc00 b"))

    assert leaks(transcript, hidden=["secret"], normalise=normalise)
    assert leaks(transcript, hidden=["\ud83d s"], normalise=normalise)


def test_without_the_library_the_same_is_found(monkeypatch):
    texts = ["abcabc", "secret", "ab" * 30]
    transcript = transcript_of(
        ("brain", ReasoningDelta("x" + "abcdefghij" * 8)), *said_by("bot", "abcabcab" + "abcdefghij" * 6)
    )
    found = leaks(transcript, hidden=[*texts, hidden.reasoning()])
    monkeypatch.setattr("pytest_streamrt.transcript.search.find_spec", lambda name: None)

    again = transcript_of(*((event.source, event) for event in transcript.events if not isinstance(event, Mark)))

    assert (
        [str(leak) for leak in leaks(again, hidden=[*texts, hidden.reasoning()])] == [str(leak) for leak in found] != []
    )
