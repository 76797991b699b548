"""Fixtures of the plugin's tests alone."""

from __future__ import annotations

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer
from tests.plugin.recorded import FUNCTION, TEST


@pytest.fixture
def recorded(project, server):
    """A project whose cassette has been recorded."""
    project.write(FUNCTION.format(url=server.url), "mine")
    project.write(TEST)
    server.enqueue(Answer(encode(script("Par", "is."), "openai.chat")))
    project.record().assert_outcomes(passed=1)
    return project
