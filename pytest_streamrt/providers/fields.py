"""Reading a provider's JSON: a field is what its API says it is, or absent, or the whole event is refused.

A mapper reads every field through these, so that nothing of the wrong type gets into an event.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Malformed", "count", "object_of", "objects", "text"]


class Malformed(Exception):
    """A field is not what the API says it is; the message says which, in a few words."""


def text(data: Mapping[str, Any], name: str) -> str:
    """A string; "" where it is absent or null."""
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _malformed(name, "a string", value)
    return value


def count(data: Mapping[str, Any], name: str) -> int:
    """A whole number from 0 on; 0 where it is absent, null or negative."""
    value = data.get(name)
    if value is None:
        return 0
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return max(int(value), 0)
    raise _malformed(name, "a number", value)


def object_of(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object; an empty one where it is absent or null."""
    value = data.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _malformed(name, "an object", value)
    return value


def objects(data: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """A list of objects; none where it is absent or null. A null in it is passed over."""
    value = data.get(name)
    if value is None:
        return
    if not isinstance(value, list):
        raise _malformed(name, "a list", value)
    for each in value:
        if each is None:
            continue
        if not isinstance(each, dict):
            raise _malformed(name, "a list of objects", value)
        yield each


def _malformed(name: str, expected: str, value: object) -> Malformed:
    return Malformed(f"its field {name!r} is not {expected} but {type(value).__name__}")
