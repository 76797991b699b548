"""The published schema says what cassettes are: each of ours is one, and what the loader refuses mostly is none."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pytest_streamrt import use_cassette
from pytest_streamrt.cassette.schema import cassette_schema
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import Network, answer, ask, record

ROOT = Path(__file__).parents[2]
OURS = sorted((ROOT / "cassettes").rglob("*.jsonl"))


@pytest.fixture(scope="module")
def validator():
    schema = cassette_schema()
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_it_is_published():
    published = (ROOT / "docs/reference/cassette.schema.json").read_text(encoding="utf-8")

    assert published == json.dumps(cassette_schema(), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_our_cassettes_are_valid(path, validator):
    for line in lines(path):
        validator.validate(line)


def test_what_is_recorded_is_valid(tmp_path, validator):
    path = tmp_path / "one.jsonl"
    record(path, answer("ü"), [b"\xff\x00"], questions=[{"a": 1}, {"b": [None]}])

    class Broken(Network):
        def handle(self, library, transport, request, forward):
            raise library.ConnectError("no")

    with intercept(Broken()), use_cassette(path, record="new_episodes", record_errors=True):
        with pytest.raises(Exception, match="no"):
            ask({"c": 1})

    for line in lines(path):
        validator.validate(line)


@pytest.mark.parametrize(
    "line",
    [
        [],
        {},
        {"cassette": "pytest-streamrt", "version": 2},
        {"id": 0, "at": 0, "text": ""},
        {"id": 1, "at": -1, "text": ""},
        {"id": 1, "at": 0, "text": "", "end": "complete"},
        {"id": 1, "at": 0, "base64": "!"},
        {"id": 1, "at": 0, "end": "sometime"},
        {"id": 1, "at": 0, "end": "failed", "error": ["one"]},
        {"id": 1, "at": 0, "response": {"status": 99, "headers": []}},
        {"id": 1, "at": 0, "request": {"method": "GET", "url": "", "headers": [["a"]], "text": ""}},
    ],
)
def test_what_is_no_line_is_invalid(line, validator):
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(line)
