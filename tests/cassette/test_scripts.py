"""What was recorded as scripts: the same words at the same times, to be played without the cassette."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_streamrt import CassetteError, FakeModel, fold
from pytest_streamrt.cassette import load_cassette, scripts_of
from pytest_streamrt.events import DELTAS
from pytest_streamrt.providers import DIALECTS, decode, detect, encode
from pytest_streamrt.script.parts import Stall
from pytest_streamrt.script.play import Player

CASSETTES = Path(__file__).parents[2] / "cassettes"
RECORDED = sorted(path for path in CASSETTES.rglob("*.jsonl") if path.stem not in ("wrong-model", "closed-half-way"))


def name_of(path):
    return str(path.relative_to(CASSETTES))


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
def test_a_script_says_what_was_recorded_delta_for_delta(path):
    recorded = [each for each in load_cassette(path) if detect(each.method, each.url)]

    for each, s in zip(recorded, scripts_of(path), strict=True):
        events = decode([chunk.data for chunk in each.chunks], detect(each.method, each.url))
        player = Player()
        played = [event for step in s.steps() for event in player.events(step)]
        assert [(event.type, getattr(event, "text", None)) for event in played if event.type in DELTAS] == [
            (event.type, getattr(event, "text", None)) for event in events if event.type in DELTAS
        ]
        assert fold(played).text == fold(events).text
        assert [(c.name, c.arguments) for c in fold(played).tool_calls] == [
            (c.name, c.arguments) for c in fold(events).tool_calls
        ]


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
def test_its_deltas_come_when_they_came(path):
    recorded = [each for each in load_cassette(path) if detect(each.method, each.url)]

    for each, s in zip(recorded, scripts_of(path), strict=True):
        total = sum(step.delay for step in s.steps())
        first = next(step.delay for step in s.steps() if step.piece is not None)
        assert total <= (each.end_at - each.at) * 1000
        assert each.chunks[0].at <= each.at + first // 1000 <= each.end_at


def test_untimed_they_come_at_once():
    (s,) = scripts_of(CASSETTES / "llama-cpp" / "chat.jsonl", timed=False)

    assert s.text == "The capital of France is Paris."
    assert all(step.delay == 0 for step in s.steps())


def test_what_the_client_closed_stalls_where_it_closed():
    (s,) = scripts_of(CASSETTES / "llama-cpp" / "closed-half-way.jsonl")

    assert isinstance(s.parts[-1], Stall)


def test_an_http_error_is_no_answer():
    assert scripts_of(CASSETTES / "transformers" / "wrong-model.jsonl") == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_can_be_said_in_any_other_api(dialect):
    (s,) = scripts_of(CASSETTES / "llama-cpp" / "tool-call.jsonl")

    (call,) = fold(decode(encode(s, dialect), dialect)).tool_calls

    (recorded,) = [part for part in s.parts if hasattr(part, "name")]
    assert (call.name, json.loads(call.arguments)) == (recorded.name, json.loads("".join(recorded.pieces)))


def test_it_is_a_script_like_any_other():
    (s,) = scripts_of(CASSETTES / "llama-cpp" / "chat.jsonl")

    assert (s.prefix(2) + " end").text == "The end"
    assert FakeModel(s + "!").calls == []


def test_a_cassette_that_is_not_there():
    with pytest.raises(CassetteError, match="there is no cassette at"):
        scripts_of("nowhere.jsonl")
