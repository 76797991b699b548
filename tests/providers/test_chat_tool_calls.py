"""Tool calls in Chat Completions, in the many ways in which providers number, name and cut them."""

from __future__ import annotations

import pytest

from pytest_streamrt import fold
from pytest_streamrt.events import FunctionCall, ToolCallDelta, ToolCallStarted
from tests.providers.streams import assert_legal, bare_chunk, calling, chat, chunk, items, said

END = chunk({}, "tool_calls")


def calls(events):
    """The calls as (id, name, arguments), with a look at whether everything is in order."""
    folded = fold(events)
    assert_legal(events)
    assert folded.contradictions == []
    assert items(events) == [
        FunctionCall(call.id, call.name, call.arguments, call.choice) for call in folded.tool_calls
    ]
    return [(call.id, call.name, call.arguments) for call in folded.tool_calls]


def test_openais_own_form():
    events = chat(
        chunk(calling(index=0, id="c1", type="function", name="f", arguments="")),
        chunk(calling(index=0, arguments='{"x"')),
        chunk(calling(index=0, arguments=":1}")),
        END,
    )

    assert said(events) == [
        ToolCallStarted("c1", "f"),
        ToolCallDelta("c1", '{"x"'),
        ToolCallDelta("c1", ":1}"),
    ]
    assert calls(events) == [("c1", "f", '{"x":1}')]


def test_parallel_calls_at_their_own_indices():
    events = chat(
        chunk(calling(index=0, id="c1", name="f", arguments="")),
        chunk(calling(index=1, id="c2", name="g", arguments="")),
        chunk(calling(index=1, arguments="[2]")),
        chunk(calling(index=0, arguments="[1]")),
        END,
    )

    assert calls(events) == [("c1", "f", "[1]"), ("c2", "g", "[2]")]


def test_several_calls_in_one_delta():
    both = [{"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": f"[{n}]"}} for n in range(2)]

    assert calls(chat(chunk({"tool_calls": both}), END)) == [("c0", "f", "[0]"), ("c1", "f", "[1]")]


def test_a_whole_call_in_one_delta():
    assert calls(chat(chunk(calling(index=0, id="c1", name="f", arguments="{}")), END)) == [("c1", "f", "{}")]


def test_a_whole_call_together_with_the_finish_reason():
    events = chat(chunk(calling(index=0, id="c1", name="f", arguments="{}"), "tool_calls"))

    assert calls(events) == [("c1", "f", "{}")]


def test_parallel_calls_each_with_a_finish_reason():
    events = chat(*(chunk(calling(index=0, id=f"c{n}", name="f", arguments="{}"), "tool_calls") for n in range(3)))

    assert calls(events) == [("c0", "f", "{}"), ("c1", "f", "{}"), ("c2", "f", "{}")]


def test_parallel_calls_at_the_same_index_with_different_ids():
    events = chat(
        chunk(calling(index=0, id="c1", name="f", arguments='{"x":1}')),
        chunk(calling(index=0, id="c2", name="f", arguments='{"x":2}')),
        END,
    )

    assert calls(events) == [("c1", "f", '{"x":1}'), ("c2", "f", '{"x":2}')]


def test_pieces_without_an_index_belong_to_the_call_that_began_last():
    events = chat(
        chunk(calling(id="c1", name="f", arguments='{"x"')),
        chunk(calling(arguments=":1}")),
        chunk(calling(id="c2", name="g", arguments="[")),
        chunk(calling(arguments="]")),
        END,
    )

    assert calls(events) == [("c1", "f", '{"x":1}'), ("c2", "g", "[]")]


def test_pieces_without_an_index_but_with_the_id_in_each():
    events = chat(
        chunk(calling(id="c1", name="f", arguments="[")),
        chunk(calling(id="c2", name="g", arguments="[")),
        chunk(calling(id="c1", arguments="1]")),
        chunk(calling(id="c2", arguments="2]")),
        END,
    )

    assert calls(events) == [("c1", "f", "[1]"), ("c2", "g", "[2]")]


def test_calls_without_an_id_are_told_apart_by_their_index():
    events = chat(
        chunk(calling(index=0, name="f", arguments="[1")),
        chunk(calling(index=1, name="g", arguments="[2]")),
        chunk(calling(index=0, arguments="]")),
        END,
    )

    (first, *one), (second, *two) = calls(events)
    assert (one, two) == (["f", "[1]"], ["g", "[2]"])
    assert first
    assert first != second


def test_a_call_with_neither_id_nor_index_is_a_call():
    events = chat(chunk(calling(name="f", arguments="[")), chunk(calling(arguments="]")), END)

    ((_, name, arguments),) = calls(events)
    assert (name, arguments) == ("f", "[]")


@pytest.mark.parametrize("twin", [True, False])
def test_llama_cpps_server_repeats_id_and_name_in_each_chunk_and_all_of_it_in_the_old_form(twin):
    chunks = []
    for piece in ("", '{"x"', ":1}"):
        delta = calling(index=0, id="call__0_f_1", type="function", name="f", arguments=piece)
        chunks.append(chunk({**delta, "function_call": {"name": "f", "arguments": piece}} if twin else delta))

    assert calls(chat(*chunks, END)) == [("call__0_f_1", "f", '{"x":1}')]


def test_the_old_form_alone_is_a_call_too():
    events = chat(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x"'}}),
        chunk({"function_call": {"arguments": ":1}"}}, "function_call"),
    )

    ((id, name, arguments),) = calls(events)
    assert id
    assert (name, arguments) == ("f", '{"x":1}')


def test_arguments_that_are_an_object_are_written_as_json():
    events = chat(chunk(calling(index=0, id="c1", name="f", arguments={"ü": [1, None]})), END)

    assert calls(events) == [("c1", "f", '{"ü":[1,null]}')]


@pytest.mark.parametrize("arguments", [{"arguments": ""}, {"arguments": None}, {}], ids=repr)
def test_a_call_without_arguments_is_a_call(arguments):
    assert calls(chat(chunk(calling(index=0, id="c1", name="f", **arguments)), END)) == [("c1", "f", "")]


@pytest.mark.parametrize("delta", [{"tool_calls": None}, {"tool_calls": []}, {"function_call": None}], ids=repr)
def test_no_calls_are_no_calls(delta):
    assert calls(chat(chunk(delta), END)) == []


def test_text_before_and_between_calls_stays_text():
    events = chat(
        chunk({"content": "a"}),
        chunk(calling(index=0, id="c1", name="f", arguments="{}")),
        chunk({"content": "b", **calling(index=1, id="c2", name="g", arguments="{}")}),
        END,
    )

    assert fold(events).text == "ab"
    assert [call.id for call in fold(events).tool_calls] == ["c1", "c2"]


def test_calls_of_several_choices_are_kept_apart():
    events = chat(
        chunk(calling(index=0, id="c1", name="f", arguments="[1")),
        chunk(calling(index=0, id="c2", name="f", arguments="[2"), index=1),
        chunk(calling(index=0, arguments="]")),
        chunk(calling(index=0, arguments="]"), index=1),
        END,
        chunk({}, "tool_calls", index=1),
    )

    assert [(call.arguments, call.choice) for call in fold(events).tool_calls] == [("[1]", 0), ("[2]", 1)]


def test_a_call_without_a_function_is_announced_without_a_name():
    events = chat(bare_chunk(choices=[{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c1"}]}}]), END)

    assert calls(events) == [("c1", "", "")]


def test_a_name_that_comes_after_the_id_is_not_lost():
    events = chat(chunk(calling(index=0, id="c1")), chunk(calling(index=0, name="f", arguments="{}")), END)

    assert calls(events) == [("c1", "f", "{}")]


def test_whole_calls_at_the_same_index_without_ids_are_two_calls():
    events = chat(
        chunk(calling(index=0, id="", name="f", arguments='{"x":1}')),
        chunk(calling(index=0, id="", name="g", arguments='{"y":2}')),
        END,
    )

    assert [call[1:] for call in calls(events)] == [("f", '{"x":1}'), ("g", '{"y":2}')]
