"""`streamrt diff`: what changed, in words, as JSON and as an exit code; and drift of the wire with --shape."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_streamrt.cli.demo import cassette as demo
from pytest_streamrt.events import to_json
from tests.cli.recordings import chat, frame, run
from tests.report.scenes import room

__all__ = ["run"]


@pytest.fixture
def found(run):
    """Compare; gives what differs as tuples of part, where, old and new."""

    def found(*arguments):
        result = run("diff", "--json", *arguments)
        told = json.loads(result.stdout)
        assert told["same"] is (result.exit_code == 0)
        return [(d["part"], d["where"], d["old"], d["new"]) for d in told["differences"]]

    return found


def test_what_is_the_same_says_so_and_exits_with_0(run):
    result = run("diff", demo(), demo())

    assert (result.exit_code, result.stdout) == (0, "nothing differs in 1 file\n")


def test_another_word_is_told_where_it_begins_to_differ(found, tmp_path):
    old = chat(tmp_path / "a", "The capital ", "is Paris.")
    new = chat(tmp_path / "b", "The capital ", "is Lyons.")

    assert found(old, new) == [
        (
            "events",
            "openai.chat, step 2, text.delta from character 15",
            "'The capital is Paris.'",
            "'The capital is Lyons.'",
        )
    ]


def test_another_cut_of_the_same_text_is_of_the_wire_alone(found, tmp_path):
    old = chat(tmp_path / "a", "The capital ", "is Paris.")
    new = chat(tmp_path / "b", "The ", "capital is Paris.")

    assert {part for part, *_ in found(old, new)} == {"wire"}
    assert found("--ignore", "wire", old, new) == []


def test_times_may_differ_by_a_share(found, tmp_path):
    old = chat(tmp_path / "a", "Hel", "lo", every=0.10)
    new = chat(tmp_path / "b", "Hel", "lo", every=0.11)

    assert found(old, new)[0] == ("timing", "openai.chat, first delta", "0.200000 s", "0.210000 s")
    assert found("--tolerance", "0.2", old, new) == []


def test_another_request_is_told_by_path(found, tmp_path):
    old = chat(tmp_path / "a", "Hi", request={"model": "m", "temperature": 0})
    new = chat(tmp_path / "b", "Hi", request={"model": "n"})

    assert found(old, new) == [
        ("request", "exchange 1, body.model", "'m'", "'n'"),
        ("request", "exchange 1, body.temperature", "0", None),
    ]


def test_another_status_and_end_are_told(found, tmp_path):
    old = chat(tmp_path / "a", "Hi")
    new = chat(tmp_path / "b", "Hi", status=500, headers=[["content-type", "text/html"]])

    assert ("wire", "exchange 1, status", "200", "500") in found(old, new)
    assert ("wire", "exchange 1, content-type", "text/event-stream", "text/html") in found(old, new)
    assert ("shape", "exchange 1, status", "200", "500") in found("--shape", old, new)


def test_shape_does_not_care_what_was_said_nor_when_nor_in_how_many_deltas(found, tmp_path):
    old = chat(tmp_path / "a", "The capital ", "is Paris.")
    new = chat(tmp_path / "b", "Lyons", ", ", "I ", "think", every=2)

    assert found("--shape", old, new) == []


def test_shape_sees_a_field_that_is_new_gone_or_of_another_type(found, tmp_path):
    old = chat(tmp_path / "a", "Hi", extra={"tier": "a", "usage": None})
    new = chat(tmp_path / "b", "Hi", extra={"tier": 1, "seed": [{"x": 1}]})

    assert found("--shape", old, new) == [
        ("shape", "exchange 1, frame: seed", None, "array"),
        ("shape", "exchange 1, frame: seed[]", None, "object"),
        ("shape", "exchange 1, frame: seed[].x", None, "number"),
        ("shape", "exchange 1, frame: tier", "string", "number"),
        ("shape", "exchange 1, frame: usage", "null", None),
    ]


def test_shape_sees_another_order_of_events(found, tmp_path):
    old = chat(tmp_path / "a", "Hi")
    new = chat(tmp_path / "b", "Hi")
    new.write_text(new.read_text().replace("data: [DONE]", "data: [ENDE]"))
    typed = frame("Hi", type="response.new")

    assert found("--shape", old, new) == [("shape", "exchange 1, order after frame", "[DONE]", "[ENDE]")]
    new.write_text(old.read_text().replace(json.dumps(frame("Hi")), json.dumps(typed)))
    assert ("shape", "exchange 1, order at the beginning", None, "response.new") in found("--shape", old, new)


def test_folders_are_compared_file_by_file(run, found, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    chat(old, "Hi")
    shutil.copytree(old, new)
    (new / "sub").mkdir()
    shutil.copy(demo(), new / "sub" / "more.jsonl")

    assert found(old, new) == [("file", "the file", None, "there")]
    assert run("diff", old, new).stdout == "sub/more.jsonl\n  file  the file\n    + there\n"


def test_transcripts_are_compared_too(found, tmp_path):
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_bytes(to_json(room(5).events))
    new.write_bytes(to_json(room(6).events))

    assert found(old, old) == []
    assert {part for part, *_ in found(old, new)} == {"events", "timing"}
    assert found("--shape", old, new) == []
    assert found(old, chat(tmp_path / "a", "Hi"))[0] == ("file", "kind", "a transcript", "a cassette")


def test_wrong_use_exits_with_2_and_an_empty_folder_with_1(run, tmp_path):
    path = chat(tmp_path / "a", "Hi")
    (tmp_path / "empty").mkdir()

    assert run("diff", path, tmp_path).exit_code == 2
    assert run("diff", path).exit_code == 2
    assert run("diff", tmp_path / "empty", tmp_path / "empty").exit_code == 1
