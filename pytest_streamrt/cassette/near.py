"""Where there is no cassette of that name: the file that may have been meant."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Final

__all__ = ["is_vcrs", "like", "of_vcr"]

_SUFFIX: Final = ".jsonl"
_VCRS: Final = (".yaml", ".yml")


def like(path: Path) -> Path | None:
    """The cassette beside it whose name is most like it, if any is."""
    there = {each.stem: each for each in sorted(path.parent.glob("*")) if each.name.endswith(_SUFFIX)}
    found = get_close_matches(path.name.removesuffix(_SUFFIX), there, 1)  # the suffix would make all of them alike
    return there[found[0]] if found else None


def of_vcr(path: Path) -> Path | None:
    """The cassette of vcr beside it that has its name, if there is one: pytest-recording puts it there."""
    return next((old for suffix in _VCRS if (old := path.with_suffix(suffix)).is_file()), None)


def is_vcrs(path: Path) -> bool:
    """Whether it has a name as cassettes of vcr have."""
    return path.suffix in _VCRS
