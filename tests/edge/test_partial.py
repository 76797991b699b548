"""JSON that is still being written: what it says so far, at each delta."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import Agent, FakeModel, script, tool_call
from pytest_streamrt.edge import growing_json, read_partial
from pytest_streamrt.errors import StreamError
from pytest_streamrt.events import TextDelta

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" \n", None),
        ('{"city": "Par', {"city": "Par"}),
        ('{"city": "Paris", "da', {"city": "Paris"}),
        ('{"days": [1, 2', {"days": [1, 2]}),
        ('{"rain": tr', {}),
        ('"hel', "hel"),
    ],
)
def test_what_it_says_so_far(text, value):
    assert read_partial(text) == value


@given(st.lists(JSON) | st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=4), st.data())
def test_each_beginning_can_be_read_and_the_whole_says_all(value, data):
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(text)))

    read_partial(text[:cut])

    assert read_partial(text) == value


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_structured_output_as_it_grew(environment, transcript):
    agent = Agent("agent", FakeModel(script('{"city": ', '"Par', 'is", "days"', ": [1", ", 2]}", every=0.1)))
    async with environment(agent):
        await agent.infer("hi")

    assert growing_json(transcript.of("agent")) == [
        (0.1, {}),
        (0.2, {"city": "Par"}),
        (0.3, {"city": "Paris"}),
        (0.4, {"city": "Paris", "days": [1]}),
        (0.5, {"city": "Paris", "days": [1, 2]}),
    ]


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_the_arguments_of_a_call_as_they_grew(environment, transcript):
    agent = Agent("agent", FakeModel(script(tool_call("weather", {"city": "Paris"}), tool_call("news", {}), every=0.1)))
    async with environment(agent):
        await agent.infer("hi")

    assert growing_json(transcript.of("agent"), tool="weather")[-1][1] == {"city": "Paris"}
    with pytest.raises(ValueError, match="nobody called 'map' in these events"):
        growing_json(transcript.of("agent"), tool="map")
    with pytest.raises(ValueError, match="there is no text in these events"):
        growing_json(transcript.of("agent"))


def test_the_delta_that_makes_it_no_json_is_named():
    events = [TextDelta('{"city": ', time=0.1), TextDelta("Paris}", time=0.2)]

    with pytest.raises(StreamError, match=r"delta 2, 'Paris}', at t=0\.2 s, makes it no JSON: expected value"):
        growing_json(events)
