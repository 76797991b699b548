"""Names that there are not, of what a newcomer meets first, are told the one that was meant; and protocols find nothing new."""

from __future__ import annotations

import copy
import pickle
from unittest.mock import create_autospec

import pytest

import pytest_streamrt
from pytest_streamrt import FakeModel, FakeProvider, Transcript, script


def metrics():
    transcript = Transcript()
    list(transcript.record(iter(["a"]), source="agent"))
    return transcript.metrics("agent")


THINGS = {
    "FakeModel": lambda: FakeModel(script("a")),
    "FakeProvider": lambda: FakeProvider(script("a"), transcript=Transcript()),
    "Metrics": metrics,
}


@pytest.mark.parametrize(
    ("thing", "name", "meant"),
    [
        ("FakeModel", "script", "enqueue"),
        ("FakeModel", "emited", "emitted"),
        ("FakeProvider", "script", "enqueue"),
        ("FakeProvider", "add", "enqueue"),
        ("FakeProvider", "requests", "calls"),
        ("FakeProvider", "respnd", "respond"),
        ("Metrics", "tfft", "ttft"),
    ],
)
def test_the_name_that_was_meant_is_told(thing, name, meant):
    with pytest.raises(AttributeError, match=rf"^{thing} has no attribute '{name}'\. Did you mean '{meant}'\?$"):
        getattr(THINGS[thing](), name)


@pytest.mark.parametrize(("name", "meant"), [("Enviroment", "Environment"), ("fakeprovider", "FakeProvider")])
def test_so_it_is_of_the_package(name, meant):
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'\. Did you mean '{meant}'\?$"):
        getattr(pytest_streamrt, name)


def test_what_is_like_nothing_is_not_guessed():
    with pytest.raises(AttributeError, match=r"has no attribute 'qqqq'\.$"):
        FakeModel().qqqq  # noqa: B018 - to ask for it is what is tested


@pytest.mark.parametrize("make", THINGS.values(), ids=THINGS)
def test_protocols_that_ask_for_a_name_find_that_it_is_not_there(make):
    thing = make()

    assert not hasattr(thing, "script_")
    assert getattr(thing, "__deepcopy__", None) is None
    assert vars(copy.copy(thing)) == vars(thing)
    assert repr(create_autospec(type(thing), instance=True))
    with pytest.raises(AttributeError, match=r"has no attribute '_inner'\.$"):
        type(thing).__new__(type(thing))._inner  # noqa: B018 - as copy and pickle do, before anything is set


def test_what_could_be_pickled_still_can():
    assert pickle.loads(pickle.dumps(metrics())).deltas == 1
