"""The fixture `fake_provider`: a provider that plays scripts on the wire, for one test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_streamrt.plugin.function import plainly
from pytest_streamrt.plugin.markers import marker_arguments
from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.fake import FakeProvider

__all__ = ["fake_provider", "keys_first", "marker_is_the_providers"]


@pytest.fixture
def fake_provider(request: pytest.FixtureRequest, streamrt_config: Any) -> Iterator[FakeProvider]:
    """A provider that answers all clients of httpx and httpx2 with scripts: fake_provider.enqueue(script(…))."""
    from pytest_streamrt.cassette.config import config_from
    from pytest_streamrt.errors import CassetteError, ScriptError
    from pytest_streamrt.fake import fake_provider_context

    item = request.node
    state = state_of(item)
    if marker_is_the_providers(item) and _marker(item)["faults"]:
        msg = (
            "@pytest.mark.streamrt: faults are laid over a recording, and fake_provider plays scripts. Put them into the "
            'script: script("a", disconnect())'
        )
        pytest.fail(msg, pytrace=False)
    read = plainly(lambda: config_from(streamrt_config, "the fixture streamrt_config"), CassetteError)
    context = fake_provider_context(
        rechunk=_marker(item)["rechunk"], transcript=state.transcript, ignore_hosts=read.ignore_hosts, verify=False
    )
    state.provider = plainly(context.__enter__, ScriptError, "@pytest.mark.streamrt: ")
    if state.guard is not None:
        state.guard.hosts = (*state.guard.hosts, *read.ignore_hosts)
    try:
        yield state.provider
    finally:
        context.__exit__(None, None, None)


def keys_first(item: pytest.Item) -> None:
    """Have placeholders for API keys there before the test's fixtures: one that makes a client may come before this one."""
    if "fake_provider" in getattr(item, "fixturenames", ()):
        from pytest_streamrt.cassette.keys import placeholder_keys

        state_of(item).open.enter_context(placeholder_keys())


def marker_is_the_providers(item: pytest.Item) -> bool:
    """Whether the marker streamrt says how a fake provider's answers are cut, and asks for no cassette."""
    names = getattr(item, "fixturenames", ())
    if item.get_closest_marker("streamrt") is None or "fake_provider" not in names or "stream_cassette" in names:
        return False
    return _marker(item)["cassette"] is None


def _marker(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the marker streamrt."""
    from pytest_streamrt.plugin.cassettes import MARKER_DEFAULTS

    return marker_arguments(item, "streamrt", MARKER_DEFAULTS)
