"""Dialects: the wire formats of the providers. This file knows which there are; each has a file to read and one to write.

The public functions are here: `detect` a request's dialect, `decode` a stream into events, `encode` a script as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.events.types import Event
from pytest_streamrt.providers.anthropic_encode import MessagesEncoder
from pytest_streamrt.providers.anthropic_messages import MessagesMapper
from pytest_streamrt.providers.decoder import Decoder, decode_all
from pytest_streamrt.providers.dialect import Dialect
from pytest_streamrt.providers.encoder import encode_script
from pytest_streamrt.providers.encoder import encode_whole as _encode_whole
from pytest_streamrt.providers.gemini_encode import GenerateEncoder
from pytest_streamrt.providers.gemini_generate import GenerateMapper
from pytest_streamrt.providers.openai_chat import ChatMapper
from pytest_streamrt.providers.openai_chat_encode import ChatEncoder
from pytest_streamrt.providers.openai_responses import ResponsesMapper
from pytest_streamrt.providers.openai_responses_encode import ResponsesEncoder
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.script.build import Script

__all__ = ["DIALECTS", "Decoder", "Dialect", "Quirks", "decode", "detect", "dialect", "encode", "encode_whole"]

_ALL: Final = (
    Dialect("openai.responses", ("/responses",), ResponsesMapper, ResponsesEncoder),
    Dialect("openai.chat", ("/chat/completions",), ChatMapper, ChatEncoder),
    Dialect(
        "anthropic.messages",
        ("/v1/messages",),
        MessagesMapper,
        MessagesEncoder,
        also=r"/publishers/anthropic/models/[^/]+:(?:streamR|r)awPredict",
    ),
    Dialect(
        "gemini.generate",
        (":streamGenerateContent", ":generateContent"),
        GenerateMapper,
        GenerateEncoder,
        arrays=True,
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = {d.name: d for d in _ALL}
"""Every dialect there is, by name."""


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        ValueError: there is none; it says which there are.
    """
    __tracebackhide__ = True
    try:
        return DIALECTS[name]
    except (KeyError, TypeError):
        msg = f"no dialect {name!r}; there are: {', '.join(DIALECTS)}"
        raise ValueError(msg) from None


def detect(method: str, url: str, body: Mapping[str, Any] | None = None) -> str | None:
    """Which dialect a request speaks, by the end of its URL's path, or None.

    Args:
        method: the HTTP method; a dialect is spoken in the answer to a POST.
        url: the request's URL; host and query play no part, so proxies, Azure and compatible servers are known too.
        body: the request's JSON body. No dialect so far needs it to be told from the others.
    """
    del body
    if method.upper() != "POST":
        return None
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:  # no URL at all; whoever opens it will say so
        return None
    return next((d.name for d in DIALECTS.values() if d.speaks(path)), None)


def decode(data_or_chunks: bytes | Iterable[bytes], dialect_name: str) -> list[Event]:
    """Decode a whole stream into events. Where the bytes were cut makes no difference.

    Args:
        data_or_chunks: the stream, whole or in chunks.
        dialect_name: such as "openai.chat".

    Returns:
        Unstamped events (`seq` 0), from `inference.started` to one terminal event.

    Raises:
        StreamError: the stream is not UTF-8, not JSON, or ends too early. It names the byte's offset; its `events` are
            those before the fault.
        TypeError: these are no bytes.
        ValueError: no such dialect.
    """
    __tracebackhide__ = True
    chunks = [data_or_chunks] if isinstance(data_or_chunks, bytes) else data_or_chunks
    if isinstance(chunks, str) or not isinstance(chunks, Iterable):
        msg = f"decode: a stream is bytes, or chunks of bytes, not {chunks!r:.80}"
        raise TypeError(msg)
    return decode_all(chunks, dialect(dialect_name).decoder())


def encode(script: Script, dialect_name: str, quirks: Quirks | None = None) -> list[bytes]:
    """Write a script as that provider would send it: one chunk for each event of the stream.

    Args:
        script: what is said. Its times are not in the bytes.
        dialect_name: such as "openai.chat".
        quirks: the habits of the server; without them, those of the API's own.

    Raises:
        ScriptError: the script cannot be written as a stream of that dialect.
        ValueError: no such dialect.
    """
    __tracebackhide__ = True
    _check_script("encode", script, quirks)
    return encode_script(script, dialect(dialect_name).encoder(script, quirks))


def encode_whole(script: Script, dialect_name: str, quirks: Quirks | None = None) -> bytes:
    """Write a script as that provider would answer it without a stream: the JSON body.

    Raises:
        ScriptError: the script cannot be written so: it breaks off, or says what this API says in a stream only.
        ValueError: no such dialect.
    """
    __tracebackhide__ = True
    _check_script("encode_whole", script, quirks)
    return _encode_whole(script, dialect(dialect_name).encoder(script, quirks))


def _check_script(who: str, script: object, quirks: object) -> None:
    __tracebackhide__ = True
    if not isinstance(script, Script):
        hint = f". Write script({script!r})" if isinstance(script, str) else ""
        raise ScriptError(f"{who}: it writes scripts, and {script!r:.80} is none{hint}")
    if not isinstance(quirks, Quirks | None):
        msg = f"{who}: quirks are Quirks(…), not {quirks!r:.80}"
        raise TypeError(msg)
