"""The path of a cassette, as somebody gives it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_streamrt.errors import CassetteError

__all__ = ["path_of"]


def path_of(given: str | os.PathLike[str], who: str) -> Path:
    """That path.

    Raises:
        CassetteError: no file can have it.
    """
    if not isinstance(given, str | os.PathLike) or not str(given).strip() or "\0" in str(given):
        raise CassetteError(f"{who}: a cassette is a file, such as 'cassettes/capital.jsonl', and not {given!r}")
    path = Path(given)
    try:
        path.exists()
    except OSError as error:
        raise CassetteError(f"{who}: no cassette can be at {path!s:.80}: {error.strerror or error}") from None
    return path
