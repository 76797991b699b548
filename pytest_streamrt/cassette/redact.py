"""What must never reach a cassette: which headers, which parts of a URL, which values, and how they are taken out.

A secret inside a body is replaced by a placeholder of the same length, so that a stream keeps its cuts, its times and
its lengths.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

__all__ = ["PLACEHOLDER", "Redaction"]

PLACEHOLDER: Final = "[redacted]"
_IN_URL: Final = "redacted"  # brackets have a meaning there

_SECRET_HEADERS: Final = frozenset(
    {
        "anthropic-organization-id",
        "api-key",
        "authorization",
        "cookie",
        "openai-organization",
        "openai-project",
        "proxy-authorization",
        "set-cookie",
        "x-amz-security-token",
        "x-api-key",
        "x-goog-api-key",
    }
)

_SECRET_PARAMETERS: Final = frozenset(
    {"access_token", "api-key", "api_key", "apikey", "code", "key", "sig", "signature", "token", "x-amz-signature"}
)

_SECRET_VARIABLE: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_SHORTEST: Final = 12  # characters from which on a value of the environment counts as a secret
_WORD: Final = r"(?:[a-z]{1,20}|[A-Z]{1,20}|[A-Z][a-z]{1,19})"
_ORDINARY: Final = re.compile(rf"{_WORD}(?:[ _/.-]{_WORD})*")  # words, paths and names: no key looks like that
_KEY_PREFIX: Final = re.compile(r"(?:sk|pk|rk|gsk|ghp|gho|hf|key|xox[a-z])[-_]")  # but for what calls itself one


@dataclass(frozen=True)
class Redaction:
    """What to take out.

    Args:
        headers: names of headers to be redacted, beside those that always are.
        parameters: names of query parameters to be redacted, beside those that always are.
    """

    headers: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()

    def header_values(self, headers: Sequence[tuple[str, str]], secrets: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Headers with the values of secret ones replaced, and secrets in the values of others."""
        return tuple(
            (name, PLACEHOLDER if self._is_secret(name) else self.text(value, secrets)) for name, value in headers
        )

    def url(self, url: str) -> str:
        """A URL without user, password, and secret query parameters."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if "@" in parts.netloc:
            host = f"{_IN_URL}@{host}"
        query = parts.query
        if query:
            pairs = parse_qsl(query, keep_blank_values=True)
            secret = _SECRET_PARAMETERS | self.parameters
            if any(name.lower() in secret for name, _ in pairs):
                query = urlencode([(n, _IN_URL if n.lower() in secret else v) for n, v in pairs])
        return urlunsplit((parts.scheme, host, parts.path, query, parts.fragment))

    def secrets(self, headers: Iterable[tuple[str, str]], url: str) -> set[str]:
        """The values that were taken out of these headers and this URL, and those of the environment."""
        found = {part for name, value in headers if self._is_secret(name) for part in _parts(name.lower(), value)}
        secret = _SECRET_PARAMETERS | self.parameters
        parts = urlsplit(url)
        found |= {value for name, value in parse_qsl(parts.query) if name.lower() in secret}
        found |= {unquote(value) for value in (parts.username, parts.password) if value}
        return {value for value in found if len(value) >= _SHORTEST} | secrets_of_environment(os.environ)

    def text(self, text: str, secrets: Iterable[str]) -> str:
        """A text with every secret in it replaced."""
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, PLACEHOLDER)
        return text

    def chunks(self, chunks: Sequence[bytes], secrets: Iterable[str]) -> list[bytes]:
        """Chunks with every secret in them replaced, also where it is cut by their boundaries; cut as they were."""
        whole = b"".join(chunks)
        clean = whole
        for secret in sorted(secrets, key=len, reverse=True):
            value = secret.encode("utf-8", "surrogateescape")
            if value in clean:
                clean = clean.replace(value, _same_length(value))
        if clean == whole:
            return list(chunks)
        cuts, at = [], 0
        for chunk in chunks:
            cuts.append(clean[at : at + len(chunk)])
            at += len(chunk)
        return cuts

    def _is_secret(self, header: str) -> bool:
        return header.lower() in _SECRET_HEADERS or header.lower() in self.headers


def secrets_of_environment(environment: Mapping[str, str]) -> set[str]:
    """Values of variables whose name says that they are secret, from 12 characters on, unless they are mere words."""
    return {
        value
        for name, value in environment.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST and not _is_ordinary(value)
    }


def _is_ordinary(value: str) -> bool:
    return _ORDINARY.fullmatch(value) is not None and _KEY_PREFIX.match(value) is None


def _parts(header: str, value: str) -> Iterator[str]:
    """What is secret in the value of a secret header, as it may occur elsewhere."""
    if header in ("cookie", "set-cookie"):
        pairs = value.split(";")
        for pair in pairs[:1] if header == "set-cookie" else pairs:  # the others are its path, its domain and so on
            yield pair.partition("=")[2].strip().strip('"')
        return
    yield from value.split()
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            yield base64.b64decode(credentials, validate=True).decode(errors="replace").partition(":")[2]


def _same_length(value: bytes) -> bytes:
    mark = PLACEHOLDER.encode()
    return mark + b"*" * (len(value) - len(mark))
