"""A canary in every place, in every mode that records, and in what is said of a request that has no recording."""

from __future__ import annotations

import json

import httpx2
import pytest

from pytest_streamrt import CassetteMiss, use_cassette
from pytest_streamrt.cassette.seam import intercept
from tests.cassette.recordings import ASK, URL, Network, answer, ask, record

CANARY = "q7xz-9b8c-7f3a91bc-0123"
OTHER = {**ASK, "model": "other"}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", CANARY)
    return tmp_path / "one.jsonl"


class Leaky(Network):
    """A network that says the canary wherever it can, and then breaks with it."""

    def handle(self, library, transport, request, forward):
        response = super().handle(library, transport, request, forward)
        response.headers["x-echo"] = CANARY
        response.headers["location"] = f"https://api.example/?q={CANARY}"
        chunks = response.stream

        class Body(library.SyncByteStream):
            def __iter__(self):
                yield from chunks
                raise library.ReadError(f"connection lost after {CANARY}")

        response.stream = Body()
        return response


PLACES = {
    "header": {"headers": {"authorization": f"Bearer {CANARY}"}},
    "other header": {"headers": {"x-note": f"it is {CANARY}"}},
    "query": {"url": f"{URL}?key={CANARY}"},
    "other query": {"url": f"{URL}?note=a%20{CANARY.replace('-', '%2D')}"},
    "path": {"url": f"https://api.example/{CANARY}/chat/completions"},
    "user": {"url": f"https://{CANARY}:pass@api.example/v1/chat/completions"},
    "body": {"question": {**ASK, "model": CANARY}},
    "name in the body": {"question": {**ASK, CANARY: 1}},
}


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
@pytest.mark.parametrize("place", PLACES)
def test_it_reaches_the_disk_in_no_mode(mode, place, path):
    if mode != "once":
        record(path, answer("known"), questions=[OTHER])
    spelled = [f'data: {{"text": "{letter}"}}\n\n'.encode() for letter in CANARY]
    network = Leaky([f'data: {{"text": "{CANARY}"}}\n\n'.encode(), *spelled])

    with intercept(network), use_cassette(path, record=mode, record_errors=True, allow_unplayed=True):
        with pytest.raises(httpx2.ReadError):
            ask(**PLACES[place])

    written = path.read_text(encoding="utf-8")
    assert CANARY not in written
    assert CANARY.replace("-", "%2D") not in written
    texts = [json.loads(line).get("text", "") for line in written.splitlines()]
    assert CANARY not in "".join(text.partition('"text": "')[2].partition('"')[0] for text in texts)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("place", PLACES)
def test_it_is_in_no_error_about_a_request_without_a_recording(place, path):
    record(path, answer("known"), questions=[OTHER])

    with pytest.raises(CassetteMiss) as caught, use_cassette(path):
        ask(**PLACES[place])

    assert CANARY not in str(caught.value)
    assert CANARY.replace("-", "%2D") not in str(caught.value)
