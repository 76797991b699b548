"""The real models over the user's own `AsyncOpenAI` client, openai 2 or 3. The dialects do the reading.

The client does what it always does: authentication, retries before the answer begins, errors for HTTP statuses. Only the
stream's bytes are taken from it raw, so that the runtime and a test see exactly what came over the wire.

What no client can retry is an answer that breaks off after its head. Here it is asked for again, up to the client's
``max_retries`` times, as long as nothing has been said; each time is on the record, as the status "retry". Once the room has
heard something, the inference fails: to say it again would be a second answer.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio

from pytest_streamrt.errors import StreamError
from pytest_streamrt.events.items import FunctionCall, FunctionCallOutput, Item, Message, ModelMessage
from pytest_streamrt.events.types import Event, InferenceFailure, Status
from pytest_streamrt.providers import dialect
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.tools import Tool

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["OpenAIChatModel", "OpenAIResponsesModel"]

_DRAIN: Final = 0.1  # seconds to wait for the end of a body after the provider's last event
_RETRY_AFTER: Final = 0.5  # seconds, as the SDK waits before its first
_BEFORE_IT_SPEAKS: Final = frozenset({"inference.started", "status", "provider.event"})
_HTTP_LIBRARIES: Final = ("httpx", "httpx2")


class _OpenAIModel:
    """What both APIs have in common.

    Args:
        client: the user's client; it is used as it is and never closed.
        model: the model's name, as the provider knows it.
        options: anything else the API's ``create`` takes, such as ``temperature=0`` or ``seed=1``.
    """

    _dialect: ClassVar[str]

    def __init__(self, client: AsyncOpenAI, model: str, **options: Any) -> None:
        __tracebackhide__ = True
        if not isinstance(model, str) or isinstance(client, str):
            name = type(self).__name__
            msg = f"{name}: the client comes first, then the model's name, {name}(client, 'gpt-5-mini'); not {client!r}, {model!r}"
            raise TypeError(msg)
        api = self._dialect.rpartition(".")[2]
        if isinstance(client, type) or not (api in dir(client) or hasattr(client, api)):  # to get it may take a while
            name = type(self).__name__
            msg = f"{name}: the client is one like AsyncOpenAI(), with `client.{api}`; {client!r:.80} is none"
            raise TypeError(msg)
        self.client = client
        self.model = model
        self.options = options

    def _options(self, tools: Sequence[Tool]) -> dict[str, Any]:
        """The options of the user's, and the agent's tools after those that are among them."""
        if not tools:
            return self.options
        return {**self.options, "tools": [*self.options.get("tools", ()), *map(self._tool, tools)]}

    @staticmethod
    def _tool(tool: Tool) -> dict[str, Any]:
        """A tool in the API's words."""
        raise NotImplementedError

    def _request(self, context: ModelContext, tools: Sequence[Tool]) -> Any:
        """The call that asks the API: an async context manager that gives the raw response."""
        raise NotImplementedError

    async def stream(self, context: ModelContext, tools: Sequence[Tool]) -> AsyncIterator[Event]:
        """Ask the API, and give its answer as events. See `pytest_streamrt.runtime.Model`."""
        __tracebackhide__ = True
        retries = getattr(self.client, "max_retries", 0)
        said = False
        while True:
            broken: InferenceFailure | None = None
            async with contextlib.aclosing(self._attempt(context, tools)) as events:
                async for event in events:
                    if isinstance(event, _Broken):
                        broken = event.failure
                        break
                    said = said or event.type not in _BEFORE_IT_SPEAKS
                    yield event
            if broken is None:
                return
            if said or retries == 0:
                yield broken
                return
            retries -= 1
            yield Status("retry", {"error": broken.message, "retries_left": retries})
            await anyio.sleep(_RETRY_AFTER)

    async def _attempt(self, context: ModelContext, tools: Sequence[Tool]) -> AsyncGenerator[Any, None]:
        """Ask once: the events, or that the answer has broken off after its head."""
        __tracebackhide__ = True
        decoder = dialect(self._dialect).decoder()
        request = self._request(context, tools)
        if not hasattr(request, "__aenter__"):
            msg = f"{type(self).__name__} needs an async client, such as AsyncOpenAI(); this one is {self.client!r}"
            raise TypeError(msg)
        answered = False
        try:
            response = await request.__aenter__()
            answered = True
            chunks = response.http_response.aiter_bytes()
            try:
                async for chunk in chunks:
                    for event in decoder.feed(chunk):
                        yield event
                    if decoder.ended:
                        return
                for event in decoder.close():
                    yield event
            finally:
                # An abort comes as a cancellation, and the socket is to be closed all the same.
                with anyio.CancelScope(shield=True):
                    await _finish(chunks, complete=decoder.ended)
                    await request.__aexit__(None, None, None)
        except StreamError as error:
            for event in error.events:
                yield event
            if error.cut_short:
                yield _Broken(InferenceFailure("transport", str(error)))
            else:
                yield InferenceFailure("provider", str(error))
        except Exception as error:
            kind = _whose_fault(error)
            if kind is None:
                raise
            failure = InferenceFailure(kind, f"{type(error).__name__}: {error}")
            # Before the head has arrived, the client has tried again itself.
            yield _Broken(failure) if answered and kind == "transport" else failure


@dataclass(frozen=True)
class _Broken:
    """The connection broke after the response's head."""

    failure: InferenceFailure


class OpenAIChatModel(_OpenAIModel):
    """A model behind Chat Completions, of OpenAI or of any server that speaks it.

    Asks for usage with ``stream_options={"include_usage": True}``, unless the options say otherwise.
    """

    _dialect = "openai.chat"

    @staticmethod
    def _tool(tool: Tool) -> dict[str, Any]:
        return {"type": "function", "function": _function(tool)}

    def _request(self, context: ModelContext, tools: Sequence[Tool]) -> Any:
        options = {"stream_options": {"include_usage": True}, **self._options(tools)}
        create: Any = self.client.chat.completions.with_streaming_response.create
        return create(model=self.model, messages=chat_messages(context.items), stream=True, **options)


class OpenAIResponsesModel(_OpenAIModel):
    """A model behind the Responses API, of OpenAI or of any server that speaks it."""

    _dialect = "openai.responses"

    @staticmethod
    def _tool(tool: Tool) -> dict[str, Any]:
        # Strict is that API's default, and takes only some schemas; arguments are checked before a tool runs in any case.
        return {"type": "function", **_function(tool), "strict": False}

    def _request(self, context: ModelContext, tools: Sequence[Tool]) -> Any:
        create: Any = self.client.responses.with_streaming_response.create
        return create(model=self.model, input=responses_input(context.items), stream=True, **self._options(tools))


def _function(tool: Tool) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "parameters": tool.parameters}


def chat_messages(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items as the messages of a Chat Completions request. Reasoning is left out: that API does not take it."""
    messages: list[dict[str, Any]] = []
    for item in items:
        match item:
            case Message():
                messages.append({"role": item.role, "content": item.text})
            case ModelMessage():
                messages.append({"role": "assistant", "content": item.text})
            case FunctionCall():
                call = {"id": item.id, "type": "function", "function": {"name": item.name, "arguments": item.arguments}}
                if messages and "tool_calls" in messages[-1]:
                    messages[-1]["tool_calls"].append(call)  # parallel calls are one message
                else:
                    messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            case FunctionCallOutput():
                messages.append({"role": "tool", "tool_call_id": item.id, "content": item.output})
            case _:
                continue
    return messages


def responses_input(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Items as the input of a Responses request. Reasoning is left out: without the provider's id it is refused."""
    result: list[dict[str, Any]] = []
    for item in items:
        match item:
            case Message():
                result.append({"role": item.role, "content": item.text})
            case ModelMessage():
                result.append({"role": "assistant", "content": item.text})
            case FunctionCall():
                call = {"type": "function_call", "call_id": item.id, "name": item.name, "arguments": item.arguments}
                result.append(call)
            case FunctionCallOutput():
                result.append({"type": "function_call_output", "call_id": item.id, "output": item.output})
            case _:
                continue
    return result


async def _finish(chunks: AsyncIterator[bytes], *, complete: bool) -> None:
    """Bring a body that is not wanted any more to its end.

    After the provider's last event little or nothing is left: it is read, for a moment, so that the connection can be
    used again. Otherwise the HTTP library's own generators are ended from inside, by a cancellation: closed from outside,
    they would be left to the garbage collector, and trio warns of each.
    """
    with anyio.move_on_after(_DRAIN if complete else None) as scope, contextlib.suppress(Exception):
        if not complete:
            scope.cancel()
        async for _ in chunks:
            pass


def _whose_fault(error: Exception) -> Any:
    """Which kind of failure it is: "transport", "provider", or None where it is neither."""
    import openai

    if isinstance(error, openai.APIConnectionError):  # timeouts are among them
        return "transport"
    if isinstance(error, (openai.APIError, json.JSONDecodeError)):
        return "provider"
    # While the body is read, the HTTP library's own errors come through unwrapped; either library may be in use.
    bases = [(base.__module__.partition(".")[0], base.__name__) for base in type(error).__mro__]
    if any((library, "TransportError") in bases for library in _HTTP_LIBRARIES):
        return "transport"
    return None
