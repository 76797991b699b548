"""Strategies shared by the property tests: bytes of event streams, cuts, texts, scripts with what they say, and JSON.

Strategies for one layer alone stay in that layer's folder.
"""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pytest_streamrt.script import script

# A run of the suite is repeatable: the same examples each time. STREAMRT_EXAMPLES=20 searches twenty times as many,
# chosen afresh, which is what to do after a change to a decoder.
_FACTOR = int(os.environ.get("STREAMRT_EXAMPLES", "0"))


def examples(n):
    """Settings of a property test: about so many examples, without a time limit, the same ones in each run."""
    return settings(
        max_examples=n * max(_FACTOR, 1),
        deadline=None,
        derandomize=not _FACTOR,
        suppress_health_check=[HealthCheck.too_slow],
    )


# --- bytes and cuts

SSE_TOKENS = (
    b"data", b"event", b"id", b"retry", b"other", b":", b": ", b" ", b"\n", b"\n\n", b"\r", b"\r\r", b"\r\n",
    b"\r\n\r\n", b"0", b"15", b"-1", b"a", b"\x00", b"data: x\n", b"data:y", b"id: 7\n", b":note\n", b"[DONE]",
    b"\xef\xbb\xbf", "é".encode(), "\u2028".encode(), "🙂".encode(), "\u0663".encode(),
)  # fmt: skip
BROKEN_TOKENS = (b"\xff", b"\x80", b"\xc3", b"\xe2\x80", b"\xf0\x9f\x99", b"\xed\xa0\x80", b"\xc0\xaf")

sse_text = st.lists(st.sampled_from(SSE_TOKENS), max_size=40).map(b"".join)
"""Event streams of all kinds of lines and line ends, valid UTF-8."""
sse_soup = st.lists(st.sampled_from(SSE_TOKENS + BROKEN_TOKENS), max_size=40).map(b"".join)
"""The same, with invalid UTF-8 in places."""

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=8)
"""How to cut a stream: the sizes of its chunks, over and over."""


def chunked(data, sizes):
    """The bytes in chunks of these sizes, over and over. A chunk may be empty, as reads from a socket may."""
    chunks, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return chunks
        chunks.append(data[at : at + size])
        at += size
    return chunks


# --- texts

NASTY = (
    "é", "Привет", "你好", "🙂", "👩‍👩‍👧", "e\u0301", "\n", "\r\n", "\r", '"', "\\", "\\n", "'", "\t", "\x00", "\x7f", " ",
    "  ", "\u2028", "\u2029", "\ufeff", "\u0085", "\U0010ffff", "data: x\n\n", "[DONE]", "{}", "</think>", "\\ud83d",
)  # fmt: skip
# A half of a surrogate pair stands between letters: next to its other half it would be one character in JSON.
LONE_SURROGATES = ("a\ud800b", "a\udfffb", "a\ude42b")

plain_texts = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=12))
"""A delta's text, of characters that UTF-8 can hold."""
texts = st.one_of(plain_texts, st.sampled_from(LONE_SURROGATES))
"""A delta's text, of anything that JSON can hold."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "text", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
"""Any JSON value, small."""


# --- scripts


@dataclass
class Said:
    """A script, and what it says, written down while it was made."""

    script: object
    text: str = ""
    reasoning: str = ""
    summary: str = ""
    thoughts: str = ""  # the reasoning and the summaries of it, in order
    refusal: str = ""
    calls: list = field(default_factory=list)  # (id or None, name, arguments)
    usage: tuple | None = None
    runs: list = field(default_factory=list)  # of the same kind: ("message", text, refusal), ("reasoning", …), …


def cut_text(text, sizes):
    """A text in pieces of these sizes."""
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(text):
            return pieces or [text]
        pieces.append(text[at : at + size])
        at += size
    return pieces


EVERY_KIND = (
    "text", "reasoning", "summary", "refusal", "call", "usage", "pause", "turns", "sealed", "citation", "status",
)  # fmt: skip


@st.composite
def said(draw, texts=texts, max_parts=6, kinds=("text", "reasoning", "summary", "refusal", "call", "usage", "pause")):
    """A script of any parts in any order, with what it says. Its calls' ids differ from one another."""
    parts, result = [], Said(None)
    for n in range(draw(st.integers(0, max_parts))):
        kind = draw(st.sampled_from(kinds))
        if kind == "text":
            text = draw(texts)
            parts.append(text)
            result.text += text
            _run(result, "message", text, "")
        elif kind in ("reasoning", "summary"):
            pieces = draw(st.lists(texts, min_size=1, max_size=3))
            text = "".join(pieces)
            parts.append(script.reasoning(*pieces, summary=kind == "summary"))
            setattr(result, kind, getattr(result, kind) + text)
            result.thoughts += text
            _run(result, "reasoning", *(("", text) if kind == "summary" else (text, "")))
        elif kind == "refusal":
            pieces = draw(st.lists(texts, min_size=1, max_size=3))
            parts.append(script.refusal(*pieces))
            result.refusal += "".join(pieces)
            _run(result, "message", "", "".join(pieces))
        elif kind == "call":
            arguments = draw(st.dictionaries(texts, json_values | texts, max_size=3))
            text = json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
            pieces = draw(st.none() | sizes.map(lambda sizes, text=text: cut_text(text, sizes)))
            id = draw(st.sampled_from([None, f"id-é{n}"]))
            name = draw(st.sampled_from(["lookup", "größe", "a.b-c"]))
            parts.append(script.tool_call(name, arguments, id=id, pieces=pieces))
            result.calls.append((id, name, text))
            result.runs.append(["call", name, text])
        elif kind == "turns":
            spoken = []
            for m in range(draw(st.integers(1, 3))):
                text = json.dumps(
                    draw(st.dictionaries(texts, texts, max_size=2)), separators=(",", ":"), ensure_ascii=False
                )
                spoken.append(script.tool_call("turn", text, id=f"turn-{n}-{m}", pieces=cut_text(text, draw(sizes))))
                result.calls.append((f"turn-{n}-{m}", "turn", text))
                result.runs.append(["call", "turn", text])
            parts.append(script.interleave(*spoken))
        elif kind == "sealed":
            parts.append(script.reasoning(redacted=draw(st.sampled_from(["eA==", "c2ln"]))))
        elif kind == "citation":
            parts.append(script.citation(draw(st.sampled_from(["http://x.test", "http://y.test/é"])), draw(texts)))
        elif kind == "status":
            parts.append(script.status(draw(st.sampled_from(["Searching…", "web_search_call.searching"]))))
        elif kind == "usage":
            result.usage = draw(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)))
            parts.append(script.usage(*result.usage))
        else:
            parts.append(script.pause(draw(st.floats(0, 10))))
    result.script = script(*parts)
    return result


def _run(result, kind, first, second):
    if result.runs and result.runs[-1][0] == kind:
        result.runs[-1][1] += first
        result.runs[-1][2] += second
    else:
        result.runs.append([kind, first, second])
