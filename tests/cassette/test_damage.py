"""Cassettes that are missing, empty, cut short, of another version, or nonsense: one clear error each, and no traceback."""

from __future__ import annotations

import json
import os

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_streamrt import CassetteError, CassetteMiss, use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import URL, Network, answer, ask, record


@pytest.fixture
def cassette(tmp_path):
    path = tmp_path / "cassette.jsonl"
    record(path, answer("Hello wörld"))
    return path


def edit(path, number, change):
    """Change one line of the file, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number - 1] = change(lines[number - 1])
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_a_missing_one_is_named_with_the_way_to_record_it(tmp_path):
    path = tmp_path / "nowhere.jsonl"
    with pytest.raises(CassetteError, match=r"no cassette at .*nowhere\.jsonl.*--streamrt-record=once"):
        load_cassette(path)
    with (
        pytest.raises(CassetteMiss, match=r"nowhere\.jsonl: the cassette does not exist.*--streamrt-record=once"),
        use_cassette(path),
    ):
        ask()


def test_a_missing_one_of_which_there_is_one_of_vcr_is_named_with_the_way_to_convert_that(tmp_path):
    old = tmp_path / "test_a[1.5].yaml"
    with pytest.raises(CassetteMiss) as before, use_cassette(tmp_path / "test_a[1.5].jsonl"):
        ask()
    old.touch()
    with pytest.raises(CassetteMiss) as caught, use_cassette(tmp_path / "test_a[1.5].jsonl"):
        ask()

    assert "vcr" not in str(before.value)
    assert "--streamrt-record=once\ntest_a[1.5].yaml, beside it, has the name of a cassette of vcr. " in str(
        caught.value
    )
    assert f"To go on with that: streamrt convert {old}\n" in str(caught.value)


def test_a_pointer_of_git_lfs_is_named_with_the_way_to_fetch_the_file(cassette):
    cassette.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")

    with pytest.raises(
        CassetteError, match="is a pointer of Git LFS, and what it stands for was not fetched: git lfs pull"
    ):
        load_cassette(cassette)


def test_an_empty_one(cassette):
    for content in (b"", b"\n \n"):
        cassette.write_bytes(content)
        with pytest.raises(CassetteError, match=r"cassette\.jsonl is damaged at line 1: the file is empty"):
            load_cassette(cassette)


def test_one_cut_short_inside_a_line(cassette):
    whole = cassette.read_bytes()
    cassette.write_bytes(whole[:-20])

    with pytest.raises(CassetteError, match='damaged at line 8: the file is cut short inside its last line: \'."id"'):
        load_cassette(cassette)


def test_one_cut_short_between_two_lines(cassette):
    lines = cassette.read_bytes().splitlines(keepends=True)
    cassette.write_bytes(b"".join(lines[:-1]))

    with pytest.raises(CassetteError, match="damaged at line 7: the exchange with id 1 has no end"):
        load_cassette(cassette)


def test_one_of_another_version(cassette):
    edit(cassette, 1, lambda line: line.replace('"version": 1', '"version": 7'))

    with pytest.raises(CassetteError, match=r"has version 7, and this pytest-streamrt reads version 1.*=rewrite"):
        load_cassette(cassette)


@pytest.mark.parametrize(
    ("number", "line", "what"),
    [
        (1, "{", "line 1: this is not JSON: '{'"),
        (1, "interactions:", "line 1: this is not JSON"),
        (1, '{"version": 1}', "line 1: this is no cassette of pytest-streamrt"),
        (3, '{"id": 1, "at": 0.5, "resp', "line 3: this is not JSON"),
        (3, "[1, 2]", "line 3: this is not a JSON object"),
        (3, "{}", "line 3: this is no line of a cassette: '{}' (it lacks 'id')"),
        (3, '{"id": 9, "at": 0.5, "end": "complete"}', "line 3: the exchange with id 9 has not begun"),
        (3, '{"id": 1, "at": 0.5, "end": "sometime"}', "line 3: an exchange ends in one of complete, client"),
        (3, '{"id": 1, "at": 0.5, "text": "x"}', "line 3: the exchange with id 1 has a chunk and no response"),
        (3, '{"id": 1, "at": "soon", "end": "complete"}', "line 3: this is no line of a cassette"),
        (3, '{"id": 1, "at": 1e999, "end": "complete"}', "line 3: this is no line of a cassette"),
        (3, '{"id": [], "at": 0, "end": "complete"}', "line 3: an id is a whole number, not []"),
        (3, '{"id": "1", "at": 0, "end": "complete"}', "line 3: an id is a whole number, not '1'"),
        (3, '{"id": 1, "at": 0, "end": "disconnected"}', "line 3: an exchange that ended 'disconnected' has the error"),
        (3, '{"id": 1, "at": 0, "end": "complete"}', "line 3: the exchange with id 1 is complete, and has no response"),
        (
            3,
            '{"id": 1, "at": 0, "response": {"status": "x", "headers": []}}',
            "line 3: a status is a number from 100 to 599, not 'x'",
        ),
        (
            3,
            '{"id": 1, "at": 0, "response": {"status": 999, "headers": []}}',
            "line 3: a status is a number from 100 to",
        ),
        (3, '{"id": 1, "at": 0, "response": {"status": 200, "headers": [["a", "…"]]}}', "line 3: this is no line"),
        (4, '{"id": 1, "at": 0.5, "base64": "!"}', "line 4: this is no line of a cassette"),
        (4, '{"id": 1, "at": 0.5, "request": {}}', "line 4: the exchange with id 1 begins a second time"),
    ],
)
def test_one_with_a_line_that_is_nonsense(number, line, what, cassette):
    edit(cassette, number, lambda _: line)

    with pytest.raises(CassetteError) as caught:
        load_cassette(cassette)

    message = str(caught.value)
    assert message.startswith(f"the cassette {cassette} is damaged at {what}")
    assert message.endswith("or record it again: pytest --streamrt-record=rewrite")


def test_something_else_in_its_place(tmp_path):
    with pytest.raises(CassetteError, match="cannot be read"):
        load_cassette(tmp_path)
    with pytest.raises(CassetteError, match="cannot be read"), use_cassette(tmp_path):
        pass


def test_other_bytes_than_text(cassette):
    cassette.write_bytes(b"\x00\xff\xfe" * 100 + b"\n")

    with pytest.raises(CassetteError, match="damaged at line 1: this is not JSON"):
        load_cassette(cassette)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_gives_anything_but_a_clear_error(data, tmp_path):
    path = tmp_path / "cassette.jsonl"
    if not path.exists():
        record(path, answer("Hello"))
        (tmp_path / "whole").write_bytes(path.read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    path.write_bytes(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])

    try:
        load_cassette(path)
    except CassetteError as error:
        assert str(path) in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    line=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "at", "request", "response", "end", "text", "base64", "error", "headers"]), inner
            )
        ),
    )
)
def test_no_json_in_a_line_gives_anything_but_a_clear_error(line, tmp_path):
    path = tmp_path / "cassette.jsonl"
    record(path, answer("Hello"))
    edit(path, 4, lambda _: json.dumps(line))

    try:
        load_cassette(path)
    except CassetteError as error:
        assert "line 4" in str(error) or "no end" in str(error)


def test_what_an_editor_adds_does_no_harm(cassette):
    before = load_cassette(cassette)
    cassette.write_bytes(b"\xef\xbb\xbf" + cassette.read_bytes() + b"\n\n")

    assert load_cassette(cassette) == before


def test_a_place_where_nothing_can_be_written_is_refused_before_anything_is_recorded(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    network = Network(answer("a"))
    for path, what in [
        (tmp_path / "file" / "one.jsonl", "is not a folder"),
        (tmp_path / "folder.jsonl", "it is a folder"),
    ]:
        with pytest.raises(CassetteError, match=what), intercept(network), use_cassette(path, record="rewrite"):
            raise AssertionError

    assert network.requests == []


@pytest.mark.parametrize("body", [b'{"x": NaN}', b'{"x":NaN}', b'{"x":1e999}', b"[" * 100_000, b'{"x":"\\ud800"}'])
def test_a_body_that_is_almost_json_is_kept_as_it_is(body, tmp_path):
    path = tmp_path / "one.jsonl"
    with intercept(Network(answer("a"))), use_cassette(path, record="once"), httpx2.Client(verify=False) as client:
        client.post(URL, content=body)

    (recorded,) = load_cassette(path)
    assert recorded.body == body


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")

    with pytest.raises(CassetteError, match=r"pipe\.jsonl cannot be read: it is no file"):
        load_cassette(tmp_path / "pipe.jsonl")
