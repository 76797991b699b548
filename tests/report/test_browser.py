"""The page as a reader meets it: in a real Chromium, opened from disk, without a network."""

from __future__ import annotations

import pytest

from pytest_streamrt.events import TextDelta
from pytest_streamrt.report.html import index_page, timeline_page
from pytest_streamrt.report.html_data import Problem, page_data
from tests.report.scenes import EVIL, data, long_answer, room
from tests.report.test_html import logged

WIDE, NARROW = (1600, 900), (380, 780)


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page from disk; what goes wrong in it, and what it asks the network for, fails the test."""
    contexts, wrong = [], []

    def opened(html, *, size=WIDE, dark=False):
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        width, height = size
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda request: request.url.startswith("file:") or wrong.append(request.url))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()

    assert wrong == []


def painted(page):
    """How many pixels of the timeline are not background."""
    return page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector("#timeline");
            const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
            const pen = copy.getContext("2d", { willReadFrequently: true });
            pen.drawImage(canvas, 0, 0);
            const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
            let painted = 0;
            for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
            done(painted);
        })))"""
    )


def rows(page):
    return page.locator("#rows .row").all_inner_texts()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_drawn_on_any_screen(size, dark, opened):
    page = opened(timeline_page(data(room(), outcome="passed")), size=size, dark=dark)

    assert painted(page) > 2_000
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("#title").inner_text() == "tests/test_it.py::test_it"
    assert "virtual time" in page.locator("#facts").inner_text()


def test_nothing_that_a_transcript_says_runs(opened):
    page = opened(timeline_page(data(room(), title=EVIL, problems=[Problem(EVIL, EVIL, (0,))])))
    page.keyboard.press("Home")
    for _ in range(12):
        page.keyboard.press("n")

    assert page.evaluate("window.ran") is None
    assert page.locator("#title").inner_text() == EVIL
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert EVIL in page.locator("#detail").inner_text()


def test_the_policy_refuses_what_might_get_in_all_the_same(browser, tmp_path):
    path = tmp_path / "page.html"
    smuggled = timeline_page(data(room())).replace("</body>", "<script>window.ran = true</script></body>")
    path.write_text(smuggled, encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())

    assert page.evaluate("window.ran") is None
    page.close()


def test_the_keyboard_reads_every_event(opened):
    transcript = room()
    page = opened(timeline_page(data(transcript)))
    detail = page.locator("#detail h2")

    page.keyboard.press("Home")
    for event in transcript.events[:12]:
        assert detail.inner_text() == f"{event.type} · {event.source}"
        page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert detail.inner_text().endswith(transcript.events[-1].source)
    page.keyboard.press("Escape")
    assert "Choose an event" in page.locator("#detail").inner_text()


def test_an_abort_says_who_why_and_what_had_been_said(opened):
    page = opened(timeline_page(data(room())))
    page.keyboard.press("Home")
    page.keyboard.press("n")
    shown = page.locator("#detail").inner_text()

    assert shown.startswith("inference.aborted · planner")
    assert "t = 150 ms" in shown
    assert "reviewer" in shown
    assert f"risky {EVIL}" in shown
    assert page.locator("#detail .said").inner_text() == f"Step 1. {EVIL} drop it"
    page.get_by_role("button", name="because of text.delta").click()
    assert page.locator("#detail mark").inner_text() == "drop it"


def test_the_pointer_reads_what_it_is_over(opened):
    page = opened(timeline_page(page_data(long_answer(12), title="t", virtual=True)))
    x, y = page.evaluate("[0, 0]")
    box = page.locator("#timeline").bounding_box()
    for x in range(int(box["x"]) + 100, int(box["x"] + box["width"]), 10):
        y = box["y"] + 45
        page.mouse.move(x, y)
        if page.locator("#tip").is_visible() and "word 4" in page.locator("#tip").inner_text():
            break

    assert "text.delta" in page.locator("#tip").inner_text()
    page.mouse.click(x, y)
    assert page.locator("#detail .past").inner_text() == "word 0 word 1 word 2 word 3 "
    assert page.locator("#detail mark").inner_text() == "word 4 "


def test_problems_stand_at_the_top_and_lead_to_their_events(opened):
    events = long_answer(30)
    del events[7]
    page = opened(timeline_page(page_data(events, title="t", virtual=True, outcome="failed")))
    problem = page.locator("#problems details").first

    assert "Law 1 is broken" in problem.inner_text()
    problem.get_by_role("button", name="Show").click()
    assert "Law 1 is broken" in page.locator("#detail").inner_text()


def test_search_and_filters_narrow_the_list(opened):
    page = opened(timeline_page(data(room())))
    page.keyboard.press("/")
    page.keyboard.type("慕尼黑")
    assert rows(page)
    assert all("慕尼黑" in row for row in rows(page))
    page.locator("#search").fill("")
    for kind in ("text", "other", "answers"):
        page.get_by_label(kind, exact=True).uncheck()
    assert all("tool" in row for row in rows(page))


def test_runs_of_deltas_are_one_row_or_many(opened):
    page = opened(timeline_page(page_data(long_answer(100), title="t", virtual=True)))

    assert len(rows(page)) == 3
    page.get_by_label("runs as one").uncheck()
    assert len(rows(page)) > 10


def test_zoom_move_and_fit(opened):
    page = opened(timeline_page(data(room())))
    looks = [page.locator("#timeline").screenshot()]
    for key in ("+", "]", "0"):
        page.keyboard.press(key)
        painted(page)
        looks.append(page.locator("#timeline").screenshot())

    assert looks[0] != looks[1] != looks[2]
    assert looks[0] == looks[3]


def test_long_silences_are_folded_and_can_be_unfolded(opened):
    events = long_answer(40)
    far = [(origin, event if n < 30 else later(event, 3_600)) for n, (origin, event) in enumerate(events)]
    page = opened(timeline_page(page_data(far, title="t", virtual=True)))

    assert page.locator("#axis input:checked + span").inner_text() == "Folded"
    for name in ("Time", "Order"):
        page.locator("#axis label", has_text=name).click()
        assert painted(page) > 1_000


def later(event, seconds):
    return type(event)(**{**vars(event), "time": event.time + seconds})


def test_twenty_thousand_events_stay_usable(opened):
    page = opened(timeline_page(page_data(long_answer(20_000, sources=10), title="t", virtual=True)))

    assert painted(page) > 10_000
    assert page.locator("#rows .row").count() < 60
    page.get_by_label("runs as one").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    assert "inference.completed" in page.locator("#detail h2").inner_text()
    assert page.locator("#rows .row").count() < 60
    for _ in range(5):
        page.keyboard.press("+")
        page.keyboard.press("ArrowLeft")
    assert painted(page) > 1_000


def test_an_empty_transcript_is_a_page(opened):
    page = opened(timeline_page(page_data([], title="nothing", virtual=True)))

    assert page.locator("#title").inner_text() == "nothing"


def test_one_event_of_one_source_is_counted_as_one(opened):
    page = opened(timeline_page(page_data(logged(TextDelta("Hi")), title="t", virtual=True)))

    assert page.locator("#facts span").all_inner_texts()[1:3] == ["1 event", "1 source"]
    assert "1 event" in page.locator("table.sources td").first.inner_text()
    assert "1 events" not in page.inner_text("body")


def test_the_index_lists_filters_and_sorts(opened):
    def test(name, outcome, events):
        return {
            "name": name, "href": "a.html", "outcome": outcome, "seconds": 0.5, "events": events,
            "sources": ["bot"], "stopped": 1, "problems": ["Law 2 is broken"] if outcome == "failed" else [],
        }  # fmt: skip

    page = opened(index_page([test("b", "passed", 10), test(EVIL, "failed", 2_000)], summary="2 tests"), size=NARROW)
    names = page.locator("tbody a")

    assert names.all_inner_texts() == ["b", EVIL]
    page.get_by_label("only what failed").check()
    assert names.all_inner_texts() == [EVIL]
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
