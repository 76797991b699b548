"""What can be a tool, what a model is told of it, and what is refused before anything runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import partial, wraps
from typing import Annotated, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from pytest_streamrt import Agent, Environment, FakeModel, OpenAIChatModel, OpenAIResponsesModel, script, tool_call
from pytest_streamrt.providers import encode
from pytest_streamrt.runtime import Tool
from tests.loopback import PATIENCE, Answer

DONE = script("Done.")


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Place(BaseModel):
    city: str
    country: str = "FR"


@dataclass
class Shelf:
    books: dict[str, int]

    async def lend(self, title: str) -> int:
        """Lend a book."""
        return self.books[title] - 1


class Counter:
    """Counts."""

    def __call__(self, step: int = 1) -> int:
        return step


async def plain(place: Place, unit: Unit = Unit.C, days: Annotated[int, Field(ge=1)] = 1) -> str:
    return f"{type(place).__name__} {place.city} {unit.name} {days}"


async def bare(a, b=2, *args, **rest):
    return [a, b, rest]


async def by_hand(db: object, query: str, limit: int = 5) -> list[object]:
    """Look something up."""
    return [db, query, limit]


def logged(function):
    @wraps(function)
    async def wrapper(*args, **kwargs):
        return await function(*args, **kwargs)

    return wrapper


async def names(schema: int, _x: int, model_config: int, self: int, copy: Literal["a"] = "a"):
    return [schema, _x, model_config, self, copy]


async def answer(tool, arguments):
    """What that tool answers to these arguments."""
    model = FakeModel(script(tool_call(tool.name, arguments)), DONE)
    bot = Agent("bot", model, tools=[tool])
    async with Environment(bot):
        outcome = await bot.infer()
    return outcome.items[1].output


@pytest.mark.anyio
@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("function", "arguments", "output"),
    [
        (plain, {"place": {"city": "Nice"}, "unit": "fahrenheit", "days": 3}, "Place Nice F 3"),
        (bare, {"a": 1, "c": "x"}, '[1,2,{"c":"x"}]'),
        (Shelf({"Emma": 2}).lend, {"title": "Emma"}, "1"),
        (logged(plain), {"place": {"city": "Nice"}}, "Place Nice C 1"),
        (names, {"schema": 1, "_x": 2, "model_config": 3, "self": 4}, '[1,2,3,4,"a"]'),
        (Tool(partial(by_hand, "db"), name="look"), {"query": "q"}, '["db","q",5]'),
        (Tool(partial(by_hand, db=object, limit=7), name="look"), {"query": "q"}, '["<class \'object\'>","q",7]'),
        (Tool(partial(partial(by_hand, "db"), limit=7), name="look"), {"query": "q"}, '["db","q",7]'),
        (Tool(Counter(), name="count"), {}, "1"),
        (Tool(lambda: "hi", name="hi"), {}, "hi"),
        (Tool(logged(by_hand), name="b"), {"db": 1, "query": "q"}, '[1,"q",5]'),
        (Shelf, {"books": {"Emma": 1}}, '{"books":{"Emma":1}}'),
    ],
)
async def test_what_can_be_a_tool(function, arguments, output):
    tool = function if isinstance(function, Tool) else Tool(function)

    assert await answer(tool, arguments) == output


@pytest.mark.anyio
async def test_what_a_partial_fills_in_is_not_the_model_s_to_give():
    tool = Tool(partial(by_hand, db=object()), name="look")

    assert list(tool.parameters["properties"]) == ["query", "limit"]
    assert tool.description == "Look something up."
    assert "db: Unexpected keyword argument" in await answer(tool, {"query": "q", "db": "mine"})


def test_a_name_and_a_description_of_one_s_own():
    tool = Tool(plain, name="weather.today", description="")

    assert (tool.name, tool.description) == ("weather.today", "")


def test_a_partial_that_has_been_given_a_name():
    look = partial(by_hand, "db")
    look.__name__ = "look"

    assert Agent("bot", FakeModel(), tools=[look]).tools[0].name == "look"


async def generator():
    yield 1


def by_position(a, /):
    pass


def untellable(a: Counter):
    pass


def unknown(a: Nowhere):  # noqa: F821
    pass


@pytest.mark.parametrize(
    ("tools", "error", "message"),
    [
        (plain, TypeError, "Agent('bot'): tools are functions, in a list: tools=[lookup, search], not <function plain"),
        ("plain", TypeError, "Agent('bot'): tools are functions, in a list"),
        ([3], TypeError, "Agent('bot'): a tool is made of a function, not of 3"),
        ([lambda: 1], TypeError, "a tool needs a name that its model can call it by"),
        ([partial(plain)], TypeError, "a tool needs a name that its model can call it by"),
        ([Counter()], TypeError, "Write Tool(…, name='lookup')"),
        ([plain, Tool(bare, name="plain")], ValueError, "there are two tools 'plain'"),
        ([generator], TypeError, "tool 'generator': a tool returns its result; this one is a generator"),
        ([by_position], TypeError, "a model gives arguments by name, and 'a' can be given by position only"),
        ([untellable], TypeError, "tool 'untellable': its parameters cannot be told to a model"),
        (
            [unknown],
            TypeError,
            "tool 'unknown': its parameters cannot be told to a model: name 'Nowhere' is not defined",
        ),
    ],
)
def test_what_can_be_no_tool(tools, error, message):
    with pytest.raises(error) as raised:
        Agent("bot", FakeModel(), tools=tools)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ({"tool_timeout": 0}, ValueError, "tool_timeout is a number of seconds above 0, not 0"),
        ({"tool_timeout": float("nan")}, ValueError, "tool_timeout is a number of seconds above 0, not nan"),
        ({"tool_timeout": "2"}, TypeError, "tool_timeout is a number of seconds above 0, not '2'"),
        ({"max_rounds": 0}, ValueError, "max_rounds is a whole number from 1 on, not 0"),
        ({"max_rounds": None}, TypeError, "max_rounds is a whole number from 1 on, not None"),
        ({"max_parallel_tools": True}, TypeError, "max_parallel_tools is a whole number from 1 on, not True"),
    ],
)
def test_limits_that_are_none(option, error, message):
    with pytest.raises(error) as raised:
        Agent("bot", FakeModel(), **option)

    assert str(raised.value) == f"Agent('bot'): {message}"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("model", "dialect", "options"),
    [
        (OpenAIChatModel, "openai.chat", {}),
        (OpenAIResponsesModel, "openai.responses", {"tools": [{"type": "web_search"}]}),
    ],
    ids=["chat", "responses"],
)
async def test_the_real_models_send_tools_and_what_they_answered(model, dialect, options, server, environment):
    server.enqueue(*[Answer(encode(said, dialect)) for said in (script(tool_call("lend", {"title": "Emma"})), DONE)])
    async with openai.AsyncOpenAI(base_url=server.url, api_key="k", timeout=PATIENCE, max_retries=0) as client:
        bot = Agent("bot", model(client, "m", **options), tools=[Shelf({"Emma": 2}).lend])
        async with environment(bot):
            assert (await bot.infer("Emma, please")).text == "Done."

    first, second = (json.loads(request["body"]) for request in server.requests)
    told = {
        "name": "lend",
        "description": "Lend a book.",
        "parameters": {
            "type": "object",
            "properties": {"title": {"title": "Title", "type": "string"}},
            "required": ["title"],
            "additionalProperties": False,
        },
    }
    if dialect == "openai.chat":
        assert first["tools"] == second["tools"] == [{"type": "function", "function": told}]
        assert second["messages"][-1] == {"role": "tool", "tool_call_id": "call_0", "content": "1"}
    else:
        assert (
            first["tools"] == second["tools"] == [{"type": "web_search"}, {"type": "function", **told, "strict": False}]
        )
        assert second["input"][-1] == {"type": "function_call_output", "call_id": "call_0", "output": "1"}
