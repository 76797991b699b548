"""Which recording answers a request, and what to say when none does: the nearest one, and how it differs, by path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pytest_streamrt.cassette.format import Interaction
from pytest_streamrt.cassette.redact import PLACEHOLDER

__all__ = ["differences", "nearest"]

_REDACTED: Final = re.compile(re.escape(PLACEHOLDER) + r"\**")
_MOST: Final = 8  # differences shown
_SHOWN: Final = 70  # characters of a value shown


def differences(recorded: Interaction, method: str, url: str, body: bytes) -> list[str]:
    """How a request differs from a recorded one: a line for each place, and none where they match.

    JSON bodies are compared by structure, all else by bytes. What was redacted matches anything.
    """
    found: list[str] = []
    if recorded.method != method:
        found.append(_line("method", recorded.method, method))
    if not _is_same_text(recorded.url, url):
        found.append(_line("url", recorded.url, url))
    if recorded.body != body:
        old, new = _json(recorded.body), _json(body)
        if old is _NO_JSON or new is _NO_JSON:
            if not _is_same_text(recorded.body.decode("latin-1"), body.decode("latin-1")):
                found.append(_line("body", recorded.body, body))
        else:
            found.extend(_compare("body", old, new))
    return found


def nearest(
    recorded: Sequence[Interaction], method: str, url: str, body: bytes
) -> tuple[Interaction, list[str]] | None:
    """The recorded request with the fewest differences, and these."""
    compared = [(each, differences(each, method, url, body)) for each in recorded]
    return min(compared, key=lambda pair: len(pair[1]), default=None)


def show(found: Sequence[str]) -> str:
    """Differences as indented lines, the first few."""
    lines = [f"    {line}" for line in found[:_MOST]]
    if len(found) > _MOST:
        lines.append(f"    … and {len(found) - _MOST} more")
    return "\n".join(lines)


class _NoJson:
    pass


_NO_JSON: Final = _NoJson()
_MISSING: Final = _NoJson()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


def _compare(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _compare(f"{path}.{key}", old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            before = old[i] if i < len(old) else _MISSING
            after = new[i] if i < len(new) else _MISSING
            yield from _compare(f"{path}[{i}]", before, after)
    elif isinstance(old, str) and isinstance(new, str):
        if not _is_same_text(old, new):
            yield _line(path, old, new)
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield _line(path, old, new)


def _is_same_text(recorded: str, now: str) -> bool:
    """Whether they are equal, but for what was redacted in the recorded one."""
    if PLACEHOLDER not in recorded:
        return recorded == now
    return re.fullmatch(".*".join(map(re.escape, _REDACTED.split(recorded))), now, re.DOTALL) is not None


def _line(path: str, old: object, new: object) -> str:
    return f"{path}: recorded {_show(old)}, now {_show(new)}"


def _show(value: object) -> str:
    if value is _MISSING:
        return "(absent)"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
