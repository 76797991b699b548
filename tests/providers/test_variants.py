"""The same answer in all the ways in which providers tell it, and leave parts of it out: what it says stays the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import fold
from pytest_streamrt.events import FunctionCall, ModelMessage, Reasoning
from tests.providers.streams import assert_legal, assert_sound, calling, chat, chunk, event, items, response, responses
from tests.strategies import chunked, cut_text, examples, plain_texts, sizes

# --- Responses: an item is told by its announcement, its deltas, its end, and in the completed response; or by some


def message(id, text):
    return {"type": "message", "id": id, "content": [{"type": "output_text", "text": text}]}


def thought(id, text):
    return {"type": "reasoning", "id": id, "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def call(id, text):
    return {"type": "function_call", "id": id, "call_id": f"call-of-{id[-1]}", "name": "f", "arguments": text}


KINDS = {message: "output_text", thought: "reasoning_text", call: "function_call_arguments"}


@st.composite
def tellings(draw):
    """An item as (kind, text, what of it is told in the stream, how its deltas are cut)."""
    kind = draw(st.sampled_from(list(KINDS)))
    told = draw(st.sets(st.sampled_from(["added", "deltas", "done", "end"]), min_size=1))
    if "deltas" in told and kind is call:
        told |= {"added"}  # or else nobody knows which call it is
    if not told & {"deltas", "done"}:
        told |= {"end"}
    return kind, draw(plain_texts), told, draw(sizes)


def stream_of(tellings, renamed):
    """The events of a response that tells its items so; `renamed`, they have other ids in the end, as OpenRouter's."""
    events, output = [], []
    for n, (kind, text, told, cuts) in enumerate(tellings):
        id = f"item-{n}"
        if "added" in told:
            events.append(event("output_item.added", item=kind(id, "")))
        if "deltas" in told:
            pieces = cut_text(text, cuts)
            events += [event(f"{KINDS[kind]}.delta", item_id=id, delta=piece) for piece in pieces]
            events.append(event(f"{KINDS[kind]}.done", item_id=id, text=text, arguments=text))
        if "done" in told:
            events.append(event("output_item.done", item=kind(id, text)))
        if "end" in told:
            output.append(kind(f"renamed-{n}" if renamed else id, text))
    return responses(*events, end=event("completed", response=response("completed") | {"output": output}))


@pytest.mark.parametrize("renamed", [False, True], ids=["the same ids", "other ids in the end"])
@given(tellings=st.lists(tellings(), max_size=4, unique_by=lambda telling: telling[1]))  # twins cannot be told apart
@examples(100)
def test_a_response_says_the_same_however_much_of_it_is_left_out(renamed, tellings):
    events = stream_of(tellings, renamed)

    said = fold(events)
    assert_legal(events)
    assert_sound(events)
    assert said.contradictions == []
    # What only the end tells comes last, so the order of the items is not that of the answer.
    assert sorted(said.text) == sorted("".join(text for kind, text, *_ in tellings if kind is message))
    assert sorted(said.reasoning) == sorted("".join(text for kind, text, *_ in tellings if kind is thought))
    assert sorted(call.arguments for call in said.tool_calls) == sorted(t for kind, t, *_ in tellings if kind is call)
    expected = [
        {message: ModelMessage(text), thought: Reasoning(text), call: FunctionCall(f"call-of-{n}", "f", text)}[kind]
        for n, (kind, text, *_) in enumerate(tellings)
    ]
    assert sorted(items(events), key=repr) == sorted(expected, key=repr)


# --- Chat: a tool call is told by index, id and name; or by some of them

pieces = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 1),
        "id": st.sampled_from(["", "c1", "c2"]),
        "name": st.sampled_from(["", "f", "g"]),
        "arguments": st.sampled_from(["", "{", "}", "[1]", '"']),
    },
)


@given(told=st.lists(pieces, max_size=8))
@examples(100)
def test_however_calls_are_told_no_piece_is_lost_and_none_starts_twice(told):
    events = chat(*(chunk(calling(**piece)) for piece in told), chunk({}, "tool_calls"))

    said = fold(events)
    assert_legal(events)
    assert_sound(events)
    assert said.contradictions == []
    assert sum(len(call.arguments) for call in said.tool_calls) == sum(len(p.get("arguments", "")) for p in told)
    assert [(item.id, item.name, item.arguments) for item in items(events)] == [
        (call.id, call.name, call.arguments) for call in said.tool_calls
    ]
    assert all(call.id for call in said.tool_calls)


@given(
    calls=st.lists(st.tuples(st.sampled_from("fg"), plain_texts), min_size=1, max_size=3),
    told=st.sampled_from(["index", "id", "index id", "index id again", "index id twin"]),
    sizes=sizes,
)
@examples(100)
def test_calls_told_one_after_the_other_are_those_calls(calls, told, sizes):
    chunks = []
    for n, (name, arguments) in enumerate(calls):
        where = {"index": n} if "index" in told else {}
        who = {"id": f"c{n}"} if "id" in told else {}
        for i, piece in enumerate(cut_text(arguments, sizes)):
            first = i == 0 or "again" in told or "twin" in told
            delta = calling(**where, **(who if first else {}), **({"name": name} if first else {}), arguments=piece)
            if "twin" in told:
                delta["function_call"] = {"name": name, "arguments": piece}
            chunks.append(chunk(delta))

    said = fold(chat(*chunks, chunk({}, "tool_calls")))

    assert [(call.name, call.arguments) for call in said.tool_calls] == calls
    if "id" in told:
        assert [call.id for call in said.tool_calls] == [f"c{n}" for n in range(len(calls))]


REASONING = {
    "reasoning_content": lambda piece: {"reasoning_content": piece},
    "reasoning": lambda piece: {"reasoning": piece, "content": ""},
    "both": lambda piece: {"reasoning": piece, "reasoning_content": piece},
    "details": lambda piece: {"reasoning_details": [{"type": "reasoning.text", "text": piece}]},
    "text and details": lambda piece: {"reasoning": piece, "reasoning_details": [{"text": piece}]},
    "content": lambda piece: {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]},
}


@pytest.mark.parametrize("shape", REASONING)
@given(thought=plain_texts, answer=plain_texts, sizes=sizes)
@examples(20)
def test_reasoning_is_told_once_in_each_of_its_shapes(shape, thought, answer, sizes):
    chunks = [chunk(REASONING[shape](piece)) for piece in cut_text(thought, sizes)]

    events = chat(*chunks, *(chunk({"content": piece}) for piece in chunked(answer, sizes)), chunk({}, "stop"))

    assert (fold(events).reasoning, fold(events).text) == (thought, answer)
    assert items(events) == [Reasoning(thought), ModelMessage(answer)]
