"""What takes a secret's place, and how it is written over the parts of a body that make up the secret."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from pytest_streamrt.cassette.spans import Span

__all__ = ["IN_URL", "PLACEHOLDER", "cut", "fill", "is_number", "json_mark", "mark"]

PLACEHOLDER: Final = "[redacted]"
IN_URL: Final = "redacted"
"""The placeholder for a query parameter: brackets have a meaning there."""

_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_AFTER: Final = re.compile(r"\s*(?:[,}\]]|\Z)")
_INDENTED: Final = 100  # characters that may stand between it and what is before it
_ESCAPED: Final = re.compile(r"\\.")
_T = TypeVar("_T", str, bytes)


def mark(length: int) -> str:
    """A placeholder of that length."""
    return PLACEHOLDER + "*" * (length - len(PLACEHOLDER)) if length >= len(PLACEHOLDER) else "*" * length


def json_mark(value: bytes) -> bytes:
    """A placeholder for a JSON value, of the same kind as far as that can be, and of the same length."""
    if value in (b"true", b"false", b"null"):
        return b"null".ljust(len(value))
    try:
        float(value)
    except ValueError:
        return mark(len(value)).encode()
    return b"1" * len(value)


def is_number(text: str, start: int, end: int) -> bool:
    """Whether that part of a text is a number of JSON: a placeholder is none, and has to stand between quotation marks."""
    if not (_NUMBER.fullmatch(text, start, end) and _AFTER.match(text, end)):
        return False
    if not text[max(start - _INDENTED, 0) : start].rstrip().endswith((":", ",", "[")):
        return False
    line = _ESCAPED.sub("", text[text.rfind("\n", 0, start) + 1 : start])
    return line.count('"') % 2 == 0  # and not within a string


def fill(data: bytearray, filled: bytearray, spans: Sequence[Span], *, numbers: bool = False) -> None:
    """Write a placeholder over these parts of the data, but for what was written over before.

    `numbers`: that is a number of JSON, for which a string goes, or several, such as the bytes of a token, for which ones go.
    """
    length = sum(end - start for start, end in spans)
    fresh = not any(any(filled[start:end]) for start, end in spans)
    placeholder = mark(length).encode() if fresh else b"*" * length
    if numbers and len(spans) > 1:
        placeholder = b"1" * length
    elif numbers and fresh and length > 1:
        placeholder = f'"{mark(length - 2)}"'.encode()
    at = 0
    for start, end in spans:
        for place in range(start, end):
            if not filled[place]:
                data[place] = placeholder[at + place - start]
                filled[place] = 1
        at += end - start


def cut(whole: _T, lengths: Sequence[int]) -> list[_T]:
    """Pieces of these lengths."""
    pieces, at = [], 0
    for length in lengths:
        pieces.append(whole[at : at + length])
        at += length
    return pieces
