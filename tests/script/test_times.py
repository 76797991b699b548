"""When a script's deltas come: the delays of its steps, in whole nanoseconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import script
from tests.strategies import examples, said

seconds = st.floats(0, 1000)


def delays(s):
    return [step.delay for step in s.steps()]


def test_every_is_the_time_before_each_delta():
    assert delays(script("a", "b", "c", every=0.05)) == [50_000_000] * 3


def test_without_times_everything_comes_at_once():
    assert delays(script("a", script.reasoning("b", "c"), script.usage(1, 2))) == [0, 0, 0, 0]


def test_each_piece_of_a_part_is_a_delta_with_its_own_delay():
    s = script(script.reasoning("a", "b"), script.tool_call("f", "{}", pieces=["{", "}"]), every=0.01)

    assert delays(s) == [10_000_000] * 4


def test_ttft_is_the_time_before_the_first_delta_alone():
    assert delays(script("a", "b", "c", ttft=0.4, every=0.05)) == [400_000_000, 50_000_000, 50_000_000]
    assert delays(script("a", "b", ttft=0.4)) == [400_000_000, 0]


def test_a_ttft_of_zero_is_a_ttft():
    assert delays(script("a", "b", ttft=0, every=0.05)) == [0, 50_000_000]


def test_ttft_counts_for_the_first_delta_of_whatever_kind():
    assert delays(script(script.usage(1, 2), script.reasoning("r"), "a", ttft=0.4, every=0.05)) == [
        0,
        400_000_000,
        50_000_000,
    ]


def test_tps_is_deltas_a_second():
    assert delays(script("a", "b", tps=20)) == [50_000_000] * 2
    assert delays(script("a", "b", tps=20, ttft=1)) == [1_000_000_000, 50_000_000]


def test_a_pause_comes_on_top_of_the_next_part():
    assert delays(script("a", script.pause(1), "b", "c", every=0.05)) == [50_000_000, 1_050_000_000, 50_000_000]


def test_pauses_add_up():
    assert delays(script(script.pause(1), script.pause(0.5), "a")) == [1_500_000_000]


def test_a_pause_comes_before_a_fault_and_faults_have_no_delay_of_their_own():
    assert delays(script("a", script.pause(2), script.disconnect(), every=0.05)) == [50_000_000, 2_000_000_000]
    assert delays(script("a", script.stall(), every=0.05)) == [50_000_000, 0]


@given(said=said(kinds=("text", "reasoning", "call")), every=seconds)
@examples(40)
def test_every_delta_is_that_late_to_the_nanosecond(said, every):
    assert delays(script(*said.script.parts, every=every)) == [round(every * 1e9)] * len(said.script)


@given(said=said(), every=seconds, ttft=st.none() | seconds, jitter=st.floats(0, 1), seed=st.integers())
@examples(40)
def test_the_same_script_always_has_the_same_times(said, every, ttft, jitter, seed):
    first, second = (script(*said.script.parts, every=every, ttft=ttft, jitter=jitter, seed=seed) for _ in range(2))

    assert delays(first) == delays(second) == delays(first)


@given(said=said(kinds=("text", "call")), every=seconds, jitter=st.floats(0, 1), seed=st.integers())
@examples(80)
def test_jitter_strays_no_further_than_its_share(said, every, jitter, seed):
    for delay in delays(script(*said.script.parts, every=every, jitter=jitter, seed=seed)):
        assert round(every * (1 - jitter) * 1e9) - 1 <= delay <= round(every * (1 + jitter) * 1e9) + 1


def test_jitter_strays_both_ways_and_differs_by_seed():
    runs = [tuple(delays(script(*"abcdefgh", every=1, jitter=0.2, seed=seed))) for seed in range(5)]

    assert len(set(runs)) == 5
    assert any(delay < 1e9 for delay in runs[0])
    assert any(delay > 1e9 for delay in runs[0])


def test_jitter_leaves_pauses_alone():
    assert delays(script(script.pause(3), "a", jitter=1, every=0)) == [3_000_000_000]
