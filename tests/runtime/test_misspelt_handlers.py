"""A handler with a misspelt name is never called: that is said when its class is defined. Names of the user's own are not."""

from __future__ import annotations

import functools
import inspect
import warnings
from typing import Any

import pytest

from pytest_streamrt import Agent, Observer, Participant, StreamrtWarning


async def handler(self: Any, *heard: Any) -> None:
    """Never called here."""


def defined(base: type[Participant], **members: Any) -> list[str]:
    """What is warned of when a class with those members is defined."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        type("Reviewer", (base,), members)
    assert all(each.category is StreamrtWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("base", [Participant, Observer, Agent])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_external_mesage", "on_external_message"),
        ("on_externl_event", "on_external_event"),
        ("on_extrenal_event", "on_external_event"),
        ("on_messages", "on_message"),
        ("on_external_Message", "on_external_message"),
        ("on_participant_join", "on_participant_joined"),
        ("on_external_function_calls", "on_external_function_call"),
        ("on_internal_message", "on_message"),  # nearer to on_external_message, by its letters
        ("on_internal_function_call_output", "on_function_call_output"),
    ],
)
def test_the_handler_that_was_meant_is_named(base, name, meant):
    [message] = defined(base, **{name: handler})

    assert message.startswith(f"Reviewer.{name} is no handler, and nothing calls it: likely {meant} is meant.")


@pytest.mark.parametrize(
    "name",
    [
        "on_click",
        "on_event",
        "on_error",
        "on_tool_call",
        "on_user_message",
        "on_join",
        "on_text_delta",
        "external_event",
    ],
)
def test_names_of_the_users_own_are_left_alone(name):
    assert defined(Observer, **{name: handler}) == []


def test_handlers_and_what_is_not_called_are_left_alone():
    handlers = [name for name in vars(Participant) if name.startswith("on_")]

    assert len(handlers) == 17
    assert defined(Observer, **dict.fromkeys(handlers, handler)) == []
    assert defined(Observer, on_messages=["hello"]) == []


def test_it_is_said_once_and_at_the_line_of_the_method():
    made = []

    def make():
        class Typo(Observer):
            async def on_external_mesage(self, source, item): ...

        class Heir(Typo): ...

        made.append(Heir)

    with pytest.warns(StreamrtWarning, match="Typo.on_external_mesage is no handler") as caught:
        make()

    [warning] = caught
    assert (warning.filename, warning.lineno) == (__file__, inspect.getsourcelines(made[0].on_external_mesage)[1])


def test_one_without_a_line_is_said_at_the_class():
    with pytest.warns(StreamrtWarning, match="likely on_external_event is meant") as caught:

        class Odd(Observer):
            on_external_evnt = functools.partial(handler)

    assert caught[0].filename == __file__


def test_the_advice_silences_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Reviewer.on_messages is no handler")
        type("Reviewer", (Observer,), {"on_messages": handler})


def test_arguments_of_a_class_go_to_other_bases():
    class Registered:
        def __init_subclass__(cls, kind: str) -> None:
            cls.kind = kind

    class Reviewer(Observer, Registered, kind="critic"): ...

    assert Reviewer.kind == "critic"
