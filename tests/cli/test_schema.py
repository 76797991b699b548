"""`streamrt schema`: what it prints is the schema that is published, and cassettes are valid by it."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from pytest_streamrt.cli.app import streamrt

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "cassette.schema.json"


def test_it_prints_the_published_schema():
    result = CliRunner().invoke(streamrt, ["schema"])

    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_wrong_use():
    result = CliRunner().invoke(streamrt, ["schema", "more"])

    assert result.exit_code == 2
