"""What can go wrong with an answer on its way, or with its source, beside what `parts` has: frozen data, and its makers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, get_args

from pytest_streamrt.errors import ScriptError
from pytest_streamrt.numbers import is_whole
from pytest_streamrt.script.parts import Fault, where_of

__all__ = [
    "Corrupt",
    "Damage",
    "Duplicate",
    "HttpPart",
    "Law",
    "Misbehave",
    "Truncate",
    "corrupt",
    "duplicate",
    "http",
    "misbehave",
    "truncate",
]

__tracebackhide__ = True  # what is raised here is about what was given, and is shown where that was

_HEADER: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
MAKERS: Final = ("corrupt", "duplicate", "http", "misbehave", "truncate")
"""The functions that make faults, by name: attributes of `script`, as those of `parts` are."""

Damage = Literal["json", "utf8"]
"""What is wrong with an event: its data is no JSON any more, or there is a byte in it that is no UTF-8."""

Law = Literal[
    "emits after cancel",
    "ignores cancel",
    "two terminals",
    "no terminal",
    "duplicate sequence",
    "missing sequence",
    "reordered",
    "split utf8",
]
"""A law that a source can break; see `misbehave`."""


@dataclass(frozen=True, repr=False)
class Truncate(Fault):
    """The answer ends here, in good order, without the provider's last word."""


@dataclass(frozen=True, repr=False)
class Corrupt(Fault):
    """The next event on the wire is damaged."""

    ends: ClassVar[bool] = False
    damage: Damage = "json"


@dataclass(frozen=True, repr=False)
class Duplicate(Fault):
    """The last event on the wire comes once more."""

    ends: ClassVar[bool] = False


@dataclass(frozen=True, repr=False)
class HttpPart(Fault):
    """How the answer is sent. `body` is sent instead of what the script says."""

    ends: ClassVar[bool] = False
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    gzip: bool = False


@dataclass(frozen=True, repr=False)
class Misbehave(Fault):
    """The source breaks one law."""

    ends: ClassVar[bool] = False
    law: Law


def truncate(*, byte: int | None = None, after: int | None = None, exchange: int | None = None) -> Truncate:
    """The answer ends here, in good order, without the provider's last word, as where a proxy gives up.

    Args:
        byte: after so many bytes of the body, instead of where it stands.
        after: over a recording, how many deltas come before it.
        exchange: over a recording, the number of the exchange, from 1 on.
    """
    return Truncate(**where_of("truncate", after, exchange, byte))


def corrupt(damage: Damage = "json", *, after: int | None = None, exchange: int | None = None) -> Corrupt:
    """The next event on the wire is damaged: with "json" its data is cut in half, with "utf8" a byte of it is no UTF-8.

    Args:
        damage: what is wrong with it.
        after: over a recording, how many deltas come before it.
        exchange: over a recording, the number of the exchange, from 1 on.

    Raises:
        ScriptError: there is no such damage.
    """
    if damage not in get_args(Damage):
        msg = f"corrupt: the damage is one of {', '.join(map(repr, get_args(Damage)))}, not {damage!r}"
        raise ScriptError(msg)
    return Corrupt(damage, **where_of("corrupt", after, exchange))


def duplicate(*, after: int | None = None, exchange: int | None = None) -> Duplicate:
    """The last event on the wire comes once more, as it was, numbers and all.

    Args:
        after: over a recording, how many deltas come before it.
        exchange: over a recording, the number of the exchange, from 1 on.
    """
    return Duplicate(**where_of("duplicate", after, exchange))


def http(
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | str | None = None,
    gzip: bool = False,
) -> HttpPart:
    """How the answer is sent, wherever this stands in the script. For `fake_provider` alone.

    Args:
        status: the HTTP status.
        headers: headers beside the usual, or in their place: ``{"content-type": "text/html"}``.
        body: what is sent instead of what the script says: ``b""``, or a proxy's page.
        gzip: whether the body is packed, each chunk so that it can be read as it comes.

    Raises:
        ScriptError: that is no status, or nothing that can be sent.
    """
    if not is_whole(status, 200, 599):
        msg = f"http: {status!r} is no status of an answer: that is a number from 200 to 599"
        raise ScriptError(msg)
    given = _headers({} if headers is None else headers)
    if not isinstance(body, bytes | str | None):
        msg = f"http: the body is bytes or text, not {body!r}"
        raise ScriptError(msg)
    return HttpPart(status, given, body.encode() if isinstance(body, str) else body, gzip)


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if not isinstance(headers, Mapping):
        msg = f"http: the headers are a mapping, such as {{'content-type': 'text/html'}}, not {headers!r}"
        raise ScriptError(msg)
    for each in (*headers, *headers.values()):
        if not isinstance(each, str) or not _HEADER.fullmatch(each):
            msg = f"http: {each!r} cannot stand in a header, which is text of one line, in Latin-1"
            raise ScriptError(msg)
    return tuple((name.lower(), value) for name, value in headers.items())


def misbehave(law: Law) -> Misbehave:
    """The source breaks a law, wherever this stands in the script, so that one can see what becomes of whoever listens.

    Args:
        law: which. ``"emits after cancel"``: it is told to stop, and goes on with what the script says. ``"ignores cancel"``:
            likewise, at the times that the script says. ``"two terminals"``: its last word comes twice. ``"no terminal"``: it
            ends without one. ``"duplicate sequence"``, ``"missing sequence"``: a sequence number comes twice, or never.
            ``"reordered"``: the last two deltas change places. ``"split utf8"``: characters are cut in half, where one
            piece ends and the next begins.

    Raises:
        ScriptError: there is no such law.
    """
    if law not in get_args(Law):
        msg = f"misbehave: the law is one of {', '.join(map(repr, get_args(Law)))}, not {law!r}"
        raise ScriptError(msg)
    return Misbehave(law)
