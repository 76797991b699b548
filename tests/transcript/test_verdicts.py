"""A law: how a stream was cut, whether deltas were merged, and whether it was recorded again changes no verdict.

Of expectations of text and items, that is; how many deltas there were is another question.
"""

from __future__ import annotations

import dataclasses
import json
from itertools import groupby

from hypothesis import event, given
from hypothesis import strategies as st

from pytest_streamrt import Transcript
from pytest_streamrt.events import ExchangeClosed, ExchangeOpened
from pytest_streamrt.providers import encode
from tests.strategies import chunked, examples, said, sizes
from tests.transcript.scenes import CHAT, RESPONSES, exchange

SPEECH = {"text.delta": "text", "reasoning.delta": "reasoning", "refusal.delta": "refusal"}
PIECES = {**dict.fromkeys(SPEECH, "text"), "tool_call.delta": "arguments"}


def true_steps(events):
    """The steps that a transcript fulfils: each with its arguments."""
    steps = []
    for kind, group in groupby(events, key=lambda each: each.type):
        run = list(group)
        if kind in SPEECH:
            steps.append([SPEECH[kind], ["".join(each.text for each in run)], {}])
        elif kind == "tool_call.started":
            for each in run:
                pieces = [e.arguments for e in events if e.type == "tool_call.delta" and e.id == each.id]
                steps.append(["tool_call", [each.name], {"arguments": json.loads("".join(pieces) or "{}")}])
        elif kind == "item.completed":
            steps += [["item", [each.item], {}] for each in run]
        elif kind == "inference.completed":
            steps.append(["completed", [], {}])
    return steps


def verdict(transcript, source, steps):
    """The number of the step at which the chain fails, or None."""
    chain = transcript.expect(source)
    for number, (name, values, options) in enumerate([*steps, ["nothing_more", [], {}]]):
        try:
            getattr(chain, name)(*values, **options)
        except AssertionError:
            return number
    return None


def merged(events):
    """The events, with deltas that follow one another put together, as an inbox does it."""
    result = []
    for each in events:
        last = result[-1] if result else None
        if each.type in PIECES and last is not None and key(last) == key(each):
            field = PIECES[each.type]
            result[-1] = dataclasses.replace(last, **{field: getattr(last, field) + getattr(each, field)})
        else:
            result.append(each)
    return result


def key(each):
    return (each.type, *(getattr(each, name, None) for name in ("item", "choice", "id", "summary")))


def recorded(events):
    transcript = Transcript()
    list(transcript.record(iter(events), source="again"))
    return transcript


@st.composite
def expectations(draw, steps):
    """What a test may expect: the truth, or a truth with a flaw in it."""
    steps = [[name, list(values), dict(options)] for name, values, options in steps]
    flaw = draw(st.sampled_from(["none", "none", "dropped", "doubled", "swapped", "changed", "contains"]))
    at = draw(st.integers(0, len(steps) - 1))
    if flaw == "dropped":
        del steps[at]
    elif flaw == "doubled":
        steps.insert(at, steps[at])
    elif flaw == "swapped" and at:
        steps[at - 1 : at + 1] = steps[at], steps[at - 1]
    elif flaw == "changed" and steps[at][0] in SPEECH.values():
        steps[at][1] = [steps[at][1][0] + draw(st.sampled_from(["x", " ", "\u0301"]))]
    elif flaw == "contains" and steps[at][0] in SPEECH.values():
        text = steps[at][1].pop()
        begin = draw(st.integers(0, len(text) - 1))
        steps[at][2] = {"contains": text[begin : begin + 5]}
    return flaw, steps


@given(
    st.data(), said(kinds=("text", "reasoning", "refusal", "call", "usage")), sizes, st.sampled_from([CHAT, RESPONSES])
)
@examples(60)
def test_no_verdict_depends_on_how_the_stream_came(data, said, sizes, request):
    dialect = "openai.chat" if request is CHAT else "openai.responses"
    chunks = encode(said.script, dialect)
    whole, cut = Transcript(), Transcript()
    exchange(whole, request, chunks=chunks)
    exchange(cut, request, chunks=chunked(b"".join(chunks), sizes))
    passed = [each for each in whole.of(dialect) if not isinstance(each, ExchangeOpened | ExchangeClosed)]
    flaw, steps = data.draw(expectations(true_steps(passed)))

    first = verdict(whole, dialect, steps)

    event(f"{flaw}: {'fails' if first is not None else 'passes'}")
    assert first is None or flaw != "none"
    assert verdict(cut, dialect, steps) == first
    assert verdict(recorded(passed), "again", steps) == first
    assert verdict(recorded(merged(passed)), "again", steps) == first
