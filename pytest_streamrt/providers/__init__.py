"""Dialects: the wire formats of the providers, read and written. This file knows which there are; each has a file.

The public functions are here: `detect` a request's dialect, `decode` a stream into events, `encode` a script as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pytest_streamrt.events.types import Event
from pytest_streamrt.providers.dialect import Decoder, Dialect, decode_all, encode_script
from pytest_streamrt.providers.openai_chat import CHAT
from pytest_streamrt.providers.openai_responses import RESPONSES
from pytest_streamrt.script.build import Script

__all__ = ["DIALECTS", "Decoder", "Dialect", "decode", "detect", "dialect", "encode"]

DIALECTS: Final[Mapping[str, Dialect]] = {d.name: d for d in (RESPONSES, CHAT)}
"""Every dialect there is, by name."""


def dialect(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        ValueError: there is none; it says which there are.
    """
    try:
        return DIALECTS[name]
    except KeyError:
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
    return next((d.name for d in DIALECTS.values() if path.endswith(d.paths)), None)


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
        ValueError: no such dialect.
    """
    chunks = [data_or_chunks] if isinstance(data_or_chunks, bytes) else data_or_chunks
    return decode_all(chunks, dialect(dialect_name))


def encode(script: Script, dialect_name: str) -> list[bytes]:
    """Write a script as that provider would send it: one chunk for each event of the stream.

    Raises:
        ScriptError: the script cannot be written as a stream of that dialect.
        ValueError: no such dialect.
    """
    return encode_script(script, dialect(dialect_name))
