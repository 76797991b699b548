"""From a script to a provider's bytes: what all encoders have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.script.build import Script, Step
from pytest_streamrt.script.parts import ErrorPart, Fault
from pytest_streamrt.wire.sse import encode_event

__all__ = ["Encoder", "comment", "compact", "encode_script", "encode_whole", "frame", "obfuscation", "refuse_choices"]


class Encoder(Protocol):
    """From a script to one provider's frames. Holds the state of the stream it writes."""

    def open(self) -> list[bytes]:
        """What the provider sends before it says anything."""
        ...

    def step(self, step: Step) -> list[bytes]:
        """The frames for one step of speech or usage."""
        ...

    def error(self, part: ErrorPart) -> list[bytes]:
        """The frames by which the provider reports an error in mid-stream."""
        ...

    def end(self) -> list[bytes]:
        """What the provider sends when the answer is complete."""
        ...

    def body(self) -> dict[str, Any]:
        """The answer as JSON, where it is not streamed: what has been said by then, as complete."""
        ...


def encode_script(script: Script, encoder: Encoder) -> list[bytes]:
    """Write a script as the provider would send it: the frames of one stream, in order, each a chunk.

    Times are not in it. A script that ends in `disconnect`, `stall` or `truncate` breaks off there; other
    faults are not in the bytes.

    Raises:
        ScriptError: the script answers with an HTTP status, which is no stream.
    """
    chunks = encoder.open()
    for step in script.steps():
        if isinstance(step.part, ErrorPart):
            if isinstance(step.part.code, int):
                msg = (
                    f"encode: error({step.part.code}) is an HTTP status: the provider answers with it instead of a "
                    'stream. For an error in mid-stream give a code, such as error("server_error")'
                )
                raise ScriptError(msg)
            return [*chunks, *encoder.error(step.part)]
        if isinstance(step.part, Fault):
            if step.part.ends:
                return chunks
            continue  # it is of the way, or of the source, and not in what is said
        chunks += encoder.step(step)
    return [*chunks, *encoder.end()]


def encode_whole(script: Script, encoder: Encoder) -> bytes:
    """Write a script as the provider would answer it without a stream: one JSON body.

    Raises:
        ScriptError: the script breaks off, which is no answer.
    """
    encoder.open()
    for step in script.steps():
        if isinstance(step.part, Fault):
            msg = f"encode_whole: {step.part!r} is no answer: the provider gives none, or an HTTP error"
            raise ScriptError(msg)
        encoder.step(step)
    encoder.end()
    return compact(encoder.body()).encode()


def compact(data: Mapping[str, Any], separators: tuple[str, str] = (",", ":")) -> str:
    """The JSON text that UTF-8 can hold: compact, non-ASCII text as it is, and half a character as an escape."""
    written = json.dumps(data, separators=separators, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot hold but a JSON escape can
        return json.dumps(data, separators=separators)
    return written


def frame(
    data: Mapping[str, Any],
    name: str | None = None,
    *,
    newline: str = "\n",
    padding: int = 0,
) -> bytes:
    """One SSE frame with that JSON in it, written as the OpenAI API writes it: compact, non-ASCII text as it is.

    Args:
        data: the JSON object.
        name: the event's name.
        newline: what ends each line.
        padding: how many spaces stand before the object's last brace.
    """
    written = compact(data)
    if padding:
        written = f"{written[:-1]}{' ' * padding}}}"
    return encode_event(written, event=name, newline="\r\n" if newline == "\r\n" else "\n")


def comment(said: str, newline: str = "\n") -> bytes:
    """A frame of one comment, which no reader takes for an event."""
    return f": {said}{newline}{newline}".encode()


_NOISE: Final = "x2NEhMkQ0rT7cVb5LsWf9GaYpD3iUjOz8KtR1wCnHq6ZeXmFyBvSgPuAdJl4oI"


def obfuscation(piece: str, n: int) -> str:
    """The noise of the nth frame. With the delta it is a multiple of 16 bytes long, as in recorded streams of OpenAI."""
    begin = n * 13 % len(_NOISE)
    return (_NOISE[begin:] + _NOISE)[: 16 - len(piece.encode(errors="replace")) % 16]


def refuse_choices(script: Script | None, name: str) -> None:
    """Refuse a script of several choices.

    Raises:
        ScriptError: it has several, and says which dialects can write it.
    """
    for part in script.spoken() if script is not None else ():
        if getattr(part, "choice", 0):
            msg = (
                f"encode: {name} has one choice only, and the script says {part!r}; openai.chat and gemini.generate "
                "have several"
            )
            raise ScriptError(msg)
