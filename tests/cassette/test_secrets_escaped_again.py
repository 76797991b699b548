"""Secrets under escapes that are escaped again, as in the JSON of a tool call's arguments that carry JSON; and under those of HTML."""

from __future__ import annotations

import html
import json
from itertools import product
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import script
from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from pytest_streamrt.events import fold
from pytest_streamrt.providers import decode, encode
from tests.strategies import cut_text, examples, sizes

SECRET = "q7/Xz\"9-Ωbé密ta+7f3<a9&1b'c\\0123 x"  # with all that escapes are for


def in_json(text):
    return json.dumps(text)[1:-1]


ESCAPES = {
    "json": in_json,
    "json of letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json with \\/": lambda text: in_json(text).replace("/", "\\/"),
    "json with \\u005c": lambda text: "".join("\\u005c" if each == "\\" else in_json(each) for each in text),
    "url": lambda text: quote(text, safe=""),
    "url in lower case": lambda text: "".join(
        each if each.isascii() and each.isalnum() else "".join(f"%{byte:02x}" for byte in each.encode())
        for each in text
    ),
    "form": quote_plus,
}


@pytest.mark.parametrize("outer", ESCAPES)
@pytest.mark.parametrize("inner", ESCAPES)
def test_escapes_of_any_kind_within_others(inner, outer):
    for between in {""} if "form" in (inner, outer) else ESCAPES:
        escaped = ESCAPES[outer](ESCAPES.get(between, str)(ESCAPES[inner](SECRET)))

        clean = Redactor(environment={"A_TOKEN": SECRET}).text(f"it is {escaped}.")

        assert clean == f"it is {PLACEHOLDER}."


@given(
    wraps=st.lists(st.sampled_from([name for name in ESCAPES if name.startswith("json")]), min_size=1, max_size=4),
    deltas=sizes,
    secret=st.text(max_size=12).map(lambda text: f"4711-{text}-0123456789"),
)
@examples(50)
def test_json_in_json_in_the_arguments_of_a_tool(wraps, deltas, secret):
    written = secret
    for wrap in wraps:
        written = ESCAPES[wrap](written)
    arguments = f'{{"value": "before {written} after"}}'
    call = script(script.tool_call("tool", arguments, pieces=cut_text(arguments, deltas)))
    frames = encode(call, "openai.chat")

    clean, _ = Redactor(environment={"A_TOKEN": secret}).chunks(frames)

    assert [len(chunk) for chunk in clean] == [len(frame) for frame in frames]
    (left,) = fold(decode(clean, "openai.chat")).tool_calls
    value = json.loads(left.arguments)["value"]
    assert value.startswith(f"before {PLACEHOLDER}")
    assert value.endswith(" after")
    assert set(value.removeprefix(f"before {PLACEHOLDER}").removesuffix(" after")) <= {"*"}


def in_numbers(text, form):
    return "".join(each if each.isascii() and each.isalnum() else form.format(ord(each)) for each in text)


@pytest.mark.parametrize(
    "entities",
    [
        html.escape(SECRET),
        html.escape(html.escape(SECRET)),
        in_numbers(SECRET, "&#{};"),
        in_numbers(SECRET, "&#x{:x};"),
        in_numbers(SECRET, "&#X{:04X};"),
        in_json(html.escape(SECRET)),
        html.escape(in_json(SECRET)),
        html.escape(quote(SECRET)),
    ],
)
def test_in_a_page_of_html(entities):
    clean = Redactor(environment={"A_TOKEN": SECRET}).text(f"<p>It is {entities}&nbsp;&amp; no other.</p>")

    assert clean == f"<p>It is {PLACEHOLDER}&nbsp;&amp; no other.</p>"


@pytest.mark.parametrize("secret", ["hunter2 &amp; co 4711", "100%25 or %2541 4711", "a\\u005cu0041\\\\n-4711"])
def test_one_that_looks_escaped_itself(secret):
    redactor = Redactor(environment={"A_TOKEN": secret})

    for first, second in product([str, *ESCAPES.values()], repeat=2):
        assert redactor.text(f"it is {second(first(secret))}.") == f"it is {PLACEHOLDER}."


@pytest.mark.parametrize(
    "text",
    [
        "R&D; &copy; &#0; &#x110000; &#99999999; AT&amp;T &lt;b&gt;",
        "100 % of it, %zz, %u0041, %25, %5, 50%25 off",
        "C:\\users\\new\\u005c\\ud800\\udc \\u00",
        "\\" * 2_000 + "u005c" * 2_000 + "%5C" * 2_000 + "%25" * 2_000 + "&amp;" * 2_000,
    ],
)
def test_what_holds_no_secret_stays(text):
    redactor = Redactor(environment={"A_TOKEN": SECRET})

    assert redactor.text(text) == text
    assert redactor.chunks([f"data: {json.dumps(text)}\n\n".encode()])[0] == [f"data: {json.dumps(text)}\n\n".encode()]


BLANKS = " " * 300_000  # were it quadratic, this would take minutes


@pytest.mark.parametrize(
    "event",
    [
        f'{{"a":{BLANKS}"x", "index": 1}}',
        f'{{{BLANKS}, "a": "x"{BLANKS}, "index": 1}}',
        f'{{"a": "x", "index": 1, "all": [{BLANKS}{{}}]}}',
        f'{{"a": "{"…" * 30_000}{"." * 30_000}", "index": 1}}',
    ],
)
def test_what_goes_on_for_long_stays_and_is_searched_in_linear_time(event):
    frames = [f'data: {{"a": "y", "index": {index}}}\n\n'.encode() for index in (1, 0, 1)]
    frames.append(f"data: {event}\n\n".encode())
    redactor = Redactor(environment={"A_TOKEN": SECRET})

    clean, _ = redactor.chunks(frames)

    assert clean == frames
    assert redactor.text(event) == event
