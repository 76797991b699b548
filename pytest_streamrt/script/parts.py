"""The parts of a script: the functions that make what can be said, and how a stream can break."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.numbers import is_whole, require_seconds, require_whole
from pytest_streamrt.script.kinds import (
    CitationPart,
    Disconnect,
    ErrorPart,
    Fault,
    FinishPart,
    Group,
    Interleaved,
    Pace,
    Part,
    Pause,
    ReasoningPart,
    RefusalPart,
    Speech,
    Stall,
    StatusPart,
    TextPart,
    ToolCallPart,
    UsagePart,
)

__all__ = [
    "CitationPart",
    "Disconnect",
    "ErrorPart",
    "Fault",
    "FinishPart",
    "Group",
    "Interleaved",
    "Pace",
    "Part",
    "Pause",
    "ReasoningPart",
    "RefusalPart",
    "Speech",
    "Stall",
    "StatusPart",
    "TextPart",
    "ToolCallPart",
    "UsagePart",
    "choice",
    "citation",
    "disconnect",
    "error",
    "finish",
    "interleave",
    "pause",
    "reasoning",
    "refusal",
    "stall",
    "status",
    "tool_call",
    "usage",
]

__tracebackhide__ = True  # what is raised here is about what was given, and is shown where that was

MAKERS: Final = (
    "choice",
    "citation",
    "disconnect",
    "error",
    "finish",
    "interleave",
    "pause",
    "reasoning",
    "refusal",
    "stall",
    "status",
    "tool_call",
    "usage",
)
"""The functions that make parts, by name: the attributes of `script`."""


def reasoning(
    *pieces: str, summary: bool = False, signature: str | None = None, redacted: str | None = None
) -> ReasoningPart:
    """The model thinks: one delta for each piece.

    Args:
        pieces: what it thinks, cut where it is to be cut.
        summary: whether this is the provider's summary of its thoughts.
        signature: what the provider signs it with, after the last piece.
        redacted: the encrypted form of thoughts that the provider does not show; instead of pieces, and no delta.

    Raises:
        ScriptError: a piece is no text or empty, or there are pieces of what is redacted.
    """
    for name, value in (("signature", signature), ("redacted", redacted)):
        if not isinstance(value, str | None):
            msg = f"reasoning: {name} is a string, not {value!r}"
            raise ScriptError(msg)
    if redacted is None:
        return ReasoningPart(_pieces("reasoning", pieces), summary, signature)
    if pieces or summary or signature is not None or not redacted:
        msg = 'reasoning: what is redacted has neither pieces nor a signature: reasoning(redacted="…")'
        raise ScriptError(msg)
    return ReasoningPart((), redacted=redacted)


def refusal(*pieces: str) -> RefusalPart:
    """The model refuses: one delta for each piece."""
    return RefusalPart(_pieces("refusal", pieces))


def tool_call(
    name: str,
    arguments: Mapping[str, Any] | str,
    *,
    id: str | None = None,
    pieces: Sequence[str] | None = None,
) -> ToolCallPart:
    """The model calls a tool: one delta with all of its arguments, or one for each of `pieces`.

    Args:
        name: the tool's name.
        arguments: a mapping, written as compact JSON, or JSON text to be sent as it is, be it broken.
        id: the call's id; without one, the script numbers its calls: "call_0" and so on.
        pieces: the arguments' text, cut where it is to be cut.

    Raises:
        ScriptError: the pieces, joined, are not the arguments, or the arguments cannot be JSON.
    """
    if not isinstance(name, str) or not name:
        msg = f"tool_call: a tool's name is a string, not {name!r}"
        raise ScriptError(msg)
    if id is not None and (not isinstance(id, str) or not id):
        msg = f"tool_call({name!r}): its id is a string, not {id!r}"
        raise ScriptError(msg)
    if isinstance(arguments, str):
        text = arguments
    elif not isinstance(arguments, Mapping):
        msg = f"tool_call({name!r}): the arguments are a mapping, such as {{'city': 'Paris'}}, or JSON text, not {arguments!r}"
        raise ScriptError(msg)
    else:
        try:
            text = json.dumps(dict(arguments), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as reason:
            msg = f"tool_call({name!r}): these arguments cannot be JSON: {arguments!r} ({reason})"
            raise ScriptError(msg) from None
    if pieces is None:
        return ToolCallPart((text,), name, id)
    if isinstance(pieces, str) or not isinstance(pieces, Sequence) or not all(isinstance(each, str) for each in pieces):
        msg = f"tool_call({name!r}): the pieces are a list of strings, not {pieces!r}"
        raise ScriptError(msg)
    if not pieces:
        msg = f"tool_call({name!r}): no pieces are no tool call; leave pieces= out for one delta"
        raise ScriptError(msg)
    if "".join(pieces) != text:
        msg = f"tool_call({name!r}): the pieces say {''.join(pieces)!r}, the arguments {text!r}"
        raise ScriptError(msg)
    return ToolCallPart(tuple(pieces), name, id)


def usage(input_tokens: int, output_tokens: int) -> UsagePart:
    """The provider reports the tokens used, in its own count."""
    for name, tokens in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        require_whole(f"usage: {name}", tokens, 0, (ScriptError, ScriptError))
    return UsagePart(input_tokens, output_tokens)


def citation(url: str, title: str = "", *, text: str = "") -> CitationPart:
    """What has been said so far cites a source. No delta, and no time.

    Args:
        url: the source's.
        title: the source's.
        text: what of the source is cited, where the provider says so (Anthropic).
    """
    for name, value in (("url", url), ("title", title), ("text", text)):
        if not isinstance(value, str):
            msg = f"citation: its {name} is a string, not {value!r}"
            raise ScriptError(msg)
    return CitationPart(url, title, text)


def status(name: str) -> StatusPart:
    """A note on how the work goes, such as "web_search_call.searching". No delta, and no time.

    In Responses it is the event "response." and that name; elsewhere, where the API has none, a comment of the stream, as
    OpenRouter sends them.
    """
    if not isinstance(name, str) or not name.strip() or "\n" in name or "\r" in name:
        msg = f"status: its name is one line of text, not {name!r}"
        raise ScriptError(msg)
    return StatusPart(name)


def finish(reason: str) -> FinishPart:
    """Why the answer ends, where it is not what the provider says by itself: that it is complete, or that it calls tools.

    Args:
        reason: "length" and "content_filter" are said in each provider's own words; any other is sent as it is, such as
            Anthropic's "pause_turn".
    """
    if not isinstance(reason, str) or not reason:
        msg = f"finish: the reason is a string, not {reason!r}"
        raise ScriptError(msg)
    return FinishPart(reason)


def choice(n: int, *parts: str | Part) -> Group:
    """What is said in another of the answer's choices than the first, which is number 0.

    Only Chat Completions and Gemini have several.

    Raises:
        ScriptError: a choice has no number from 0 on, or a part belongs to no choice.
    """
    require_whole("choice: its number", n, 0, (ScriptError, ScriptError))
    return Group(tuple(_in_choice(n, part) for part in parts))


def _in_choice(n: int, part: object) -> Part:
    if isinstance(part, str) and part:
        return TextPart((part,), choice=n)
    if isinstance(part, Speech | CitationPart | FinishPart):
        return replace(part, choice=n)
    if isinstance(part, Pause):
        return part
    if isinstance(part, Interleaved):
        return replace(part, parts=tuple(replace(each, choice=n) for each in part.parts))
    msg = f"choice: {part!r} belongs to the whole answer, or says nothing"
    raise ScriptError(msg)


def interleave(*parts: str | Part) -> Interleaved:
    """Parts that are spoken by turns, as parallel tool calls may be: one piece of each, over and over.

    Raises:
        ScriptError: a part of them does not come in deltas.
    """
    spoken: list[Speech] = []
    for part in parts:
        for each in part.parts if isinstance(part, Group) else (part,):
            if isinstance(each, str) and each:
                spoken.append(TextPart((each,)))
            elif isinstance(each, Speech) and each.pieces:
                spoken.append(each)
            else:
                msg = f"interleave: {each!r} does not come in deltas"
                raise ScriptError(msg)
    return Interleaved(tuple(spoken))


def pause(seconds: float) -> Pause:
    """Time passes before the next part, on top of its own delay."""
    require_time("pause: its length", seconds)
    return Pause(seconds)


# For faults over a recording: `after`, how many of its deltas come before; `exchange`, the number of the recorded exchange,
# from 1 on. See `pytest_streamrt.cassette.faults`. In a script: `byte`, after how many bytes of the body it strikes, instead
# of where it stands.


def stall(*, byte: int | None = None, after: int | None = None, exchange: int | None = None) -> Stall:
    """The stream stays open and says nothing more: whoever waits for it waits until it gives up."""
    return Stall(**where_of("stall", after, exchange, byte))


def disconnect(*, byte: int | None = None, after: int | None = None, exchange: int | None = None) -> Disconnect:
    """The connection breaks here."""
    return Disconnect(**where_of("disconnect", after, exchange, byte))


def error(
    status_or_code: int | str,
    message: str = "",
    *,
    retry_after: float | None = None,
    after: int | None = None,
    exchange: int | None = None,
) -> ErrorPart:
    """The provider reports an error.

    Args:
        status_or_code: an HTTP status, such as 429, where the script has said nothing yet; else a code of the
            provider's, such as "server_error".
        message: what the provider says about it.
        retry_after: seconds after which to try again, for the header of that name.
        after: over a recording, how many deltas come before it.
        exchange: over a recording, the number of the exchange, from 1 on.

    Raises:
        ScriptError: the status is digits in quotes or none of an error, or a number or a time makes no sense.
    """
    __tracebackhide__ = True
    if isinstance(status_or_code, str) and status_or_code.isdecimal():
        msg = f"error({status_or_code!r}) is a code of the provider's in mid-stream; an HTTP status is a number: error({status_or_code})"
        raise ScriptError(msg)
    if not isinstance(message, str):
        msg = f"error: the message is a string, not {message!r}"
        raise ScriptError(msg)
    if not is_whole(status_or_code, 400, 599) and (not isinstance(status_or_code, str) or not status_or_code):
        msg = f"error({status_or_code!r}): an HTTP status that is an error is a whole number from 400 to 599, such as 429 or 503"
        raise ScriptError(msg)
    if retry_after is not None:
        require_time("error: retry_after", retry_after)
    where = where_of("error", after, exchange)
    return ErrorPart(status_or_code, message or f"scripted error {status_or_code}", retry_after=retry_after, **where)


def require_time(what: str, seconds: object) -> None:
    """Raise a ScriptError unless that is a time in seconds: a number, finite, from 0 on."""
    __tracebackhide__ = True
    require_seconds(what, seconds, (ScriptError, ScriptError))


def where_of(what: str, after: int | None, exchange: int | None, byte: int | None = None) -> dict[str, Any]:
    """Where a fault strikes, over a recording or in a script, checked."""
    __tracebackhide__ = True
    for name, value, least in (("after", after, 0), ("exchange", exchange, 1), ("byte", byte, 0)):
        if value is not None:
            require_whole(f"{what}: {name}", value, least, (ScriptError, ScriptError))
    return {"after": after, "exchange": exchange, "byte": byte}


def _pieces(what: str, pieces: tuple[str, ...]) -> tuple[str, ...]:
    __tracebackhide__ = True
    if not pieces or not all(isinstance(piece, str) and piece for piece in pieces):
        msg = f"{what}: give one non-empty string for each delta, not {pieces!r}"
        raise ScriptError(msg)
    return pieces
