"""Secrets that a test gave to `assert_no_leak` are in nothing that is shown of its transcript."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt import Signal, Transcript
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.events import TextDelta
from pytest_streamrt.report import failure_section
from pytest_streamrt.report.html_data import page_data
from pytest_streamrt.report.text import snapshot_text
from tests.report.test_report_option import data_of, index

SECRET = "PANDA-4471"


def shown(transcript, redactor=None):
    """All that is shown of it."""
    page = page_data(
        transcript.logged,
        title="t",
        virtual=False,
        leaks=transcript.leaks,
        secrets=transcript.secrets,
        redactor=redactor,
    )
    deltas = "".join(row[6] for row in page["events"] if len(row) > 6)
    return f"{failure_section(transcript, redactor)}\n{json.dumps(page, ensure_ascii=False)}\n{deltas}"


def said(*pieces):
    transcript = Transcript()
    list(transcript.record(iter(pieces), source="bot"))
    return transcript


@pytest.mark.parametrize("pieces", [(f"it is {SECRET}, friend",), ("it is PAN", "DA-", "4471, friend")])
def test_a_secret_is_not_shown_however_it_is_cut(pieces):
    transcript = said(*pieces)
    with pytest.raises(AssertionError):
        transcript.assert_no_leak(hidden=[SECRET], visible="bot")

    for part in (SECRET, "PANDA", "4471"):
        assert part not in shown(transcript).replace("[PA…, 10 characters]", "")
    assert "friend" in shown(transcript)


def test_one_that_was_not_looked_for_is_no_secret():
    assert SECRET in shown(said(SECRET))


def test_nor_is_one_shown_that_has_not_leaked():
    transcript = said("hello")
    list(transcript.record(iter([Signal("key", {"value": SECRET})]), source="vault"))
    transcript.assert_no_leak(hidden=iter([SECRET]), visible="bot")

    assert SECRET not in shown(transcript)


def test_a_secret_of_several_lines_is_found_where_it_is_quoted():
    transcript = said("hello")
    list(transcript.record(iter([Signal("key", "one 'line'\nand another: ü")]), source="vault"))
    transcript.assert_no_leak(hidden=["one 'line'\nand another: ü"], visible="bot")

    assert "and another" not in shown(transcript)


@pytest.mark.parametrize(("normalise", "there"), [(True, False), (False, True)])
def test_a_disguise_is_seen_through_where_the_check_does(normalise, there):
    transcript = said("it is panda", " - 4471")
    transcript.assert_no_leak(hidden=[SECRET], visible="elsewhere, and not here", normalise=normalise)

    assert ("4471" in shown(transcript)) is there


def test_what_is_too_short_is_left_or_nothing_could_be_read():
    transcript = said("abc")
    transcript.assert_no_leak(hidden=["b", "abc"], visible="something else")

    assert "'abc'" in failure_section(transcript)


def test_what_the_cassette_keeps_out_stays_out_and_its_redactor_learns_nothing():
    transcript = said(f"it is {SECRET}, qX7-canary-81hz")
    transcript.assert_no_leak(hidden=[SECRET], visible="something else")
    redactor = Redactor(environment={"API_KEY": "qX7-canary-81hz"})

    text = shown(transcript, redactor)

    assert SECRET not in text
    assert "canary" not in text
    assert redactor.text(SECRET) == SECRET


def test_neither_the_terminal_nor_the_page_has_it(project):
    project.write(f"""
        def test_it(transcript):
            secret = "-".join(["{SECRET[:5]}", "{SECRET[6:]}"])
            list(transcript.record(iter(["it is ", secret]), source="bot"))
            transcript.assert_no_leak(hidden=[secret], visible="bot")
    """)

    result = project.run("--streamrt-report=on")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*something hidden was shown*", "*- streamrt transcript -*", "*'it is '*"])
    assert SECRET not in result.stdout.str()
    (page,) = index(project).values()
    assert SECRET not in json.dumps(data_of(project.path / "streamrt-report" / page["href"]))


LONG = "Zx81-qwerty-55-plain\nPq07-hunter2-Vn9Bc3"


@pytest.mark.parametrize("before", range(20, 50))
@pytest.mark.parametrize("known", ["environment", "given"])
def test_nor_is_what_an_ellipsis_leaves_of_one(before, known, monkeypatch):
    transcript = Transcript()
    events = [Signal(name="told", data="x " * before + LONG), TextDelta(text=f"{'x ' * before}{LONG} {'y ' * 80}")]
    list(transcript.record(iter(events), source="bot", decode=lambda event: [event]))
    if known == "environment":
        monkeypatch.setenv("SOME_API_KEY", LONG)
        texts = [shown(transcript), snapshot_text(transcript)]
    else:
        with pytest.raises(AssertionError):
            transcript.assert_no_leak(hidden=[LONG], visible="bot")
        texts = [shown(transcript)]

    for text in texts:
        for start in range(len(LONG) - 12):
            assert json.dumps(LONG[start : start + 13])[1:-1] not in text


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("kept", [12, 17, 30])
@pytest.mark.parametrize("dots", ["…", "..."])  # pytest's own are three
def test_what_stands_beside_an_ellipsis(dots, quote, kept):
    redactor = Redactor(environment={"A_TOKEN": LONG})
    begun, ended = (repr(part)[1:-1] for part in (LONG[:kept], LONG[-kept:]))

    assert redactor.text(f"it is {begun}{quote}{dots} ok") == f"it is [redacted]{quote}{dots} ok"
    assert redactor.text(f"it {dots}{quote}{ended} ok") == f"it {dots}{quote}[redacted] ok"
    short = f"it is {begun[:11]}{dots} ok {dots}{ended[-11:]}"
    assert redactor.text(short) == short
