"""Cutting a text into the deltas of a script."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from typing import Final

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.wording import counted

__all__ = ["cut_text"]

__tracebackhide__ = True  # what is raised here is about what was given, and is shown where that was

_WORD: Final = re.compile(r"\s*\S+|\s+\Z")  # as models write them: with the white space before the word


def cut_text(text: str, tokens: int | Callable[[str], Iterable[str]] | None) -> list[str]:
    """The text in pieces. See `script.from_text`."""
    if not isinstance(text, str) or not text:
        msg = f"from_text: the text is a string, and not empty: {text!r}"
        raise ScriptError(msg)
    if tokens is None:
        return _WORD.findall(text)
    if callable(tokens):
        made = tokens(text)
        pieces = [piece for piece in made if piece] if isinstance(made, Iterable) else [made]
        if not all(isinstance(piece, str) for piece in pieces):
            msg = f"from_text: {tokens!r} is to give the text in pieces, which are strings, and gave {made!r:.80}"
            raise ScriptError(msg)
        if "".join(pieces) != text:
            msg = f"from_text: the pieces of {tokens!r} say {''.join(pieces)!r}, the text is {text!r}"
            raise ScriptError(msg)
        return pieces
    if not is_whole(tokens, 1, len(text)):
        msg = f"from_text: {counted(len(text), 'character')} cannot be cut into {tokens!r} deltas"
        raise ScriptError(msg)
    cuts = [len(text) * n // tokens for n in range(tokens + 1)]
    return [text[begin:end] for begin, end in itertools.pairwise(cuts)]
