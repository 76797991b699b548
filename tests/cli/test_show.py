"""`streamrt show`: a cassette or a transcript in each of its forms."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt.cli.demo import cassette as demo
from pytest_streamrt.events import TextDelta, from_json, to_json
from tests.cassette.written import answered, cassette
from tests.cli.recordings import chat, run
from tests.report.scenes import room

__all__ = ["run"]


def test_marbles_are_the_default(run, tmp_path):
    result = run("show", chat(tmp_path, "Hel", "lo"))

    assert result.exit_code == 0
    assert result.stdout.startswith("t            0 ")
    assert "text.delta 'Hel'" in result.stdout
    assert "inference.completed (stop)" in result.stdout


def test_a_table_has_a_line_for_each_event_with_its_time(run, tmp_path):
    lines = run("show", "--as", "table", chat(tmp_path, "Hel", "lo", first=0.5, every=0.25)).stdout.splitlines()

    assert "  0.750000000  openai.chat  text.delta 'Hel'" in lines
    assert "  1.000000000  openai.chat  text.delta 'lo'" in lines
    assert lines[-1].endswith("exchange.closed (complete, 0 chunks unread)")


def test_raw_is_what_came_over_the_wire(run, tmp_path):
    lines = run("show", "--as", "raw", chat(tmp_path, "Hel")).stdout.splitlines()

    assert lines[0].startswith("     0.000000  #1 > POST https://api.example/v1/chat/completions ")
    assert json.loads(lines[2].split(" < ", 1)[1]) == frame_of("Hel")
    assert lines[-1] == "     0.400000  #1 . complete"


def frame_of(word):
    from tests.cli.recordings import frame

    return frame(word)


def test_json_is_a_transcript_that_can_be_shown_again(run, tmp_path):
    path = tmp_path / "transcript.jsonl"
    shown = run("show", "--json", chat(tmp_path, "Hel", "lo")).stdout
    path.write_text(shown)

    assert [e.text for e in from_json(shown.encode()) if isinstance(e, TextDelta)] == ["Hel", "lo"]
    assert run("show", "--as", "json", path).stdout == shown
    assert "text.delta 'Hel'" in run("show", path).stdout


def test_a_transcript_of_a_room_is_shown_source_by_source(run, tmp_path):
    path = tmp_path / "room.jsonl"
    path.write_bytes(to_json(room().events))

    lines = run("show", "--as", "table", "--source", "planner", path).stdout.splitlines()

    assert all("  planner  " in line for line in lines)
    assert any("inference.aborted by 'reviewer'" in line for line in lines)


def test_a_page_is_written_to_a_file(run, tmp_path):
    page = tmp_path / "page.html"
    result = run("show", "--as", "html", "-o", page, demo())

    assert (result.exit_code, result.stdout) == (0, "")
    assert page.read_text().startswith("<!doctype html>")


def test_what_is_shown_cannot_steer_the_terminal(run, tmp_path):
    evil = "\x1b]0;owned\x07\x1b[2J\u202eback"
    for form in ("marbles", "table", "raw", "json"):
        assert "\x1b" not in run("show", "--as", form, chat(tmp_path, evil)).stdout


def test_secrets_of_the_environment_are_not_shown(run, tmp_path, monkeypatch):
    secret = "sk-live-0123456789-ABCDEF"
    path = chat(tmp_path, f"the key is {secret}")
    monkeypatch.setenv("MY_API_KEY", secret)

    for form in ("marbles", "table", "raw", "json", "html"):
        assert secret not in run("show", "--as", form, path).stdout


def test_colours_are_for_terminals(run, tmp_path):
    path = chat(tmp_path, "Hel")

    assert "\x1b[" not in run("show", "--as", "table", path).stdout
    assert "\x1b[" in run("show", "--as", "table", path, color=True).stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b'{"cassette": "pytest-streamrt", "version": 99}\n', "version 99"),
        (b'{"cassette": "pytest-streamrt", "version": 1}\n{"id"', "cut short"),
        (b'{"type": "no.such.event"}\n', "line 1 is no event of a transcript"),
        (b"\xff\xfe\x00", "line 1 is no event of a transcript"),
    ],
)
def test_a_file_that_is_neither_is_said_without_a_traceback(content, says, run, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    for command in (["show", path], ["play", path], ["diff", path, path]):
        result = run(*command)

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert says in result.stderr
        assert "pydantic" not in result.stderr


def test_wrong_use_exits_with_2(run, tmp_path):
    path = chat(tmp_path, "Hel")
    for arguments in (
        ["show", tmp_path / "none"],
        ["show", "--source", "nobody", path],
        ["show", "--frame", "0", path],
    ):
        assert run(*arguments).exit_code == 2


def test_where_no_dialect_is_known_it_says_how_to_see_what_came(run, tmp_path):
    path = cassette(tmp_path, answered("line 1\n", "line 2\n"))
    path.write_text(path.read_text().replace("/v1/chat/completions", "/lines"))
    for command in ("show", "play"):
        result = run(command, path)

        assert result.exit_code == 0
        assert result.stdout == (
            "(nothing was said: its exchanges speak no dialect that is known. "
            f"What came is shown by: streamrt show --as raw {path})\n"
        )


@pytest.mark.parametrize("command", ["show", "play"])
def test_a_folder_is_refused_with_the_files_that_are_in_it(run, tmp_path, command):
    empty, one, many = tmp_path / "empty", tmp_path / "one", tmp_path / "many"
    for number in range(5):
        (many / f"test_{number}").mkdir(parents=True)
        chat(many / f"test_{number}", "Hel").rename(many / f"test_{number}" / "test_it.jsonl")
    empty.mkdir()
    only = chat(one, "Hel")

    of_none, of_one, of_many = (run(command, folder) for folder in (empty, one, many))

    assert [each.exit_code for each in (of_none, of_one, of_many)] == [2, 2, 2]
    assert f"'{empty}' is a folder, and this takes one file. Nothing in it ends in .jsonl" in of_none.stderr
    assert f"'{one}' is a folder, and this takes one file. In it is '{only}'." in of_one.stderr
    three = ", ".join(f"'{many / f'test_{number}' / 'test_it.jsonl'}'" for number in range(3))
    assert f"'{many}' is a folder, and this takes one file. In it are {three} and 2 more." in of_many.stderr


@pytest.mark.parametrize("command", ["show", "play"])
def test_a_file_that_there_is_not_is_refused_with_the_one_that_was_meant(run, tmp_path, command):
    there = chat(tmp_path, "Hel").rename(tmp_path / "test_answers.jsonl")

    for given in ("test_answers", "test_answer.jsonl"):
        assert f"'{tmp_path / given}' does not exist. Did you mean '{there}'?" in run(command, tmp_path / given).stderr
    assert "does not exist." in (result := run(command, tmp_path / "other.jsonl")).stderr
    assert "Did you mean" not in result.stderr


@pytest.mark.parametrize("command", ["show", "play"])
def test_a_cassette_of_vcr_is_refused_with_the_command_that_converts_it(run, tmp_path, command):
    (path := tmp_path / "test_it.yaml").write_text("interactions: []\nversion: 1\n")

    result = run(command, path)

    assert result.exit_code == 1
    assert f"{path} has the name of a cassette of vcr. Make one of ours of it: streamrt convert {path}" in result.stderr


def test_an_output_that_cannot_be_written_is_an_error_and_no_traceback(run, tmp_path):
    path = tmp_path / "there_is_no_such_folder" / "page.html"

    result = run("show", chat(tmp_path, "Hel"), "-o", path)

    assert result.exit_code == 1
    assert f"Error: {path} cannot be written: No such file or directory" in result.stderr


@pytest.mark.parametrize(("given", "hint"), [("shwo", " Did you mean 'show'?"), ("record", "")])
def test_a_command_that_there_is_not_is_refused_with_those_that_there_are(run, given, hint):
    result = run(given)

    assert result.exit_code == 2
    assert f"there is no command {given!r}.{hint} There are: demo, show, play, diff, lint, " in result.stderr
