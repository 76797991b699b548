"""The fixture `fake_provider`: a provider that plays scripts on the wire, for one test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_streamrt.plugin.function import plainly
from pytest_streamrt.plugin.markers import marker_arguments
from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.fake import FakeProvider

__all__ = ["fake_provider", "marker_is_the_providers"]

_MARKER = {"cassette": None, "timing": "auto", "rechunk": "recorded"}


@pytest.fixture
def fake_provider(request: pytest.FixtureRequest) -> Iterator[FakeProvider]:
    """A provider that answers all clients of httpx and httpx2 with scripts: fake_provider.enqueue(script(…))."""
    from pytest_streamrt.errors import ScriptError
    from pytest_streamrt.fake import fake_provider_context

    item = request.node
    state = state_of(item)
    cut = marker_arguments(item, "streamrt", _MARKER)["rechunk"]
    context = fake_provider_context(rechunk=cut, transcript=state.transcript, verify=False)
    state.provider = plainly(context.__enter__, ScriptError, "@pytest.mark.streamrt: ")
    try:
        yield state.provider
    finally:
        context.__exit__(None, None, None)


def marker_is_the_providers(item: pytest.Item) -> bool:
    """Whether the marker streamrt says how a fake provider's answers are cut, and asks for no cassette."""
    names = getattr(item, "fixturenames", ())
    marker = item.get_closest_marker("streamrt")
    return (
        marker is not None
        and "fake_provider" in names
        and "stream_cassette" not in names
        and marker_arguments(item, "streamrt", _MARKER)["cassette"] is None
    )
