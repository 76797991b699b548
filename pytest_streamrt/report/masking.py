"""Takes out of what people read the secrets that the test itself has named, beside those that a redactor knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from pytest_streamrt.cassette.finding import Search
from pytest_streamrt.cassette.placeholders import PLACEHOLDER, cut, mark
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cassette.spans import merged
from pytest_streamrt.events import Event
from pytest_streamrt.events.order import PIECES
from pytest_streamrt.transcript.disguise import Plain, as_it_is, undisguise
from pytest_streamrt.transcript.search import Secrets

__all__ = ["Cleaner", "masked", "without_secrets"]

_SHORTEST: Final = 4  # characters; to take out what is shorter would leave nothing to read


class Cleaner(Protocol):
    """Takes secrets out of texts. A `Redactor` is one."""

    def text(self, text: str) -> str:
        """Any text, with a placeholder for every secret in it."""

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """The deltas of a text, cut as they were, with every secret in them replaced by as many characters."""


def masked(redactor: Redactor | None, secrets: Mapping[str, bool]) -> Cleaner:
    """A cleaner that knows what that redactor does, by default the secrets of the environment, and those secrets.

    Args:
        redactor: the one of the test's cassette, if there is one; it is left as it is, for what it writes is none of this.
        secrets: those of `Transcript.secrets`.
    """
    redactor = redactor or Redactor()
    return _Mask(redactor, secrets) if secrets else redactor


def without_secrets(events: Sequence[Event], cleaner: Cleaner) -> list[Event]:
    """The events without secrets that lie across several deltas; what lies within one is found in any text."""
    lanes: dict[tuple[Any, ...], list[int]] = {}
    for i, event in enumerate(events):
        if event.type in PIECES:
            lane = event.source, event.inference, event.type, getattr(event, "id", None), getattr(event, "choice", 0)
            lanes.setdefault(lane, []).append(i)
    clean = list(events)
    for (_, _, kind, *_), indexes in lanes.items():
        field = PIECES[kind]
        texts = [getattr(events[i], field) for i in indexes]
        for i, before, after in zip(indexes, texts, cleaner.pieces(texts), strict=True):
            if before != after:
                changed: dict[str, Any] = {field: after}
                clean[i] = replace(events[i], **changed)
    return clean


class _Mask:
    def __init__(self, redactor: Redactor, secrets: Mapping[str, bool]) -> None:
        self._redactor = redactor
        long = {secret: normalised for secret, normalised in secrets.items() if len(secret) >= _SHORTEST}
        written = {form for secret in long for form in _forms(secret)}
        disguised = [text for secret, normalised in long.items() if normalised and (text := undisguise(secret).text)]
        self._searches: list[tuple[Callable[[str], Plain], Secrets]] = [(as_it_is, Secrets(sorted(written)))]
        self._cut = Search()
        for secret in long:
            self._cut.know(secret, "what assert_no_leak was given")
        if disguised:
            self._searches.append((undisguise, Secrets(disguised)))

    def text(self, text: str) -> str:
        cut = [span for spans, _ in self._cut.hits_at_ellipses(text) for span in spans]
        for start, end in reversed(merged([*self._spans(text), *cut])):
            text = text[:start] + PLACEHOLDER + text[end:]
        return self._redactor.text(text)

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        whole = "".join(pieces)
        for start, end in self._spans(whole):
            whole = whole[:start] + mark(end - start) + whole[end:]
        return self._redactor.pieces(cut(whole, [len(piece) for piece in pieces]))

    def _spans(self, text: str) -> list[tuple[int, int]]:
        spans = []
        for plain_of, secrets in self._searches:
            plain = plain_of(text)
            spans += [(plain.starts[m.start], plain.ends[m.end - 1]) for m in secrets.find(plain)]
        return merged(spans)


def _forms(secret: str) -> set[str]:
    """A secret as it stands in a text, and in a text that shows it as Python or JSON would."""
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
