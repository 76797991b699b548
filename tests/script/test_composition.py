"""Scripts put together: one after the other, over and over, one in another, and parts that are spoken by turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import ScriptError, script
from pytest_streamrt.script.parts import Speech
from tests.strategies import examples, said


def deltas(s):
    """When each delta comes, in seconds from the start, and what it says."""
    now, told = 0, []
    for step in s.steps():
        now += step.delay
        if step.piece is not None:
            told.append((now / 1e9, step.piece))
    return told


def pieces(s):
    return [piece for _, piece in deltas(s)]


@given(first=said(), second=said(), pace=st.sampled_from([{}, {"every": 0.5}, {"ttft": 1, "every": 0.25}]))
@examples(60)
def test_one_after_the_other_each_at_its_own_times(first, second, pace):
    a, b = script(*first.script.parts, every=0.1), script(*second.script.parts, **pace)

    both = a + b

    end = sum(step.delay for step in a.steps()) / 1e9
    assert pieces(both) == pieces(a) + pieces(b)
    assert [when for when, _ in deltas(both)] == pytest.approx(
        [when for when, _ in deltas(a)] + [end + when for when, _ in deltas(b)]
    )
    assert len(both) == len(a) + len(b)
    assert both.text == a.text + b.text


@given(parts=st.tuples(said(max_parts=3), said(max_parts=3), said(max_parts=3)))
@examples(40)
def test_it_makes_no_difference_which_two_are_put_together_first(parts):
    a, b, c = (script(*each.script.parts, every=n / 10, ttft=n) for n, each in enumerate(parts))

    assert (a + b) + c == a + (b + c)


@given(said=said(max_parts=3), times=st.integers(1, 4))
@examples(40)
def test_so_many_times_over(said, times):
    a = script(*said.script.parts, ttft=1, every=0.1)

    assert pieces(a * times) == pieces(a) * times
    assert times * a == a * times
    assert a * 1 == a


def test_strings_and_parts_can_be_put_before_and_behind_at_the_same_times():
    a = script("b", every=0.5)

    assert "a" + a + "c" + script.reasoning("d") == script("a", "b", "c", script.reasoning("d"), every=0.5)


def test_calls_get_new_numbers_and_keep_the_ids_they_were_given():
    a = script(script.tool_call("f", {}), script.tool_call("g", {}, id="call_1"))

    ids = [step.part.id for step in (a + a).steps()]

    assert ids == ["call_0", "call_1", "call_2", "call_1"]


def test_a_script_in_a_script_keeps_its_times_and_one_without_times_takes_those_around_it():
    timed, untimed = script("b", "c", every=0.1), script("b", "c")

    assert deltas(script("a", timed, "d", every=1)) == [(1, "a"), (1.1, "b"), (1.2, "c"), (2.2, "d")]
    assert deltas(script("a", untimed, "d", every=1)) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_the_first_delay_of_the_script_around_comes_once():
    assert deltas(script("a", script("b", every=0.1), "c", ttft=5, every=1)) == [(5, "a"), (5.1, "b"), (6.1, "c")]


def test_nothing_comes_after_an_end_in_whatever_is_put_together():
    broken = script("a", script.disconnect())

    for make in (lambda: broken + "b", lambda: broken * 2, lambda: script(broken, "b"), lambda: broken + broken):
        with pytest.raises(ScriptError, match=r"comes after Disconnect\(\), which ends the stream"):
            make()


@pytest.mark.parametrize("times", [0, -1])
def test_it_is_said_at_least_once(times):
    with pytest.raises(ScriptError, match="said at least once"):
        script("a") * times


@pytest.mark.parametrize("strange", [1, None, [], 1.5])
def test_only_scripts_parts_and_strings_can_be_put_together(strange):
    with pytest.raises(TypeError):
        script("a") + strange
    with pytest.raises(TypeError):
        script("a") * (strange if not isinstance(strange, int) else "2")


# --- by turns

calls = [
    script.tool_call("f", "{}", pieces=["{", "}"]),
    script.tool_call("g", '{"x":1}', pieces=["{", '"x":1', "}"]),
    script.tool_call("h", "[]"),
]


def test_parts_are_spoken_by_turns_as_long_as_they_have_pieces():
    s = script("a", script.interleave(*calls), "b")

    assert pieces(s) == ["a", "{", "{", "[]", "}", '"x":1', "}", "b"]
    assert len(s) == 8
    assert [(step.part.name, step.first, step.last) for step in s.steps() if hasattr(step.part, "name")] == [
        ("f", True, False),
        ("g", True, False),
        ("h", True, True),
        ("f", False, True),
        ("g", False, False),
        ("g", False, True),
    ]
    assert len({step.part.id for step in s.steps() if hasattr(step.part, "id")}) == 3


@given(n=st.integers(0, 8), m=st.integers(0, 8))
@examples(60)
def test_a_prefix_cuts_between_turns(n, m):
    s = script("a", script.interleave(*calls), "b", every=0.1)

    assert deltas(s.prefix(n)) == deltas(s)[:n]
    assert s.prefix(max(n, m)).prefix(min(n, m)) == s.prefix(min(n, m))


def test_text_by_turns_is_text():
    s = script(script.interleave("a", script.reasoning("x", "y"), script.choice(1, "b")))

    assert pieces(s) == ["a", "x", "b", "y"]
    assert s.text == "a"


@pytest.mark.parametrize("part", [script.usage(1, 2), script.pause(1), "", 7, script.reasoning(redacted="x")], ids=repr)
def test_only_what_comes_in_deltas_can_be_spoken_by_turns(part):
    with pytest.raises(ScriptError, match="does not come in deltas"):
        script.interleave(part)


# --- choices


def test_what_is_in_a_choice_is_its_own():
    s = script("a", script.choice(1, "b", script.tool_call("f", {}), script.finish("length")), "c")

    assert [(part.choice, part.pieces) for part in s.parts if isinstance(part, Speech)] == [
        (0, ("a",)),
        (1, ("b",)),
        (1, ("{}",)),
        (0, ("c",)),
    ]
    assert s.text == "ac"


@pytest.mark.parametrize("n", [-1, "1", None, True])
def test_a_choice_has_a_number(n):
    with pytest.raises(ScriptError, match="its number is a whole number from 0 on"):
        script.choice(n, "a")


@pytest.mark.parametrize("part", [script.usage(1, 2), script.stall(), script.status("x"), "", 7], ids=repr)
def test_what_is_of_the_whole_answer_is_in_no_choice(part):
    with pytest.raises(ScriptError, match="belongs to the whole answer, or says nothing"):
        script.choice(1, part)


# --- from a text


@given(text=st.text(min_size=1, max_size=60), data=st.data())
@examples(60)
def test_a_text_is_cut_into_as_many_deltas_as_asked_for(text, data):
    n = data.draw(st.integers(1, len(text)))

    s = script.from_text(text, tokens=n)

    assert (s.text, len(s)) == (text, n)


@given(text=st.text(min_size=1, max_size=60))
@examples(60)
def test_without_a_number_a_text_is_cut_into_words(text):
    s = script.from_text(text, every=0.1)

    assert s.text == text
    assert all(piece.split() == [piece.strip()] for piece in pieces(s) if piece.strip())


def test_words_take_the_space_before_them_along():
    assert pieces(script.from_text("Use a  plan.\n")) == ["Use", " a", "  plan.", "\n"]


def test_a_function_cuts_a_text():
    assert pieces(script.from_text("abcd", tokens=lambda text: [text[:1], "", text[1:]], tps=2)) == ["a", "bcd"]


@pytest.mark.parametrize("tokens", [0, -1, 5, True, 1.5, list], ids=repr)
def test_a_text_that_cannot_be_cut_so_is_refused(tokens):
    if tokens is list:
        tokens = lambda text: ["other"]
    with pytest.raises(ScriptError, match="from_text"):
        script.from_text("abcd", tokens=tokens)


@pytest.mark.parametrize("text", ["", None, 7])
def test_no_text_is_no_script(text):
    with pytest.raises(ScriptError, match="from_text: the text is a string, and not empty"):
        script.from_text(text)
