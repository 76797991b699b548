"""`streamrt lint` and `streamrt scrub`, on files."""

from __future__ import annotations

import gzip
import json
import os
import stat

import pytest
from click.testing import CliRunner

from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cli.app import streamrt
from tests.cassette.written import answered, cassette

KEY = "sk-proj-0123456789abcdefghij"


def run(*arguments):
    return CliRunner().invoke(streamrt, list(map(str, arguments)))


@pytest.fixture
def leaky(tmp_path):
    """A folder with a cassette that has a key and an address in it, one that has not, and a transcript that has a key."""
    (tmp_path / "sub").mkdir()
    cassette(tmp_path / "sub", answered("data: {}\n\n"))
    path = cassette(tmp_path, answered(f"data: my key is {KEY[:9]}", f"{KEY[9:]}\n\n"), body="from ada@engine.org")
    (tmp_path / "test_a.transcript").write_text(f"a {KEY}\n")
    (tmp_path / "notes.txt").write_text(KEY)
    return path


def test_lint_prints_file_line_place_and_what_mends_it(leaky):
    result = run("lint", leaky.parent)

    assert result.exit_code == 1
    url = "POST https://api.example/v1/chat/completions"
    assert result.stdout.splitlines() == [
        f"{leaky.parent}/test_a.transcript:1: an API key (sk-…) in the text: sk-p… (28 characters)",
        f"{leaky}:2: an e-mail address in the body of the request {url}: ada@… (14 characters)",
        f"{leaky}:4: an API key (sk-…) in the response to {url}: sk-p… (28 characters)",
    ]
    assert (
        f"3 found in 2 of 3 files. Take them out: streamrt scrub {leaky.parent}/test_a.transcript {leaky}\n"
        in result.stderr
    )
    assert KEY not in result.output


def test_lint_as_json(leaky):
    result = run("lint", "--json", leaky)

    assert result.exit_code == 1
    assert [(each["file"], each["line"], each["what"]) for each in json.loads(result.stdout)] == [
        (str(leaky), 2, "an e-mail address"),
        (str(leaky), 4, "an API key (sk-…)"),
    ]


def test_the_mend_repeats_the_options(leaky):
    result = run("lint", "--no-personal", "--filter-pattern", "d.ta", leaky)

    assert f"streamrt scrub --no-personal --filter-pattern d.ta {leaky}" in result.stderr.replace("'", "")


def test_scrub_does_what_lint_says(leaky):
    before = load_cassette(leaky)
    leaky.chmod(0o640)

    result = run("scrub", leaky.parent)

    assert result.exit_code == 0
    assert f"{leaky}: took out 2: an e-mail address, an API key (sk-…)\n" in result.stdout
    assert run("lint", leaky.parent).exit_code == 0
    assert run("scrub", leaky.parent).stdout == "nothing to take out\n"
    after = load_cassette(leaky)
    assert [(c.at, len(c.data)) for c in after[0].chunks] == [(c.at, len(c.data)) for c in before[0].chunks]
    assert stat.S_IMODE(leaky.stat().st_mode) == 0o640
    assert sorted(each.name for each in leaky.parent.iterdir()) == [
        "notes.txt",
        "sub",
        "test_a.transcript",
        "written.jsonl",
    ]


def test_scrub_can_say_what_it_would_do(leaky):
    before = leaky.read_bytes()

    result = run("scrub", "--dry-run", leaky)

    assert result.exit_code == 0
    assert "would take out 2" in result.stdout
    assert leaky.read_bytes() == before


def test_addresses_can_be_left(leaky):
    assert run("scrub", "--no-personal", leaky).exit_code == 0
    assert "ada@engine.org" in leaky.read_text()
    assert run("lint", "--no-personal", leaky).exit_code == 0
    assert run("lint", leaky).exit_code == 1


def test_values_of_the_environment_count(leaky, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "from ada@engine.org")

    assert "the value of the environment variable MY_SECRET" in run("lint", leaky).stdout


def test_a_damaged_cassette_is_named_and_the_others_are_looked_through(leaky):
    broken = leaky.with_name("broken.jsonl")
    broken.write_bytes(leaky.read_bytes()[:-9])

    for command in ("lint", "scrub"):
        result = run(command, leaky.parent)
        assert result.exit_code == 1
        assert f"the cassette {broken} is damaged at line 6" in result.stderr
        assert "Traceback" not in result.output
    assert (
        broken.read_bytes()
        == cassette(
            leaky.parent, answered(f"data: my key is {KEY[:9]}", f"{KEY[9:]}\n\n"), body="from ada@engine.org"
        ).read_bytes()[:-9]
    )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_what_cannot_be_written_is_left_as_it_was(leaky):
    leaky.parent.chmod(0o500)
    result = run("scrub", leaky)
    leaky.parent.chmod(0o700)

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_wrong_use(tmp_path):
    for command in ("lint", "scrub"):
        assert run(command).exit_code == 2
        assert run(command, tmp_path / "nowhere").exit_code == 2
        empty = run(command, tmp_path)
        assert (empty.exit_code, empty.stderr) == (
            1,
            f"Error: there is no .jsonl, .transcript, .ambr file in {tmp_path}\n",
        )
    (tmp_path / "a.jsonl").write_text("")
    assert run("lint", "--filter-json-path", "a..b", tmp_path).exit_code == 2


@pytest.mark.parametrize("packed", [gzip.compress(KEY.encode()), KEY.encode("utf-16")], ids=["gzip", "UTF-16"])
def test_what_nobody_can_look_through_is_not_said_to_have_nothing(packed, tmp_path):
    (tmp_path / "test_a.jsonl").write_bytes(packed)

    for command in ("lint", "scrub"):
        result = run(command, tmp_path)

        assert result.exit_code == 1
        assert "test_a.jsonl is no text in UTF-8, so nobody can look for secrets in it" in result.stderr
