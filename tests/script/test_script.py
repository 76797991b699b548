"""What a script says: its deltas, its text, what had been said after n of them, and that nothing changes it."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pytest_streamrt
from pytest_streamrt import Script, ScriptError, script
from tests.strategies import examples, said

PARTS = (
    "choice", "citation", "disconnect", "error", "finish", "interleave", "pause", "reasoning", "refusal", "stall",
    "status", "tool_call", "usage",
)  # fmt: skip


def deltas(s):
    """What a player says, one delta after the other: the kind of part, the part's place, and the piece."""
    return [(type(step.part).__name__, step.piece) for step in s.steps() if step.piece is not None]


@given(said=said())
@examples(40)
def test_the_length_is_the_number_of_deltas_played(said):
    assert len(said.script) == len(deltas(said.script))


@given(said=said())
@examples(40)
def test_the_text_is_what_the_strings_say(said):
    assert said.script.text == said.text


@given(said=said(), data=st.data())
@examples(50)
def test_a_prefix_says_what_that_many_deltas_had_said(said, data):
    n = data.draw(st.integers(0, len(said.script)))

    prefix = said.script.prefix(n)

    assert len(prefix) == n
    assert deltas(prefix) == deltas(said.script)[:n]
    assert prefix.text == "".join(piece for kind, piece in deltas(said.script)[:n] if kind == "TextPart")


@given(said=said(), data=st.data())
@examples(50)
def test_a_prefix_of_a_prefix_is_the_shorter_prefix(said, data):
    n = data.draw(st.integers(0, len(said.script)))
    m = data.draw(st.integers(0, n))

    assert said.script.prefix(n).prefix(m) == said.script.prefix(m)


@given(said=said(), data=st.data())
@examples(100)
def test_a_prefix_plays_at_the_same_times(said, data):
    s = dataclasses.replace(said.script, every=0.25, jitter=0.5, seed=data.draw(st.integers()))
    n = data.draw(st.integers(0, len(s)))

    played = [step.delay for step in s.steps() if step.piece is not None]

    assert [step.delay for step in s.prefix(n).steps() if step.piece is not None] == played[:n]


def test_a_prefix_may_cut_a_tool_call_between_its_pieces():
    s = script("a", script.tool_call("f", '{"x":1}', pieces=['{"x"', ":1}"]))

    assert deltas(s.prefix(2)) == [("TextPart", "a"), ("ToolCallPart", '{"x"')]


def test_a_prefix_leaves_what_comes_after_it_away():
    s = script("a", "b", script.usage(1, 2), script.disconnect())

    assert s.prefix(1) == script("a")
    assert not any(step.part.ends for step in s.prefix(2).steps())


@pytest.mark.parametrize("n", [-1, 3, 100])
def test_a_prefix_beyond_the_script_is_an_error(n):
    with pytest.raises(ScriptError, match=rf"prefix\({n}\): this script has 2 deltas"):
        script("a", "b").prefix(n)


def test_only_strings_are_text():
    s = script("a", script.reasoning("r"), script.refusal("no"), script.tool_call("f", {}), script.usage(1, 2), "b")

    assert s.text == "ab"
    assert len(s) == 5


def test_a_script_without_deltas_is_still_a_script():
    for s in (script(), script(script.stall()), script(script.usage(1, 2))):
        assert s
        assert len(s) == 0
        assert s.text == ""


def test_each_step_says_whether_it_is_the_first_or_the_last_of_its_part():
    s = script("t", script.reasoning("a", "b", "c"), script.usage(1, 2))

    assert [(step.piece, step.first, step.last) for step in s.steps()] == [
        ("t", True, True),
        ("a", True, False),
        ("b", False, False),
        ("c", False, True),
        (None, True, True),
    ]


def test_arguments_are_written_as_compact_json_with_non_ascii_text_as_it_is():
    call = script.tool_call("f", {"a": [1, None], "ü": "\u2028"})

    assert call.pieces == ('{"a":[1,null],"ü":"\u2028"}',)


def test_arguments_given_as_text_are_sent_as_they_are_be_they_broken():
    assert script.tool_call("f", '{"x": ').pieces == ('{"x": ',)


@given(said=said())
@examples(50)
def test_a_script_equals_itself_made_again_and_survives_pickling(said):
    again = script(*said.script.parts)

    assert again == said.script
    assert hash(again) == hash(said.script)
    assert pickle.loads(pickle.dumps(said.script)) == said.script


@pytest.mark.parametrize("field", ["parts", "every", "ttft", "jitter", "seed"])
def test_a_script_cannot_be_changed(field):
    s = script("a")

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(s, field, None)


@pytest.mark.parametrize(
    "part",
    [
        script.disconnect(),
        script.error(429),
        script.pause(1),
        script.reasoning("a"),
        script.refusal("a"),
        script.stall(),
        script.tool_call("f", {}),
        script.usage(1, 2),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_part_cannot_be_changed(part):
    for field in dataclasses.fields(part):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, field.name, None)


def test_what_is_changed_after_a_script_was_made_is_not_changed_in_it():
    arguments, pieces = {"x": [1]}, ['{"x"', ":[1]}"]
    s = script(script.tool_call("f", arguments, pieces=pieces))

    arguments["x"].append(2)
    pieces.clear()

    assert deltas(s) == [("ToolCallPart", '{"x"'), ("ToolCallPart", ":[1]}")]


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_an_attribute_of_script_and_a_name_of_the_package(name):
    assert getattr(script, name) is getattr(pytest_streamrt, name)


def test_a_part_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(
        AttributeError, match=rf"script has no part 'tool'\. Did you mean 'tool_call'\? It has: {', '.join(PARTS)}"
    ):
        _ = script.tool


def test_the_public_names_are_the_ones_documented():
    assert isinstance(script("a"), Script)
    assert repr(script) == "<pytest_streamrt.script>"
