"""Writing a file whole or not at all, whatever happens meanwhile: a cassette, a cleaned one, a page of the report."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from glob import escape
from pathlib import Path
from typing import Final

__all__ = ["replace_file"]

# Characters of the file's name in the temporary one's, which must not get too long for the system.
_LONGEST: Final = 100


def replace_file(path: Path, pieces: Iterable[bytes], *, mode: int | None = None, sync: bool = True) -> None:
    """Put a file in that place: what was there before stays until the new one is complete.

    Args:
        path: where; its folder is there.
        pieces: what is in it.
        mode: its permissions, where they are not to be those of any new file.
        sync: have it on the disk before it takes the place, so that not even a crash of the machine leaves half of one.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{_stem(path)}.{os.getpid()}.tmp")
    _clear_up(path)
    try:
        with temporary.open("wb") as file:
            file.writelines(pieces)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _stem(path: Path) -> str:
    return path.name[:_LONGEST]


def _clear_up(path: Path) -> None:
    """Remove what processes that were killed while they wrote this file have left."""
    for left in path.parent.glob(f".{escape(_stem(path))}.*.tmp"):
        pid = left.name.split(".")[-2]
        if pid.isdigit() and not _is_alive(int(pid)):
            with contextlib.suppress(OSError):
                left.unlink()


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # where to ask is to kill
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
