"""The files that a command is to look at: those it was given, and those in the folders it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Found", "find"]


@dataclass(frozen=True)
class Found:
    """A file.

    Attributes:
        path: where it is.
        under: the folder in which it was found; where it was given itself, the one that it is in.
        given: whether it was given itself.
    """

    path: Path
    under: Path
    given: bool


def find(paths: Iterable[Path], suffixes: tuple[str, ...]) -> Iterator[Found]:
    """The files given, and those with these suffixes in the folders given, in order of name; each once."""
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.name.endswith(suffixes) and each.is_file())
            found = [Found(each, path, given=False) for each in inside if not each.name.startswith(".")]
        else:
            found = [Found(path, path.parent, given=True)]
        for each in found:
            if each.path.resolve() not in seen:
                seen.add(each.path.resolve())
                yield each
