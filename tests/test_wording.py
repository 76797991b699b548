"""How messages count."""

from __future__ import annotations

import pytest

from pytest_streamrt.wording import counted


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (0, ("delta",), "0 deltas"),
        (1, ("delta",), "1 delta"),
        (2, ("delta",), "2 deltas"),
        (12_345, ("byte",), "12,345 bytes"),
        (1, ("task waits", "tasks wait"), "1 task waits"),
        (3, ("task waits", "tasks wait"), "3 tasks wait"),
    ],
)
def test_one_is_not_several(number, names, said):
    assert counted(number, *names) == said
