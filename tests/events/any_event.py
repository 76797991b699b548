"""A strategy for any event there is, built from the fields of the classes, so that a new event is tested unasked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from pytest_streamrt.events import AnyEvent
from tests.strategies import json_values, plain_texts

EVENT_TYPES = get_args(AnyEvent)

# Whole nanoseconds, as the clock gives them.
_times = st.integers(0, 2**51).map(lambda ns: ns / 1e9)


def of_type(hint):
    """Values of a field's type."""
    origin = get_origin(hint)
    if origin is Literal:
        return st.sampled_from(get_args(hint))
    if origin in (Union, UnionType):
        return st.one_of(*map(of_type, get_args(hint)))
    if origin is tuple:
        return st.lists(of_type(get_args(hint)[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(plain_texts, json_values, max_size=3)
    if dataclasses.is_dataclass(hint):
        return of_class(hint)
    return {
        str: plain_texts | st.just(""),
        int: st.integers(0, 2**53),
        bool: st.booleans(),
        float: _times,
        type(None): st.none(),
        Any: json_values | plain_texts,
    }[hint]


def of_class(cls):
    """Instances of a dataclass, every field given."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: of_type(hints[f.name]) for f in dataclasses.fields(cls)})


events = st.sampled_from(EVENT_TYPES).flatmap(of_class)
"""Any event, stamped or not."""
