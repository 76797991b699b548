"""The fixtures. Their docstrings are what ``pytest --fixtures`` prints."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.cassette import Cassette
    from pytest_streamrt.clock import VirtualClock
    from pytest_streamrt.runtime import Environment, Gate, Participant
    from pytest_streamrt.transcript import Transcript

__all__ = [
    "asgi_client",
    "environment",
    "stream_cassette",
    "streamrt_config",
    "transcript",
    "transcript_snapshot",
    "virtual_clock",
]

_PATIENCE = 60.0  # seconds; a browser waits for minutes, nginx's proxy_read_timeout is 60 s, httpx's own is only 5 s


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

    def environment(
        *participants: Participant, gates: Iterable[Gate] = (), failures: Literal["raise", "isolate"] = "raise"
    ) -> Environment:
        """An environment that writes to the test's transcript."""
        __tracebackhide__ = True
        return Environment(*participants, gates=gates, transcript=state.transcript, failures=failures)

    return environment


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> VirtualClock:
    """The virtual clock that this test runs on: .now, .ns, advance(), hold(), turn(), settle(). Asking for it starts it."""
    from pytest_streamrt.plugin.clock import clock_for

    return clock_for(request.node)


@pytest.fixture(scope="session")
def streamrt_config() -> dict[str, Any]:
    """What cassettes keep out and what matches, for you to override: the options of pytest_streamrt.use_cassette."""
    return {}


@pytest.fixture
def stream_cassette(request: pytest.FixtureRequest, streamrt_config: Any) -> Cassette:
    """The cassette that answers this test's HTTP requests; see the marker streamrt, which may stand alone."""
    from pytest_streamrt.plugin.cassettes import open_cassette

    return open_cassette(request.node, streamrt_config)


@pytest.fixture
def asgi_client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes clients (of httpx2, or httpx) for an ASGI app that is run in process, and streams."""
    from pytest_streamrt.edge import StreamingASGITransport

    library = next((name for name in ("httpx2", "httpx") if importlib.util.find_spec(name) is not None), None)
    if library is None:
        pytest.fail("asgi_client needs an HTTP client: pip install httpx2", pytrace=False)
    client: Any = importlib.import_module(library).AsyncClient
    state_of(request.node).has_app = True

    def asgi_client(
        app: Any, *, base_url: str = "http://testserver", timeout: float | None = _PATIENCE, **options: Any
    ) -> Any:
        """A client of that app, which waits `timeout` seconds for a byte; other options: `StreamingASGITransport`."""
        return client(transport=StreamingASGITransport(app, **options), base_url=base_url, timeout=timeout)

    return asgi_client


@pytest.fixture
def transcript_snapshot(request: pytest.FixtureRequest, streamrt_config: Any) -> Any:
    """Compare the transcript with a kept one: assert transcript == transcript_snapshot. Update: --snapshot-update."""
    if not request.config.pluginmanager.has_plugin("syrupy"):
        pytest.fail("transcript_snapshot needs syrupy: pip install 'pytest-streamrt[syrupy]'", pytrace=False)
    from pytest_streamrt.plugin.cassettes import redactor_for
    from pytest_streamrt.report.snapshot import TranscriptSnapshotExtension

    class OfTest(TranscriptSnapshotExtension):
        redactor = redactor_for(request.node, streamrt_config)

    return request.getfixturevalue("snapshot").use_extension(OfTest)
