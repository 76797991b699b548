r"""A text as those see it who undo its escapes, those of JSON, of URLs and of HTML; and the way back, to where they stand.

A key may stand in a body as ``sk\u002d…``, as ``%73k-…`` or as ``&#115;k-…``, and each of these may be escaped again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from pytest_streamrt.cassette.spans import Span

__all__ = ["Unescaped", "has_escapes", "is_wrapped", "unescape", "without_cut_escape"]

_HEX: Final = "[0-9a-fA-F]"
# JSON in JSON, as in a tool call's arguments, is escaped more than once: any number of backslashes does, and each may be escaped
# itself.
_BACKSLASH: Final = r"(?:\\|%(?:25)*5[cC])"
_MORE: Final = r"(?:\\|u005[cC]|%(?:25)*5[cC])*+"
_ESCAPED: Final = (
    rf"(?:u[dD][89abAB]{_HEX}{{2}}{_BACKSLASH}{_MORE}u[dD][c-fC-F]{_HEX}{{2}}"  # one character in two escapes
    rf'|u{_HEX}{{4}}|["/bfnrt])?'
)
_ENTITY: Final = r"&(?:amp;)*(?:amp|lt|gt|quot|apos|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});"
# Each alternative begins with a letter of its own, for `re` to jump to.
_ESCAPE: Final = re.compile(
    rf"\\{_MORE}{_ESCAPED}"
    rf"|%(?:25)*(?:5[cC]{_MORE}{_ESCAPED}|[0-7]{_HEX}|[89a-fA-F]{_HEX}(?:%(?:25)*[89a-fA-F]{_HEX})*)"
    rf"|{_ENTITY}"
)
_BACKSLASHES: Final = re.compile(rf"{_BACKSLASH}{_MORE}")
_PERCENT: Final = re.compile(r"%(?:25)+(?=[0-9a-fA-F]{2})")
_NEEDED: Final = re.compile(r"\\u00[2-7]|%[2-7][0-9a-fA-F]|\\/|&#")
_NAMED: Final = re.compile(r"&(?:amp|lt|gt|quot|apos);")
_CUT: Final = re.compile(rf"(?:{_BACKSLASH}{_MORE}(?:u{_HEX}{{0,3}})?|%{_HEX}?|&[a-z#][0-9a-zA-Z]{{0,6}}|&)\Z")
_CONTROL: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_HIGHEST: Final = 0x10FFFF  # character

# A line's end, with what the next line begins with.
_BREAK: Final = rf"(?:[\r\n]|\\{_MORE}(?:[nr]|u000[aAdD])|%(?:25)*0[aAdD])(?:[ \t]|\\{_MORE}t)*+"
_BREAKS_TOO: Final = re.compile(rf"(?P<end>{_BREAK})|{_ESCAPE.pattern}")
_WRAPPED: Final = re.compile(r"[\\%\r\n](?<=[\w+/-]{20}.)", re.ASCII | re.DOTALL)


def has_escapes(text: str, *, all: bool = True) -> bool:
    """Whether `unescape` may find anything to undo. Without `all`: anything that could have been written as it is."""
    if all and ("\\" in text or "%" in text or ("&" in text and _NAMED.search(text))):
        return True
    return ("\\" in text or "%" in text or "&#" in text) and _NEEDED.search(text) is not None


def is_wrapped(text: str) -> bool:
    """Whether there may be base64 in the text over several lines: whether something long, without spaces, ends with a line."""
    return _WRAPPED.search(text) is not None


def unescape(text: str) -> str:
    """The text with every escape of JSON, however deep, of URLs and of HTML undone, and without the backslashes that are left."""
    return _ESCAPE.sub(_meant, text)


def without_cut_escape(text: str) -> str:
    """The text without an escape that its end cuts in two."""
    return _CUT.sub("", text)


def _meant(match: re.Match[str]) -> str:
    return _meaning(match[0])


@lru_cache(maxsize=10_000)
def _meaning(escape: str) -> str:
    if escape[0] == "&":
        return _entity(escape.removesuffix(";").rpartition("&")[2].rpartition(";")[2])
    backslashes = _BACKSLASHES.match(escape)
    if backslashes is None:
        return unquote(_PERCENT.sub("%", escape), errors="surrogateescape")
    kind = escape[backslashes.end() :]
    if not kind:
        return ""  # how many backslashes are meant cannot be told without knowing how often they were escaped
    if kind[0] != "u":
        return _CONTROL.get(kind, kind)
    first = int(kind[1:5], 16)
    if len(kind) > 5:
        second = int(kind[-4:], 16)
        return chr(0x10000 + ((first & 0x3FF) << 10) + (second & 0x3FF))
    return chr(first)


def _entity(name: str) -> str:
    if name[0] != "#":
        return _ENTITIES[name]
    number = int(f"0{name[1:]}", 16) if name[1] in "xX" else int(name[1:])
    return chr(number).replace("\\", "") if number <= _HIGHEST else ""


class Unescaped:
    """The view that `unescape` gives, with the way back.

    Args:
        text: the original.
        joined: without the ends of lines, and what a line begins with, as wrapped base64 is read.
    """

    def __init__(self, text: str, *, joined: bool = False) -> None:
        parts: list[str] = []
        self._at: list[int] = []  # where each escape's meaning stands in the view
        self._escapes: list[tuple[int, int, int]] = []  # (length of the meaning, start, end of the escape)
        length = end = 0
        for match in (_BREAKS_TOO if joined else _ESCAPE).finditer(text):
            before = text[end : match.start()]
            meant = "" if match.lastgroup else _meant(match)
            length += len(before)
            self._at.append(length)
            self._escapes.append((len(meant), match.start(), match.end()))
            parts += [before, meant]
            length += len(meant)
            end = match.end()
        self.text = "".join([*parts, text[end:]])

    def where(self, start: int, end: int) -> Span:
        """The part of the original that this part of the view stands for."""
        return self._span(start)[0], self._span(end - 1)[1]

    def _span(self, at: int) -> Span:
        number = bisect_right(self._at, at) - 1
        if number < 0:
            return at, at + 1
        length, start, end = self._escapes[number]
        past = at - self._at[number] - length
        return (start, end) if past < 0 else (end + past, end + past + 1)
