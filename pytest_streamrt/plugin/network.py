"""``--streamrt-block-network``: no connection leaves this machine while a test runs, and one that tried to fails it."""

from __future__ import annotations

import pytest

from pytest_streamrt.plugin.state import state_of

__all__ = ["guard_network", "unguard_network"]


def guard_network(item: pytest.Item) -> None:
    """The test begins: block connections."""
    from pytest_streamrt.cassette.guard import NetworkGuard

    state = state_of(item)
    state.guard = NetworkGuard()
    state.guard.__enter__()


def unguard_network(item: pytest.Item) -> None:
    """The test has ended."""
    guard = state_of(item).guard
    if guard is not None:
        guard.__exit__()
