"""What a script says is what its stream says: encoded, cut anywhere, decoded and folded, in every dialect."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_streamrt import fold, script
from pytest_streamrt.events import DELTAS, FunctionCall, ModelMessage, Reasoning, TokenUsage
from pytest_streamrt.providers import DIALECTS, decode, encode
from pytest_streamrt.script.parts import RefusalPart, ToolCallPart
from pytest_streamrt.wire import SSEDecoder, rechunk
from tests.providers.streams import ONE_REASONING, REFUSES_AT_THE_END, WHOLE_CALLS, assert_legal, assert_sound
from tests.strategies import EVERY_KIND, Said, chunked, examples, plain_texts, said, sizes

EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


def expected_items(said, calls):
    """The items in the order in which the script says them, each run of one kind an item of its own."""
    ids = iter(call.id for call in calls)
    items = []
    for kind, first, second in said.runs:
        if kind == "message":
            items.append(ModelMessage(first, second))
        elif kind == "reasoning":
            items.append(Reasoning(first, second))
        else:
            items.append(FunctionCall(next(ids), first, second))
    return items


def merged(items):
    """The same items where a dialect has but one message and one reasoning to an answer, calls being its own."""
    messages = [item for item in items if isinstance(item, ModelMessage)]
    thoughts = [item for item in items if isinstance(item, Reasoning)]
    result = [item for item in items if isinstance(item, FunctionCall)]
    if messages:
        result.append(ModelMessage("".join(m.text for m in messages), "".join(m.refusal for m in messages)))
    if thoughts:
        result.append(Reasoning("".join(t.text for t in thoughts), "".join(t.summary for t in thoughts)))
    return result


@EVERY_DIALECT
@given(said=said(kinds=EVERY_KIND, max_parts=8), sizes=sizes)
@example(said=Said(script()), sizes=[1])
@examples(60)
def test_what_a_script_says_is_what_its_stream_says_however_it_is_cut(dialect, said, sizes):
    folded = fold(decode(chunked(b"".join(encode(said.script, dialect)), sizes), dialect))

    assert folded.text == said.text
    if dialect in ONE_REASONING:
        assert folded.reasoning == said.thoughts
    else:
        assert folded.reasoning == (said.reasoning or said.summary)
    assert folded.refusal == said.refusal
    calls = folded.tool_calls
    if dialect in WHOLE_CALLS:  # of calls by turns that with the fewest pieces is whole first
        places = {id: n for n, (id, *_) in enumerate(said.calls) if id}
        turns = iter(sorted((call for call in calls if call.name == "turn"), key=lambda call: places[call.id]))
        calls = [next(turns) if call.name == "turn" else call for call in calls]
    assert [(call.name, call.arguments) for call in calls] == [call[1:] for call in said.calls]
    assert all(sent in (None, call.id) for call, (sent, *_) in zip(calls, said.calls, strict=True))
    assert len({call.id for call in folded.tool_calls}) == len(said.calls)
    if said.usage == (0, 0) and dialect == "anthropic.messages":  # where nobody has counted, it says as much
        assert folded.usage is None
    else:
        assert folded.usage == (TokenUsage(*said.usage) if said.usage else None)
    assert folded.contradictions == []
    assert folded.open_items == []


@given(said=said())
@examples(60)
def test_in_responses_each_run_of_one_kind_is_an_item(said):
    folded = fold(decode(encode(said.script, "openai.responses"), "openai.responses"))

    assert folded.items == expected_items(said, folded.tool_calls)


@given(said=said())
@examples(60)
def test_in_chat_an_answer_has_one_message_and_one_reasoning(said):
    folded = fold(decode(encode(said.script, "openai.chat"), "openai.chat"))

    assert sorted(folded.items, key=repr) == sorted(merged(expected_items(said, folded.tool_calls)), key=repr)


@EVERY_DIALECT
@given(said=said())
@examples(40)
def test_the_events_are_those_of_one_inference_in_legal_order(dialect, said):
    events = decode(encode(said.script, dialect), dialect)

    assert_legal(events)
    assert sum(event.type == "inference.started" for event in events) == 1
    assert events[-1].type == "inference.completed"


@EVERY_DIALECT
@given(said=said(texts=plain_texts))
@examples(30)
def test_the_events_are_sound(dialect, said):
    assert_sound(decode(encode(said.script, dialect), dialect))


def whole_calls(s):
    """What a script says, delta by delta, but for refusals, and with each call in one."""
    told = []
    for step in s.steps():
        if isinstance(step.part, ToolCallPart):
            told += ["".join(step.part.pieces)] if step.last else []
        elif step.piece and not isinstance(step.part, RefusalPart):
            told.append(step.piece)
    return told


@EVERY_DIALECT
@given(said=said())
@examples(30)
def test_each_delta_of_the_script_is_a_delta_of_the_stream_and_there_are_no_more(dialect, said):
    steps = [step.piece for step in said.script.steps() if step.piece]
    if dialect in REFUSES_AT_THE_END and said.refusal:
        told = [step.piece for step in said.script.steps() if step.piece and not isinstance(step.part, RefusalPart)]
        steps = [*told, said.refusal]
    if dialect in WHOLE_CALLS:
        steps = whole_calls(said.script) + ([said.refusal] if said.refusal else [])

    deltas = [event for event in decode(encode(said.script, dialect), dialect) if event.type.endswith(".delta")]

    assert [getattr(event, "text", None) or event.arguments for event in deltas] == steps


@EVERY_DIALECT
@given(said=said(max_parts=4), how=st.sampled_from(["whole", "event", "byte"]) | st.integers())
@examples(40)
def test_every_way_of_rechunking_gives_the_same_events(dialect, said, how):
    chunks = encode(said.script, dialect)

    assert decode(rechunk(chunks, how), dialect) == decode(chunks, dialect)


@EVERY_DIALECT
@given(said=said(max_parts=4), data=st.data())
@examples(40)
def test_a_prefix_of_a_script_is_the_beginning_of_what_it_says(dialect, said, data):
    n = data.draw(st.integers(0, len(said.script)))
    assume(dialect not in WHOLE_CALLS or not said.calls)  # half a call cannot be said there
    whole = [event for event in decode(encode(said.script, dialect), dialect) if event.type in DELTAS]

    events = decode(encode(said.script.prefix(n), dialect), dialect)

    deltas = [event for event in events if event.type in DELTAS]
    if dialect in REFUSES_AT_THE_END:
        deltas = [delta for delta in deltas if delta.type != "refusal.delta"]
    assert deltas == whole[: len(deltas)]
    assert fold(events).text == said.script.prefix(n).text
    assert fold(events).contradictions == []


@EVERY_DIALECT
@given(said=said())
@examples(40)
def test_each_chunk_is_one_frame_of_the_stream(dialect, said):
    chunks = encode(said.script, dialect)

    assert rechunk(chunks, "event") == chunks


@EVERY_DIALECT
@given(said=said())
@examples(40)
def test_the_same_script_is_the_same_bytes(dialect, said):
    assert encode(said.script, dialect) == encode(script(*said.script.parts, every=1), dialect)


@EVERY_DIALECT
@given(said=said(texts=plain_texts))
@examples(40)
def test_the_standard_reads_the_frames_as_the_sdks_do(dialect, said):
    data = b"".join(encode(said.script, dialect))

    by_standard, by_sdk = (
        [e.data for e in SSEDecoder(rules).feed(data) if e.dispatched] for rules in ("whatwg", "sdk")
    )

    assert by_standard == by_sdk


@EVERY_DIALECT
def test_non_ascii_text_goes_over_the_wire_as_it_is(dialect):
    assert "你好\u2028🙂".encode() in b"".join(encode(script("你好\u2028🙂"), dialect))


@EVERY_DIALECT
def test_a_lone_surrogate_goes_over_the_wire_as_an_escape(dialect):
    chunks = encode(script("a\ud83d"), dialect)

    assert any(b"\\ud83d" in chunk for chunk in chunks)
    assert fold(decode(chunks, dialect)).text == "a\ud83d"


@EVERY_DIALECT
def test_a_character_cut_into_its_surrogates_is_no_contradiction(dialect):
    events = decode(encode(script("\ud83d", "\ude42"), dialect), dialect)

    assert fold(events).contradictions == []


@EVERY_DIALECT
def test_a_call_without_an_id_does_not_take_one_that_is_given(dialect):
    s = script(script.tool_call("f", {}, id="call_1"), script.tool_call("g", {}), script.tool_call("h", {}))

    calls = fold(decode(encode(s, dialect), dialect)).tool_calls

    assert len({call.id for call in calls}) == 3


@EVERY_DIALECT
def test_a_call_with_empty_arguments_is_a_call(dialect):
    (call,) = fold(decode(encode(script(script.tool_call("f", "")), dialect), dialect)).tool_calls

    assert (call.name, call.arguments) == ("f", "")
