"""The files that a command is to look at: those it was given, and those in the folders it was given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from pytest_streamrt.cassette.near import like

__all__ = ["Found", "OneFile", "find"]

_SUFFIXES: Final = (".jsonl",)
_NAMED: Final = 3  # files of a folder that an error names


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


class OneFile(click.Path):
    """A cassette or a transcript, as the argument of a command that takes one. Where it is none, those are named that are."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path of the file."""
        path = Path(value)
        if path.is_dir():
            self.fail(f"'{path}' is a folder, and this takes one file. {_inside(path)}.", param, ctx)
        if not path.exists() and (near := like(path)) is not None:
            self.fail(f"'{path}' does not exist. Did you mean '{near}'?", param, ctx)
        return super().convert(value, param, ctx)


def _inside(folder: Path) -> str:
    files = [found.path for found in find([folder], _SUFFIXES)]
    if not files:
        return "Nothing in it ends in .jsonl, as cassettes do"
    named = [f"'{path}'" for path in files[:_NAMED]]
    more = [f"{len(files) - _NAMED:,} more"] if len(files) > _NAMED else []
    *most, last = [*named, *more]
    return f"In it {'is' if len(files) == 1 else 'are'} {' and '.join([', '.join(most), last] if most else [last])}"
