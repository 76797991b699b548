"""Tools: functions that a model may call, what it is told of them, and how its arguments become theirs."""

from __future__ import annotations

import contextlib
import inspect
import threading
import typing
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from functools import cached_property, partial
from typing import Any, Final

import anyio.from_thread
import anyio.to_thread

from pytest_streamrt.clock.current import calls_from_threads

__all__ = ["BadArguments", "Reporter", "Tool", "make_tools", "report_progress", "reporter"]


class BadArguments(ValueError):
    """What a model has written does not fit the tool. The message is for the model."""


class Tool:
    """A function that a model may call. ``Agent(tools=…)`` makes one of each function; make it yourself to name it.

    Args:
        function: an async function, or a sync one, which runs in a worker thread.
        name: what the model calls it; by default the function's own name.
        description: what the model is told of it; by default the function's docstring.

    Attributes:
        function: the function.
        name: its name.
        description: its description; "" where there is none.
        parameters: the JSON schema of its arguments.

    Raises:
        TypeError: it is no function, or a generator; it has no name; or its parameters cannot be given as JSON.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> None:
        __tracebackhide__ = True
        if not callable(function):
            msg = f"a tool is made of a function, not of {function!r}"
            raise TypeError(msg)
        if name is None:
            name = getattr(function, "__name__", None)
            if not isinstance(name, str) or name == "<lambda>":
                msg = f"a tool needs a name that its model can call it by; {function!r} has none. Write Tool(…, name='lookup')"
                raise TypeError(msg)
        elif not isinstance(name, str) or not name:
            msg = f"a tool's name is text, not {name!r}"
            raise TypeError(msg)
        inner = _inner(function)
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            msg = f"tool {name!r}: a tool returns its result; this one is a generator. To tell how far it is: report_progress(data)"
            raise TypeError(msg)
        self.function = function
        self.name = name
        documented = function.func if isinstance(function, partial) else function
        self.description = (inspect.getdoc(documented) or "") if description is None else description
        self._is_async = inspect.iscoroutinefunction(inner)
        self._adapter = _adapter(function, inner, name)
        self.parameters: dict[str, Any] = self._adapter.json_schema()

    def __repr__(self) -> str:
        return f"Tool({self.function!r}, name={self.name!r})"

    @cached_property
    def _takes(self) -> str:
        return ", ".join(self.parameters.get("properties", {})) or "none"

    def read(self, arguments: str) -> dict[str, Any]:
        """The arguments that a model has written as JSON, as the function takes them. No text at all is no arguments.

        Raises:
            BadArguments: they are no JSON object, or do not fit the function.
            Exception: whatever a validator of the user's raises.
        """
        from pydantic import ValidationError
        from pydantic_core import from_json

        text = arguments.strip() or "{}"
        try:
            is_object = isinstance(from_json(text), dict)
        except ValueError as error:
            msg = f"the arguments of {self.name} are not JSON: {error}"
            raise BadArguments(msg) from None
        if not is_object:
            msg = f"the arguments of {self.name} are to be a JSON object, by name"
            raise BadArguments(msg)
        try:
            given: dict[str, Any] = self._adapter.validate_json(text)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_context=False, include_input=False)
            each = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in wrong)
            msg = f"the arguments of {self.name} do not fit: {each}. It takes: {self._takes}"
            raise BadArguments(msg) from None
        return given

    async def run(self, arguments: dict[str, Any]) -> str:
        """Call the function. Its result is what the model is told: text as it is, anything else as JSON.

        A sync function runs in a worker thread, which is abandoned when this is cancelled: no thread can be stopped. It
        takes no place of others' from then on, however long it goes on.

        Raises:
            Exception: whatever the function raises.
        """
        from pydantic_core import to_json

        if self._is_async:
            result = await self.function(**arguments)
        else:
            # One of its own for the thread: in trio, it is that which gives its place back, when it ends.
            async with anyio.to_thread.current_default_thread_limiter():
                result, error = await anyio.to_thread.run_sync(
                    self._call, arguments, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
            if error is not None:
                raise error
            if inspect.isawaitable(result):
                result = await result
        return result if isinstance(result, str) else to_json(result, fallback=str).decode()

    def _call(self, arguments: dict[str, Any]) -> tuple[Any, Exception | None]:
        # Its exception is handed over as a value: asyncio does not take a StopIteration out of a thread.
        try:
            return self.function(**arguments), None
        except Exception as error:  # noqa: BLE001 - whatever it raises is told by whoever runs it
            return None, error


def make_tools(functions: Iterable[Any], whose: str) -> tuple[Tool, ...]:
    """A tool of each function; tools are taken as they are.

    Raises:
        TypeError: one of them can be no tool.
        ValueError: two have the same name.
    """
    __tracebackhide__ = True
    if isinstance(functions, str) or not isinstance(functions, Iterable):
        msg = f"{whose}: tools are functions, in a list: tools=[lookup, search], not {functions!r}"
        raise TypeError(msg)
    tools: dict[str, Tool] = {}
    for function in functions:
        try:
            tool = function if isinstance(function, Tool) else Tool(function)
        except TypeError as error:
            msg = f"{whose}: {error}"
            raise TypeError(msg) from error.__cause__
        if tool.name in tools:
            msg = f"{whose}: there are two tools {tool.name!r}; a model tells them apart by name. Write Tool(…, name=…)"
            raise ValueError(msg)
        tools[tool.name] = tool
    return tuple(tools.values())


class Reporter:
    """Takes what a running tool reports, from whatever thread, to the loop's own."""

    def __init__(self, report: Callable[[Any], None]) -> None:
        self._report = report
        self._thread = threading.get_ident()
        self._call_soon = calls_from_threads()
        self._lock = threading.Lock()
        self._over = False
        self._waiting: set[Future[None]] = set()

    def __call__(self, data: Any) -> None:
        """Report it, and return when it has been emitted.

        Raises:
            BaseException: in another thread, the backend's cancellation, when its call has been cancelled and nobody listens.
            Exception: what `report` raises.
        """
        if threading.get_ident() == self._thread:
            self._report(data)
            return
        told: Future[None] = Future()
        with self._lock:  # so that the loop is there to be called: it outlives the call of the tool
            if not self._over:
                self._waiting.add(told)
                self._call_soon(copy_context().run, self._tell, data, told)
            else:
                told.set_result(None)
        told.result()
        if self._over:
            with contextlib.suppress(RuntimeError):  # it is a thread of the tool's own, which nobody cancels
                anyio.from_thread.check_cancelled()

    def end(self) -> None:
        """The call is over. A thread that goes on all the same is heard no more, and does not wait for a loop that may end."""
        with self._lock:
            self._over = True
        for told in self._waiting:
            told.set_result(None)
        self._waiting.clear()

    def _tell(self, data: Any, told: Future[None]) -> None:
        if told not in self._waiting:
            return
        self._waiting.remove(told)
        try:
            self._report(data)
        except BaseException as error:  # noqa: BLE001 - it is raised in the tool, whose thread waits for one or the other
            told.set_exception(error)
        else:
            told.set_result(None)


reporter: Final[ContextVar[Reporter | None]] = ContextVar("pytest_streamrt.reporter", default=None)


def report_progress(data: Any = None) -> None:
    """In a tool: let the room know how far it is, as the event `tool.progress`.

    Not async, and the same in a sync tool. Outside of a call it does nothing, so that the function can be tested alone;
    likewise when the call has had its result. A sync tool whose call was cancelled, by an abort or since it took too long, goes
    no further: here it is raised the backend's cancellation.
    """
    report = reporter.get()
    if report is not None:
        report(data)


def _inner(function: Callable[..., Any]) -> Any:
    """The function whose code is run: behind a `functools.partial`, a class, or an object that can be called."""
    if isinstance(function, partial):
        function = function.func
    if inspect.isclass(function):
        return function.__init__
    return function if inspect.isroutine(function) else type(function).__call__


def _adapter(function: Callable[..., Any], inner: Any, name: str) -> Any:
    """What validates the arguments of a call and describes them: pydantic's adapter of a function of the same parameters."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    def take(**arguments: Any) -> dict[str, Any]:
        return arguments

    stand_in: Any = take
    try:
        signature = _signature(function, inner)
        stand_in.__signature__ = signature
        annotated = [p for p in signature.parameters.values() if p.annotation is not p.empty]
        stand_in.__annotations__ = {p.name: p.annotation for p in annotated}
        adapter = TypeAdapter(stand_in)
        adapter.json_schema()
    except (TypeError, ValueError, NameError, PydanticUserError) as error:
        msg = (
            f"tool {name!r}: its parameters cannot be told to a model: {error}. Give them types that can be read from JSON, "
            "defined at the top of a module; what the model is not to give, fill in with functools.partial(…)"
        )
        raise TypeError(msg) from error
    return adapter


def _signature(function: Callable[..., Any], inner: Any) -> inspect.Signature:
    """The parameters that a model gives, all by name: without those that a partial fills in, and without ``*args``."""
    signature = inspect.signature(function)
    hints = typing.get_type_hints(inner, include_extras=True)
    filled = function.keywords if isinstance(function, partial) else {}
    parameters = []
    for each in signature.parameters.values():
        if each.kind is each.POSITIONAL_ONLY:
            msg = f"a model gives arguments by name, and {each.name!r} can be given by position only"
            raise TypeError(msg)
        if each.name not in filled and each.kind is not each.VAR_POSITIONAL:
            parameters.append(each.replace(annotation=hints.get(each.name, each.annotation)))
    return inspect.Signature(parameters)
