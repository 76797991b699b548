"""The fixtures. Their docstrings are what ``pytest --fixtures`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.cassette import Cassette
    from pytest_streamrt.clock import VirtualClock
    from pytest_streamrt.runtime import Environment, Participant
    from pytest_streamrt.transcript import Transcript

__all__ = ["environment", "stream_cassette", "transcript", "virtual_clock"]


@pytest.fixture
def transcript(request: pytest.FixtureRequest) -> Transcript:
    """Everything that happened in this test, in order, with times: ask it with transcript.expect(source)."""
    return state_of(request.node).transcript


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Callable[..., Environment]:
    """pytest_streamrt.Environment, writing to the test's transcript; at the test's end the laws are checked."""
    from pytest_streamrt.runtime import Environment

    state = state_of(request.node)
    state.has_environment = True

    def environment(*participants: Participant, failures: Literal["raise", "isolate"] = "raise") -> Environment:
        """An environment that writes to the test's transcript."""
        return Environment(*participants, transcript=state.transcript, failures=failures)

    return environment


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> VirtualClock:
    """The virtual clock that this test runs on: .now, .ns, advance(), hold(), turn(), settle(). Asking for it starts it."""
    from pytest_streamrt.plugin.clock import clock_for

    return clock_for(request.node)


@pytest.fixture
def stream_cassette(request: pytest.FixtureRequest) -> Cassette:
    """The cassette that answers this test's HTTP requests; see the marker streamrt, which may stand alone."""
    from pytest_streamrt.plugin.cassettes import open_cassette

    return open_cassette(request.node)
