"""Finds secrets in a text: values that are known, what only looks like a key, and what patterns say; as it stands, and under escapes.

What counts as a secret is in `secrets`; what is done about one, in `redact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pytest_streamrt.cassette.escapes import Unescaped, has_escapes, is_wrapped, unescape, without_cut_escape
from pytest_streamrt.cassette.placeholders import IN_URL, PLACEHOLDER
from pytest_streamrt.cassette.secrets import KEY_PATTERNS, NAMES_IN_URLS, SHORTEST, in_base64, lines_of_secret
from pytest_streamrt.cassette.spans import Span
from pytest_streamrt.cassette.views import as_lines, folded_texts, folds

__all__ = ["Hit", "Search"]

_SHORTEST_PLAIN: Final = 8  # characters that are left of a secret without its escapes, for it to be told from words
_LONGEST_KEY: Final = 200  # characters
_LONGEST_ESCAPE: Final = 12  # characters: \\\\\\\\u005c, say
_ESCAPED: Final = frozenset("\"\\ +&<>'")  # what is written with escapes that every text has
_ELLIPSIS: Final = re.compile(r"""["']?(?:…+|\.{3,})["']?""")  # ours, and pytest's
_IN_QUERY: Final = re.compile(rf"""(?:[?&#]|&amp;)(?:{NAMES_IN_URLS})=([^&#\s"'\\<>]{{12,}})""", re.IGNORECASE)
_QUERY_HINT: Final = re.compile(
    r"(?:assertion|auth|code|jwt|key|passw|secret|sig|token|verifier|credential)\w{0,8}=", re.IGNORECASE
)

Hit = tuple[list[Span], str]
"""The parts of a text that make up a secret, and what it is."""


class Search:
    """What is secret, and where that stands in a text.

    Args:
        patterns: what is a secret in any text.
    """

    def __init__(self, patterns: Sequence[re.Pattern[str]] = ()) -> None:
        self._patterns = patterns
        self._known: set[str] = set()
        self._literals: dict[str, str] = {}  # these, their lines, and what they are in base64
        self._in_base64: dict[str, str] = {}  # of these, those that are base64
        self._plain: dict[str, str] = {}  # without their escapes
        self._longest = 0  # of their characters
        self._has_escapes = False  # whether any of them is written with escapes that every text has

    def know(self, value: str, what: str) -> None:
        """From now on that value is a secret, wherever it stands. One of less than 12 characters is too common to be.

        So is each line of it, for they may come apart, as in a diff: but for words, and what says of what kind it is.
        """
        if len(value) < SHORTEST or PLACEHOLDER in value or value in self._known:
            return
        self._known.add(value)
        self._literals[value] = what
        for line in lines_of_secret(value):
            self._literals.setdefault(line, f"a line of {what}")
        self._longest = max(self._longest, len(value))
        encoded = dict.fromkeys(in_base64(value), f"{what} in base64")
        self._in_base64 |= encoded
        self._literals |= encoded
        # What follows a backslash may be escaped itself, and is then as it was.
        for plain in (_plain(value), value.replace("\\", "").replace("+", " ")):
            if len(plain) >= _SHORTEST_PLAIN:
                self._plain[plain] = what
        self._has_escapes |= not (value.isascii() and value.isprintable()) or not _ESCAPED.isdisjoint(value)

    def hits(self, text: str, *, look: bool = True) -> list[Hit]:
        """Every secret in the text. Without `look`: not what only looks like one, nor what is in base64 of several lines."""
        hits: list[Hit] = [([(start, end)], what) for start, end, what in self._search(text, self._literals, look=look)]
        if has_escapes(text, all=self._has_escapes or bool(self._patterns)) or (self._has_escapes and "+" in text):
            hits += self._hits_under_escapes(text)
        if look and self._in_base64 and is_wrapped(text):
            hits += self._hits_in_lines_of_base64(text)
        return hits

    def _hits_under_escapes(self, text: str) -> list[Hit]:
        plain = unescape(text)
        found = list(self._search(plain, {}))
        # In a form, a space is written as a plus.
        found += self._search(plain.replace("+", " "), self._plain, look=False)
        found += self._search(plain, self._in_base64, look=False)
        if not found:
            return []
        view = Unescaped(text)
        return [([view.where(start, end)], what) for start, end, what in found]

    def _hits_in_lines_of_base64(self, text: str) -> list[Hit]:
        view = Unescaped(text, joined=True)
        return [
            ([view.where(start, end)], what)
            for start, end, what in self._search(view.text, self._in_base64, look=False)
        ]

    def hits_in_deltas(self, text: str) -> list[Hit]:
        """Every secret in the texts that the deltas of a stream add up to, each at its places in the stream's text."""
        hits: list[Hit] = []
        text = as_lines(text)
        for name, joined in folded_texts(text):
            if self.hits_to_the_end(joined):
                view = folds(text, name)
                hits += [
                    ([part for span in spans for part in view.where(*span)], what)
                    for spans, what in self.hits_to_the_end(view.text)
                ]
        return hits

    def hits_to_the_end(self, text: str) -> list[Hit]:
        """Every secret in a text that may end in the midst of one."""
        return [*self.hits(text), *self._begun(text, len(text.rstrip("\n")))]

    def hits_at_ellipses(self, text: str) -> list[Hit]:
        """What there is of a secret, from 12 characters on, where an ellipsis stands for the rest of it."""
        hits: list[Hit] = []
        for match in _ELLIPSIS.finditer(text):
            hits += self._begun(text, match.start())
            hits += self._ended(text, match.end())
        return hits

    def _begun(self, text: str, end: int) -> list[Hit]:
        """The beginning of a secret that goes on to there, and beyond."""
        hits: list[Hit] = [([(at, end)], what) for at, what in _beginnings(text, end, self._literals)]
        start = max(end - max(self._longest, _LONGEST_KEY) * _LONGEST_ESCAPE, 0)
        tail = text[start:end]
        hits += [([(start + at, end)], what) for at, what in _keys_begun(tail)]
        if has_escapes(tail, all=self._has_escapes):
            view = Unescaped(without_cut_escape(tail))
            found = [*_beginnings(view.text.replace("+", " "), len(view.text), self._plain), *_keys_begun(view.text)]
            hits += [([(start + view.where(at, at + 1)[0], end)], what) for at, what in found]
        return hits

    def _ended(self, text: str, start: int) -> list[Hit]:
        """The end of a secret that has begun before there."""
        hits: list[Hit] = [([(start, end)], what) for end, what in _ends(text, start, self._literals)]
        head = text[start : start + self._longest * _LONGEST_ESCAPE]
        if has_escapes(head, all=self._has_escapes):
            view = Unescaped(head)
            found = _ends(view.text.replace("+", " "), 0, self._plain)
            hits += [([(start, start + view.where(end - 1, end)[1])], what) for end, what in found]
        return hits

    def _search(self, text: str, literals: Mapping[str, str], *, look: bool = True) -> Iterator[tuple[int, int, str]]:
        """Every secret that stands in the text as it is. `look`: also what only looks like one."""
        for literal, what in literals.items():
            at = text.find(literal)
            while at >= 0:
                yield at, at + len(literal), what
                at = text.find(literal, at + len(literal))
        if not look:
            return
        for maker, hint, pattern, _ in KEY_PATTERNS:
            if hint in text:
                yield from ((*match.span(), maker) for match in pattern.finditer(text))
        if "=" in text and _QUERY_HINT.search(text):
            for match in _IN_QUERY.finditer(text):
                if match[1] != IN_URL and PLACEHOLDER not in match[1]:
                    yield (*match.span(1), "a key in a URL")
        for pattern in self._patterns:
            for match in pattern.finditer(text):
                if match[0] and PLACEHOLDER not in match[0] and set(match[0]) != {"*"}:
                    yield (*match.span(), f"what filter_patterns has as {pattern.pattern!r}")


def _beginnings(text: str, end: int, literals: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Where a literal begins that goes on to the end of the text, and beyond."""
    for literal, what in literals.items():
        at = text.find(literal[:SHORTEST], max(end - len(literal) + 1, 0), end)
        if at >= 0 and literal.startswith(text[at:end]):
            yield at, f"the beginning of {what}"


def _ends(text: str, start: int, literals: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Where a literal ends that has begun before there."""
    for literal, what in literals.items():
        at = text.find(literal[-SHORTEST:], start, start + len(literal) - 1)
        if at >= 0 and literal.endswith(text[start : at + SHORTEST]):
            yield at + SHORTEST, f"the end of {what}"


def _keys_begun(text: str) -> Iterator[tuple[int, str]]:
    """Where something begins, at the text's end, that looks like a key."""
    for maker, hint, _, begun in KEY_PATTERNS:
        if begun is not None and hint in text and (match := begun.search(text)):
            yield match.start(), f"the beginning of {maker}"


def _plain(literal: str) -> str:
    return unescape(literal).replace("+", " ")
