"""Values at JSON paths in events of several lines and in JSON that is damaged; and numbers, which stay JSON without their secret."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from pytest_streamrt import use_cassette
from pytest_streamrt.cassette import load_cassette
from pytest_streamrt.cassette.json_paths import JsonPath
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask

NAME = "ada-lovelace"
BY_PLACE = Redactor(environment={}, json_paths=[JsonPath("user.name"), JsonPath("**.keys")])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "lines",
    [
        ['data: {"user":', f'data: {{"name": "{NAME}"}}}}', ""],  # one event's data, a newline between
        ["data: {", 'data: "user": {', f'data:"name": "{NAME}"', "data: }}", ""],
        ["event: a{b", 'id: "{', ": it's {", f'data: {{"user":{{"name":"{NAME}"}}}}', ""],
        ['data: {"user":{', "", f'data: {{"user":{{"name":"{NAME}"}}}}', ""],  # the first was cut short
        ['data: {"user":{', f'data: {{"user":{{"name":"{NAME}"}}}}', ""],
        ["{", '"user": {', "", f'"name": "{NAME}"', "}}"],  # no event stream
        ['{"a": 1}', f'{{"user": {{"name": "{NAME}"}}}}', ""],
    ],
)
def test_in_a_stream_of_whatever_lines(lines, end):
    whole = end.join(lines)

    clean, _ = BY_PLACE.chunks([whole.encode()])

    assert clean[0].decode() == whole.replace(NAME, "[redacted]**")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"user":{{"name":"{NAME}"}}}}\n{{"user":{{"name":"{NAME}"}}}}\n',
        f'{{"user":{{"name":"{NAME}"}}',
        f'--b\r\ncontent-type: application/json\r\n\r\n{{"user":{{"name":"{NAME}"}}}}\r\n--b--\r\n',
    ],
)
def test_in_a_request_that_is_json_in_part(body):
    assert BY_PLACE.body(body.encode()).decode() == body.replace(NAME, "[redacted]**")


NUMBER = "1712345678901"


@pytest.mark.parametrize("before", ["", "\\n", '\\"'])
def test_a_number_that_is_a_secret_leaves_json(before, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTH_CODE", NUMBER)
    path = tmp_path / "one.jsonl"
    event = f'{{"text": "{before} is, {NUMBER}, ok", "at": {NUMBER}, "all": [1, {NUMBER} ]}}'
    question = {**ASK, "at": int(NUMBER), "note": f"{before} is, {NUMBER}, ok"}
    with intercept(Network([f"data: {event}\n\n".encode()])), use_cassette(path, record="once"):
        ask(question)

    assert NUMBER.encode() not in path.read_bytes()
    (recorded,) = load_cassette(path)
    data = b"".join(chunk.data for chunk in recorded.chunks)
    assert len(data) == len(f"data: {event}\n\n")
    assert json.loads(data[6:])["at"] == json.loads(data[6:])["all"][1] == "[redacted]*"
    assert json.loads(data[6:])["text"].endswith(" is, [redacted]***, ok")
    assert json.loads(recorded.body)["at"].startswith("[redacted]")
    monkeypatch.setenv("AUTH_CODE", "9999999999999")
    with use_cassette(path):
        ask({**ASK, "at": 9999999999999, "note": f"{before} is, 9999999999999, ok"})


def test_a_pattern_of_ones_own_that_numbers_match_leaves_json(tmp_path):
    path = tmp_path / "one.jsonl"
    network = Network([b'data: {"created": 1712345678, "text": "a\\nb"}\n\n'], answer("b"))
    with intercept(network), use_cassette(path, record="once", filter_patterns=[r"\+?\d{10}"]):
        with httpx2.Client(verify=False) as client:
            client.post(URL, json={**ASK, "phone": 1712345678})

    (recorded,) = load_cassette(path)
    assert json.loads(recorded.chunks[0].data[6:])["created"] == "********"
    assert json.loads(recorded.body)["phone"] == "[redacted]"
    assert re.search(rb"\d{10}", recorded.body + recorded.chunks[0].data) is None


@pytest.mark.parametrize("depth", [300, 700, 100_000])
def test_in_a_request_that_is_nested_very_deep(depth, tmp_path):
    path = tmp_path / "one.jsonl"
    body = f'{{"user":{{"name":"{NAME}"}},"deep":{"[" * depth}{"]" * depth}}}'.encode()
    with intercept(Network(answer("a"))), use_cassette(path, record="once", filter_json_paths=["user.name"]):
        with httpx2.Client(verify=False) as client:
            client.post(URL, content=body)

    assert NAME.encode() not in path.read_bytes()
