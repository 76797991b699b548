"""Takes secrets out: of headers, URLs, bodies, streams and any text. What counts as one is in `secrets`; `finding` finds them.

A secret in a body is looked for as it stands, under the escapes of JSON and URLs, and in the texts that the deltas of a
stream add up to, all of it after a content encoding was undone. In a stream, a placeholder of the same length takes its
place, so that the cuts, the times and the lengths stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from pytest_streamrt.cassette.finding import Hit, Search
from pytest_streamrt.cassette.interaction import Chunks, Headers, Interaction
from pytest_streamrt.cassette.json_paths import JsonPath, replace_at, spans_at
from pytest_streamrt.cassette.placeholders import (
    PLACEHOLDER,
    cut,
    fill,
    is_number,
    json_mark,
    mark,
)
from pytest_streamrt.cassette.secrets import (
    is_secret_field,
    is_secret_header,
    parts_of_header,
    secrets_of_environment,
)
from pytest_streamrt.cassette.spans import in_bytes, merged
from pytest_streamrt.cassette.unpack import PACKED, encodings_of, pack, unpack
from pytest_streamrt.cassette.urls import Urls
from pytest_streamrt.errors import CassetteError

__all__ = ["Finding", "Redactor"]

_ROUNDS: Final = 3  # what is left may, with what stands beside it, look like a secret again
_FORM: Final = "application/x-www-form-urlencoded"
# A long stream is looked at a part at a time, in bytes and lines; what ends a part is looked at again with what follows. A secret may
# be cut into a letter for each event, and an event is two lines, mostly: the longer these are, the longer both have to be.
_WINDOW: Final = 1 << 20
_WINDOW_LINES: Final = 4_000
_LONGEST_WINDOW: Final = 1 << 21
_OVERLAP: Final = 1 << 17
_OVERLAP_LINES: Final = 1_000
_LONGEST_OVERLAP: Final = 1 << 19


@dataclass(frozen=True)
class Finding:
    """A secret that was taken out of where none should be: what it is, never its value, and where it stood."""

    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.what} in {self.where}"


class Redactor:
    """Takes out secrets that are known by their value, by their name, by their place, or by their look.

    Args:
        headers: headers to be redacted beside those that always are, by their names in lower case, each with its
            replacement; None removes it.
        parameters: query parameters, likewise.
        json_paths: places in JSON bodies whose values are taken out.
        patterns: what is taken out of any text.
        environment: variables whose values are secrets, where their names say so; by default, those of this process.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str | None] | None = None,
        parameters: Mapping[str, str | None] | None = None,
        json_paths: Sequence[JsonPath] = (),
        patterns: Sequence[re.Pattern[str]] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.findings: list[Finding] = []
        """What `interaction` has found where no secret should be."""
        self._headers = headers or {}
        self._urls = Urls(parameters or {})
        self._json_paths = json_paths
        self.search: Final = Search(patterns)
        """What finds the secrets that it knows in a text."""
        self._where: str | None = None
        self._environment = environment
        self._know_environment()

    def _know_environment(self) -> None:
        """Know the secrets of the environment as it is now: a test may set variables of its own."""
        environment = os.environ if self._environment is None else self._environment
        for value, name in secrets_of_environment(environment).items():
            self.know(value, f"the value of the environment variable {name}")

    def know(self, value: str, what: str) -> None:
        """From now on that value is a secret, wherever it stands. One of less than 12 characters is too common to be."""
        self.search.know(value, what)

    def learn(self, headers: Iterable[tuple[str, str]], url: str = "", body: bytes = b"") -> None:
        """Know what is secret in these headers, this URL, and this body, wherever else it may stand."""
        is_form = False
        for name, value in headers:
            if self._is_secret_header(name):
                for part in parts_of_header(name, value):
                    self.know(part, f"the value of the header {name}")
            else:  # it may be a URL, such as where a response leads to, or have one in it
                self._know_all_of(self._urls.secrets_within(value))
            is_form |= name.lower() == "content-type" and value.lower().startswith(_FORM)
        self._know_all_of(self._urls.secrets_of(url))
        if is_form:
            for name, value in parse_qsl(_text(body)):
                if is_secret_field(name):
                    self.know(value, f"the value of the field {name} of a form")
        if self._json_paths:
            with contextlib.suppress(RecursionError):
                replace_at(_json(body), self._json_paths, self._know_all)

    def _know_all_of(self, secrets: Iterable[tuple[str, str]]) -> None:
        for value, what in secrets:
            self.know(value, what)

    def text(self, text: str) -> str:
        """Any text, such as an error's or a report's, with a placeholder for every secret in it."""
        for _ in range(_ROUNDS):
            hits = [*self.search.hits(text), *self.search.hits_at_ellipses(text)]
            if not hits:
                break
            self._note(hits)
            # What lies within another goes with it.
            spans = merged([span for spans, _ in hits for span in spans])
            for start, end in reversed(spans):
                text = text[:start] + PLACEHOLDER + text[end:]
        return text

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """The deltas of a text, cut as they were, with every secret in them replaced by as many characters."""
        whole = "".join(pieces)
        clean = whole
        for spans, _ in self.search.hits_to_the_end(whole):
            for start, end in spans:
                clean = clean[:start] + mark(end - start) + clean[end:]
        if clean == whole:
            return list(pieces)
        return cut(clean, [len(piece) for piece in pieces])

    def url(self, url: str) -> str:
        """A URL without user, password, and secret query parameters, and without secrets elsewhere in it."""
        return self.text(self._urls.clean(url))

    def headers(self, headers: Iterable[tuple[str, str]]) -> Headers:
        """Headers with the values of secret ones replaced, and secrets in the values of others."""
        result = []
        whose = self._where
        for name, value in headers:
            if name.lower() in self._headers:
                replacement = self._headers[name.lower()]
                if replacement is not None:
                    result.append((name, replacement))
            elif is_secret_header(name):
                result.append((name, PLACEHOLDER))
            else:
                self._where = whose and f"the header {name} of {whose}"
                result.append((name, self.text(self._urls.clean_header(value))))
        self._where = whose
        return tuple(result)

    def body(self, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """A request's body, with placeholders; values at JSON paths, whatever they are, become one.

        Raises:
            CassetteError: it is packed so that nobody can look for secrets in it.
        """
        encoding = encodings_of(tuple(headers))
        plain = body
        if encoding and body:
            (plain,) = self._unpack([body], encoding, "a request's body")
        clean = self._clean_request(plain)
        if clean == plain:
            return body
        return pack([clean])[0] if encoding else clean

    def chunks(
        self, chunks: Sequence[bytes], headers: Headers = (), *, whole: bool = True
    ) -> tuple[Sequence[bytes], Headers]:
        """A response's body with placeholders, cut as it was, and the headers that then belong to it.

        Args:
            chunks: the body, as it came.
            headers: the response's headers. Where secrets were found in a packed body, its encoding is gzip from then on.
            whole: whether the body came to its end.

        Raises:
            CassetteError: it is packed so that nobody can look for secrets in it.
        """
        encoding = encodings_of(headers)
        if not encoding:
            return self._clean_stream(chunks), headers
        plain = self._unpack(chunks, encoding, "a response")
        clean = self._clean_stream(plain)
        if clean is plain:
            return self._clean_stream(chunks), headers  # also where the header says it is packed and it is not
        packed = pack(clean, whole=whole)
        changed = {"content-encoding": PACKED, "content-length": str(sum(map(len, packed)))}
        return packed, tuple((name, changed.get(name.lower(), value)) for name, value in headers)

    def interaction(self, recorded: Interaction) -> Interaction:
        """A recorded exchange without its secrets, each at the place where it was; `findings` says what was found."""
        self._know_environment()
        self.learn(recorded.headers, recorded.url, recorded.body)
        self.learn(recorded.response_headers)
        name = f"{recorded.method} {self.url(recorded.url)}"
        self._where = f"the request {name}"
        url, headers = self.url(recorded.url), self.headers(recorded.headers)
        body = self.body(recorded.body, recorded.headers)
        self._where = f"the response to {name}"
        chunks = Chunks.of(recorded.chunks)
        clean, response_headers = self.chunks(chunks.data, recorded.response_headers, whole=recorded.how == "complete")
        response_headers = self.headers(response_headers)
        self._where = f"the error of {name}"
        error = (recorded.error[0], self.text(recorded.error[1])) if recorded.error else None
        self._where = None
        if clean is not chunks.data:
            chunks = Chunks(chunks.times, clean)
        return replace(
            recorded,
            url=url,
            headers=headers,
            body=body,
            response_headers=response_headers,
            chunks=chunks,
            error=error,
        )

    # What is secret by its name.

    def _is_secret_header(self, name: str) -> bool:
        return name.lower() in self._headers or is_secret_header(name)

    def _know_all(self, value: Any) -> Any:
        if isinstance(value, str):
            self.know(value, "a value that filter_json_paths names")
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._know_all(each)
        return value

    # Bodies.

    def _unpack(self, chunks: Sequence[bytes], encoding: str, what: str) -> list[bytes]:
        plain = unpack(chunks, encoding)
        if plain is None:
            msg = (
                f"{what} is packed as {encoding!r}, so nobody can look for secrets in it, and it is not written. Install what "
                "unpacks it (brotli, zstandard), or have the client send: accept-encoding: gzip"
            )
            raise CassetteError(msg)
        return plain

    def _clean_request(self, body: bytes) -> bytes:
        if self._json_paths:
            body = self._clean_places_of_request(body)
        for _ in range(_ROUNDS):
            text = _text(body)
            hits = self.search.hits(text)
            if not hits:
                break
            self._note(hits)
            for start, end in reversed(merged([span for spans, _ in hits for span in spans])):
                quote = '"' if is_number(text, start, end) else ""
                text = f"{text[:start]}{quote}{mark(max(end - start, len(PLACEHOLDER)))}{quote}{text[end:]}"
            body = text.encode("utf-8", "surrogateescape")
        return body

    def _clean_places_of_request(self, body: bytes) -> bytes:
        try:
            parsed = json.loads(body)
            clean = replace_at(parsed, self._json_paths, lambda _: PLACEHOLDER)
            if clean == parsed:
                return body
            return json.dumps(clean, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):  # it may be JSON in part: a line each, or a file in a form
            return self._clean_places([body])[0]

    def _clean_stream(self, chunks: Sequence[bytes]) -> Sequence[bytes]:
        """A body with placeholders, or the very same chunks where there is nothing to be replaced."""
        whole = self._clean_places(chunks) if self._json_paths else chunks
        clean = whole
        for first, last in _windows(chunks):
            # As it was before any other was looked at: of a key that the end of one has cut, nobody would know the rest.
            before = whole[first:last]
            after = self._clean_window(before, is_first=not first)
            if after is not before:
                both = map(_overlaid, before, clean[first:last], after)
                clean = [*clean[:first], *both, *clean[last:]]
        return clean

    def _clean_places(self, chunks: Sequence[bytes]) -> Sequence[bytes]:
        whole = b"".join(chunks)
        text = _text(whole)
        clean = bytearray(whole)
        for start, end in in_bytes(text, spans_at(text, self._json_paths)):
            clean[start:end] = json_mark(whole[start:end])
        return chunks if clean == whole else cut(bytes(clean), [len(chunk) for chunk in chunks])

    def _clean_window(self, chunks: Sequence[bytes], *, is_first: bool) -> Sequence[bytes]:
        lines = b"".join(chunks)
        # Of a line whose beginning is in the window before, all is: from its middle on, nobody could tell what in it is a string.
        start = 0 if is_first else lines.find(b"\n", 0, _OVERLAP // 2) + 1
        line, lines = lines[:start], lines[start:]
        clean = self.filled(
            lines, lambda text: [*self.search.hits(text, look=False), *self.search.hits_in_deltas(text)]
        )
        return chunks if clean is lines else cut(line + clean, [len(chunk) for chunk in chunks])

    def filled(self, data: bytes, search: Callable[[str], list[Hit]]) -> bytes:
        """The data with as many bytes in the place of each secret that the search finds; the very same where it finds none."""
        clean = bytearray()
        filled = bytearray()
        for _ in range(_ROUNDS):
            text = _text(bytes(clean) or data)
            hits = search(text)
            if not hits:
                break
            self._note(hits)
            clean = clean or bytearray(data)
            filled = filled or bytearray(len(data))
            for spans, _ in sorted(hits, key=_size, reverse=True):
                are_numbers = is_number(text, *spans[0]) and is_number(text, *spans[-1])
                fill(clean, filled, in_bytes(text, spans), numbers=are_numbers)
        return bytes(clean) or data

    def _note(self, hits: Iterable[Hit]) -> None:
        if self._where is not None:
            for _, what in hits:
                finding = Finding(what, self._where)
                if finding not in self.findings:
                    self.findings.append(finding)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _size(hit: Hit) -> int:
    return sum(end - start for start, end in hit[0])


def _overlaid(chunk: bytes, once: bytes, again: bytes) -> bytes:
    """A chunk with what was replaced in it in one window and in another."""
    if chunk in (once, again):
        return again if once == chunk else once
    return bytes(new if new != old else other for old, other, new in zip(chunk, once, again, strict=True))


def _windows(chunks: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Runs of chunks, from the first to before the second, that overlap: a long body is looked at a part at a time."""
    first = size = lines = 0
    for number, chunk in enumerate(chunks, start=1):
        size += len(chunk)
        lines += chunk.count(b"\n")
        if size < _WINDOW + _OVERLAP or (lines < _WINDOW_LINES and size < _LONGEST_WINDOW) or number == len(chunks):
            continue
        yield first, number
        first, size, lines = number, 0, 0
        while first and (size < _OVERLAP or (lines < _OVERLAP_LINES and size < _LONGEST_OVERLAP)):
            first -= 1
            size += len(chunks[first])
            lines += chunks[first].count(b"\n")
    yield first, len(chunks)
