"""Secrets in files that exist: where they are, line by line, and the files without them. What counts as one, `redact` says.

A cassette is looked at as it would be recorded: bodies unpacked, and across the cuts of chunks and deltas. Of a file that was
cleaned, every line in which nothing was found is as it was, byte for byte; cuts and times stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_streamrt.cassette.finding import Hit
from pytest_streamrt.cassette.format import chunk_line, end_line, request_line, response_line
from pytest_streamrt.cassette.interaction import Interaction
from pytest_streamrt.cassette.loading import load_cassette
from pytest_streamrt.cassette.placeholders import PLACEHOLDER
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.cassette.secrets import is_secret_header
from pytest_streamrt.cassette.spans import Span
from pytest_streamrt.cassette.transcripts import lanes_of
from pytest_streamrt.cassette.unpack import encodings_of, unpack
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.wording import counted

__all__ = ["PERSONAL", "Cleaned", "Leak", "is_cassette", "lint"]

PERSONAL: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}+@(?!(?:[\w-]+\.)*(?:example|test|invalid|localhost)\b|example\.)"
    r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
)
"""An e-mail address of somebody; those of domains that stand for none (RFC 2606) are nobody's."""

_SHOWN: Final = 4  # characters of a secret that tell which one it is
_SHORT: Final = 12  # of a shorter one, none are shown


@dataclass(frozen=True)
class Leak:
    """A secret in a file.

    Attributes:
        line: the number of its line, from 1 on; of several, the first.
        where: the place in the exchange, or in the file.
        what: what it is.
        shown: what may be shown of it.
    """

    line: int
    where: str
    what: str
    shown: str


@dataclass(frozen=True)
class Cleaned:
    """A file that was looked through.

    Attributes:
        leaks: what was found, in order of lines.
        data: the file without it.
    """

    leaks: list[Leak]
    data: bytes


def is_cassette(data: bytes) -> bool:
    """Whether a file says of itself that it is a cassette."""
    return b'"cassette": "pytest-streamrt"' in data[:200]


def lint(path: Path, redactor: Redactor) -> Cleaned:
    """Look for secrets in a file: a cassette, or any text.

    Raises:
        CassetteError: it is a damaged cassette, or one whose bodies nobody here can unpack; or no text.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if is_cassette(data):
        return _cassette(data, load_cassette(path), redactor)
    if b"\0" in data or data.startswith(b"\x1f\x8b"):
        raise CassetteError(
            f"{path} is no text in UTF-8, so nobody can look for secrets in it. If it is packed, unpack it first"
        )
    return _text(data.decode("utf-8", "surrogateescape"), redactor)


def _text(text: str, redactor: Redactor) -> Cleaned:
    hits = _hits(text, redactor, lambda text: _hits_in_lanes(text, redactor), redactor.search.hits_at_ellipses)
    leaks = [_leak(text.count("\n", 0, spans[0][0]) + 1, "the text", text, spans, what) for spans, what in hits]
    data = text.encode("utf-8", "surrogateescape")
    if leaks:
        uncut = redactor.filled(data, lambda text: _hits_in_lanes(text, redactor))
        data = redactor.text(uncut.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return Cleaned(sorted(leaks, key=_line), data)


def _hits_in_lanes(text: str, redactor: Redactor) -> list[Hit]:
    """What the deltas of a transcript add up to, where more than one of them is part of it."""
    return [
        (parts, what)
        for lane in lanes_of(text)
        for spans, what in redactor.search.hits(lane.text)
        if len(parts := [part for span in spans for part in lane.where(*span)]) > 1
    ]


def _cassette(data: bytes, interactions: Sequence[Interaction], redactor: Redactor) -> Cleaned:
    lines = data.split(b"\n")
    places = _places(lines)
    for each in interactions:
        redactor.learn(each.headers, each.url, each.body)
        redactor.learn(each.response_headers)
    leaks: list[Leak] = []
    for each in interactions:
        clean = redactor.interaction(each)
        changed = _changed(each, clean)
        found = list(_found(each, clean, places, redactor))
        if changed and not found:  # whatever it is, it is taken out, so it is said
            found = [Leak(places[each.id, changed[0][0], 0], f"{each.method} {clean.url}", "a secret", "…")]
        leaks += found
        for kind, number, written in changed:
            place = places[each.id, kind, number] - 1
            lines[place] = written.removesuffix(b"\n") + (b"\r" if lines[place].endswith(b"\r") else b"")
    return Cleaned(sorted(leaks, key=_line), b"\n".join(lines))


_Place = tuple[int, str, int]  # an exchange's id, a kind of line, and which of that kind


def _places(lines: Sequence[bytes]) -> dict[_Place, int]:
    """The number of the line of each thing in a cassette that can be read."""
    places: dict[_Place, int] = {}
    chunks: dict[int, int] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        fields = json.loads(line)
        id = fields["id"]
        kind = next((each for each in ("request", "response", "end") if each in fields), "chunk")
        which = 0
        if kind == "chunk":
            which = chunks[id] = chunks.get(id, -1) + 1
        places[id, kind, which] = number
    return places


def _changed(old: Interaction, new: Interaction) -> list[tuple[str, int, bytes]]:
    """The lines of a cassette that are not the same: their kind, which of that kind, and what is to stand there."""
    changed: list[tuple[str, int, bytes]] = []
    if (old.url, old.headers, old.body) != (new.url, new.headers, new.body):
        changed.append(("request", 0, request_line(new)))
    if old.response_headers != new.response_headers:
        changed.append(("response", 0, response_line(new)))
    pairs = zip(old.chunks, new.chunks, strict=True)
    changed += [
        ("chunk", n, chunk_line(new, after.at, after.data))
        for n, (before, after) in enumerate(pairs)
        if before.data != after.data
    ]
    if old.error != new.error:
        changed.append(("end", 0, end_line(new)))
    return changed


def _found(old: Interaction, clean: Interaction, places: dict[_Place, int], redactor: Redactor) -> Iterator[Leak]:
    """What is found in one exchange, place by place."""
    name = f"{clean.method} {clean.url}"
    request, response = places[old.id, "request", 0], places.get((old.id, "response", 0), 0)
    if old.url != clean.url:
        hits = _hits(old.url, redactor)
        yield from (_leak(request, f"the URL of {name}", old.url, *hit) for hit in hits)
        if not hits:
            yield Leak(request, f"the URL of {name}", "a secret by its name", "…")
    for line, headers, whose in ((request, old.headers, "request"), (response, old.response_headers, "response")):
        yield from _in_headers(line, headers, f"the {whose} {name}", redactor)
    if old.body != clean.body:
        text = _plain(old.body, old.headers)
        yield from _in_text(request, f"the body of the request {name}", text, redactor)
    yield from _in_chunks(old, clean, places, f"the response to {name}", redactor)
    if old.error is not None and old.error != clean.error:
        yield from _in_text(places[old.id, "end", 0], f"the error of {name}", old.error[1], redactor)


def _in_headers(line: int, headers: Iterable[tuple[str, str]], whose: str, redactor: Redactor) -> Iterator[Leak]:
    for name, value in headers:
        (after,) = redactor.headers([(name, value)]) or ((name, ""),)
        if after[1] == value:
            continue
        where = f"the header {name} of {whose}"
        hits = [] if is_secret_header(name) else _hits(value, redactor)
        yield from (_leak(line, where, value, *hit) for hit in hits)
        if not hits:
            yield _leak(line, where, value, [(0, len(value))], "the value of a secret header")


def _in_text(line: int, where: str, text: str, redactor: Redactor) -> Iterator[Leak]:
    hits = _hits(text, redactor)
    yield from (_leak(line, where, text, *hit) for hit in hits)
    if not hits:
        yield Leak(line, where, "a secret by its place", "…")


def _in_chunks(
    old: Interaction, clean: Interaction, places: dict[_Place, int], where: str, redactor: Redactor
) -> Iterator[Leak]:
    touched = [
        n for n, (before, after) in enumerate(zip(old.chunks, clean.chunks, strict=True)) if before.data != after.data
    ]
    if not touched:
        return
    pieces = unpack([chunk.data for chunk in old.chunks], encodings_of(old.response_headers)) or []
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    ends = []
    size = 0
    for piece in pieces:
        size += len(piece)
        ends.append(size)
    hits = _hits(text, redactor, redactor.search.hits_in_deltas)
    for spans, what in hits:
        start = len(text[: spans[0][0]].encode("utf-8", "surrogateescape"))
        chunk = next(n for n, end in enumerate(ends) if end > start)
        yield _leak(places[old.id, "chunk", chunk], where, text, spans, what)
    if not hits:
        yield Leak(places[old.id, "chunk", touched[0]], where, "a secret by its place", "…")


def _hits(text: str, redactor: Redactor, *more: Callable[[str], list[Hit]]) -> list[Hit]:
    """What is found in a text, in order; of what overlaps, the longest alone."""
    found = [hit for search in (redactor.search.hits, *more) for hit in search(text)]
    found.sort(key=lambda hit: -sum(end - start for start, end in hit[0]))
    kept: list[Hit] = []
    for spans, what in found:
        if not any(start < e and s < end for start, end in spans for others, _ in kept for s, e in others):
            kept.append((spans, what))
    return sorted(kept, key=lambda hit: hit[0][0])


def _leak(line: int, where: str, text: str, spans: Sequence[Span], what: str) -> Leak:
    value = "".join(text[start:end] for start, end in spans)
    if repr(PERSONAL.pattern) in what:
        what = "an e-mail address"
    return Leak(line, where, what, _masked(value))


def _masked(value: str) -> str:
    """Enough to know it by, and not enough to use it."""
    if value == PLACEHOLDER or len(value) < _SHORT:
        return "…"
    return f"{value[:_SHOWN]}… ({counted(len(value), 'character')})"


def _plain(body: bytes, headers: Sequence[tuple[str, str]]) -> str:
    encoding = encodings_of(headers)
    pieces = unpack([body], encoding) if encoding else [body]
    return b"".join(pieces or []).decode("utf-8", "surrogateescape")


def _line(leak: Leak) -> int:
    return leak.line
