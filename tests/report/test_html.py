"""What a page is made of: all of a transcript, none of its secrets, and nothing that could get out of its place."""

from __future__ import annotations

import json
import re

import pytest

from pytest_streamrt import Transcript
from pytest_streamrt.events import Mark, Signal, TextDelta, ToolResult, stamp
from pytest_streamrt.report.html import index_page, timeline_page
from pytest_streamrt.report.html_data import Problem, page_data
from tests.report.scenes import EVIL, data, long_answer, room

SECRET = "sk-live-0123456789-ABCDEF"


def parsed(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def logged(*events):
    origin = object()
    return [
        (origin, stamp(event, seq=n, time=0.1 * n, source="bot", inference="bot/1", inference_seq=n))
        for n, event in enumerate(events, start=1)
    ]


def test_the_page_has_every_event_of_the_transcript():
    transcript = room()
    page = parsed(timeline_page(data(transcript, outcome="passed")))

    assert len(page["events"]) == len(transcript.events)
    assert [page["sources"][row[1]] for row in page["events"]] == [event.source for event in transcript.events]
    assert [page["types"][row[2]] for row in page["events"]] == [event.type for event in transcript.events]
    assert [row[0] for row in page["events"]] == [round(event.time * 1e9) for event in transcript.events]


def test_an_event_says_which_one_caused_it():
    transcript = room()
    page = data(transcript)
    aborted = next(row for row in page["events"] if page["types"][row[2]] == "inference.aborted")

    cause = transcript.events[aborted[5]]

    assert cause.type == "text.delta"
    assert cause.text == "drop it"


def test_what_a_transcript_says_cannot_leave_its_place():
    page = timeline_page(data(room(), title=EVIL, facts=[EVIL], problems=[Problem(EVIL, EVIL)]))

    assert page.count("<script") == 2  # the data and our own
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "{{data}}" in parsed(page)["title"]


def test_a_page_and_an_index_need_nothing_from_elsewhere():
    for page in (timeline_page(data(room())), index_page([], summary="nothing")):
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
        markup = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)

        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy
        assert not re.search(r"\b(src=|https?:|@import|url\()", markup)


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_is_taken_out_wherever_deltas_cut_it(cut, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", SECRET)
    said = [f"The key is {SECRET[:cut]}", f"{SECRET[cut:]}, don't tell 密钥"]

    page = timeline_page(page_data(logged(*map(TextDelta, said)), title="t", virtual=True))
    texts = [row[6] for row in parsed(page)["events"]]

    assert SECRET not in "".join(texts)
    assert [len(text) for text in texts] == [len(text) for text in said]
    assert texts[1].endswith("don't tell 密钥")


def test_a_secret_is_taken_out_of_everything_else(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", SECRET)
    events = logged(Signal("s", {SECRET: [SECRET, {"deep": SECRET}]}), ToolResult("1", "look", SECRET))

    page = timeline_page(
        page_data(events, title=SECRET, virtual=True, facts=[SECRET], problems=[Problem(SECRET, SECRET)])
    )

    assert SECRET not in page


def test_values_that_json_or_a_browser_cannot_hold_are_shown_all_the_same():
    class Thing:
        pass

    circle = []
    circle.append(circle)
    odd = {"nan": float("nan"), "big": 2**60, "half": "\ud83d", "thing": Thing(), "circle": circle, 7: {1}}

    shown = parsed(timeline_page(page_data(logged(Signal("s", odd), TextDelta("\udc00")), title="t", virtual=True)))
    fields = shown["events"][0][7]["data"]

    assert fields["nan"] == "nan"
    assert fields["big"] == str(2**60)
    assert fields["half"] == shown["events"][1][6] == "\ufffd"
    assert fields["thing"].endswith("Thing>")
    assert json.dumps(fields["circle"]).count("[") < 12


def test_a_long_value_is_cut_and_says_so():
    page = data_of = page_data(logged(ToolResult("1", "look", "x" * 10_000)), title="t", virtual=True)

    assert data_of["events"][0][7]["output"].endswith("… (6,000 characters more)")
    assert len(timeline_page(page)) < 100_000


def test_two_thousand_events_fit_into_500_kb():
    page = timeline_page(page_data(long_answer(2_000, sources=10), title="t", virtual=True))

    assert len(page.encode()) < 500_000


def test_a_broken_law_is_told_and_its_events_marked():
    events = long_answer(20)
    del events[7]

    page = page_data(events, title="t", virtual=True)
    problem = next(each for each in page["problems"] if each["title"].startswith("Law 1 is broken"))

    assert problem["events"] == (7,)


def test_of_very_many_breaches_the_first_are_told():
    events = long_answer(500)[::2]

    problems = page_data(events, title="t", virtual=True)["problems"]

    assert len(problems) == 41
    assert problems[-1]["title"].endswith("more breaches")


def test_an_inference_without_an_end_is_marked_where_it_stops():
    page = page_data(long_answer(20)[:-1], title="t", virtual=True)
    problem = next(each for each in page["problems"] if each["title"].startswith("Law 2 is broken"))

    assert problem["events"] == (18,)


def test_a_leak_is_told_and_its_events_marked():
    transcript = room()
    with pytest.raises(AssertionError):
        transcript.assert_no_leak(hidden=["词3 词4"], visible="译员 0")

    problem = data(transcript)["problems"][0]

    assert problem["title"].startswith("Leaked: ")
    assert [transcript.events[n].text for n in problem["events"]] == ["词3 ", "词4 "]


def test_an_empty_transcript_and_one_of_marks_alone_have_a_page_too():
    transcript = Transcript()
    assert parsed(timeline_page(data(transcript)))["events"] == []
    assert isinstance(transcript.mark("here"), Mark)
    assert parsed(timeline_page(data(transcript)))["events"][0][7] == {"name": "here"}
