"""What a test may expect of a value: the value itself, a pattern, a predicate, or anything with an opinion on equality."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

__all__ = ["ANY", "agrees", "agrees_as_json", "asked", "differences", "name_of", "show_value"]

ANY: Final = object()
"""Nothing was asked of it."""

_PREDICATES: Final = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    partial,
)
_SHOWN: Final = 200  # characters of a value in a message


def agrees(expected: Any, actual: Any) -> bool:
    """Whether a value is what was expected.

    A compiled pattern is searched for in a string; a function is asked; of a dict or a list each value is compared in this
    way; anything else is compared by ``==``, so that dirty-equals, `unittest.mock.ANY` and the like work.

    Raises:
        TypeError: the predicate is async: what it gives is always true.
    """
    if expected is ANY:
        return True
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.search(actual) is not None
    if isinstance(expected, _PREDICATES):
        return asked(expected, actual)
    if type(expected) is dict and isinstance(actual, Mapping):
        return expected.keys() == actual.keys() and all(agrees(each, actual[key]) for key, each in expected.items())
    if type(expected) in (list, tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(map(agrees, expected, actual))
    return bool(expected == actual)


def asked(predicate: Any, value: Any) -> bool:
    """What the predicate says of a value.

    Raises:
        TypeError: it is async, or no function.
    """
    if not callable(predicate):
        msg = f"{predicate!r} is no predicate: that is a function, such as lambda event: event.type == 'status'"
        raise TypeError(msg)
    given = predicate(value)
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        msg = f"{name_of(predicate)} is async: what it gives is always true. A predicate is a plain function"
        raise TypeError(msg)
    return bool(given)


def agrees_as_json(expected: Any, text: str) -> bool:
    """Whether JSON text is what was expected: as text where that is a string, else parsed."""
    if isinstance(expected, str) or agrees(expected, text):
        return agrees(expected, text)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return agrees(expected, parsed)


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Where an actual value is not what was expected, field by field, each by its path; none where it agrees."""
    if agrees(expected, actual):
        return []
    if type(expected) is dict and isinstance(actual, Mapping):
        found = [f"{_join(path, key)} is missing" for key in expected if key not in actual]
        found += [f"{_join(path, key)} was not expected" for key in actual if key not in expected]
        for key, each in expected.items():
            if key in actual:
                found += differences(each, actual[key], _join(path, key))
        return found
    if type(expected) in (list, tuple) and isinstance(actual, list | tuple) and len(expected) == len(actual):
        return [
            each
            for i, (one, other) in enumerate(zip(expected, actual, strict=True))
            for each in differences(one, other, f"{path}[{i}]")
        ]
    return [f"{path or 'it'}: {show_value(expected)} was to come, and {show_value(actual)} came"]


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def show_value(expected: Any) -> str:
    """What was expected, for a message."""
    if isinstance(expected, re.Pattern):
        return f"what matches {expected.pattern!r}"
    if isinstance(expected, _PREDICATES):
        return f"what {name_of(expected)} holds of"
    shown = repr(expected)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def name_of(function: Any) -> str:
    """A predicate's name, with where it stands if it has none."""
    name = getattr(function, "__name__", None) or type(function).__name__
    code = getattr(function, "__code__", None)
    if name == "<lambda>" and code is not None:
        return f"<lambda> in line {code.co_firstlineno}"
    return str(name)
