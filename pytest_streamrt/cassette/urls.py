"""URLs without what is secret in them by its place or its name, in whatever text they stand; what that was is told as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlsplit, urlunsplit

from pytest_streamrt.cassette.placeholders import IN_URL, PLACEHOLDER
from pytest_streamrt.cassette.secrets import is_secret_parameter

__all__ = ["Urls"]

_WHOLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s,<>]+")
_PAIR: Final = re.compile(r"""(?<=[?&#])([^?&#=\s"'<>]{1,64})=([^?&#\s"'<>,]+)""")
_USER: Final = re.compile(r"""(?<=://)[^/?#\s"'<>@]+(?=@)""")


class Urls:
    """Finds and takes out users, passwords, and the values of secret parameters.

    Args:
        parameters: those that are secret beside those that always are, by their names in lower case, each with its
            replacement; None removes it.
    """

    def __init__(self, parameters: Mapping[str, str | None]) -> None:
        self._parameters = parameters

    def clean(self, url: str) -> str:
        """A URL without them."""
        parts = _split(url)
        if parts is None:
            return self._clean_within(url)
        host = parts.netloc
        if "@" in host:
            host = f"{IN_URL}@{host.rpartition('@')[2]}"
        query = "&".join(self._query(parts.query)) if parts.query else ""
        fragment = _PAIR.sub(self._pair, f"#{parts.fragment}")[1:]
        return urlunsplit((parts.scheme, host, parts.path, query, fragment))

    def clean_header(self, value: str) -> str:
        """The value of a header, which may be a URL, such as where a response leads to, or have some in it."""
        return self.clean(value) if _WHOLE.fullmatch(value) else self._clean_within(value)

    def secrets_of(self, url: str) -> Iterator[tuple[str, str]]:
        """What is secret in a URL, as it may stand elsewhere, each with what it is."""
        parts = _split(url)
        if parts is None:
            yield from self.secrets_within(url)
            return
        for name, value in (*parse_qsl(parts.query), *parse_qsl(parts.fragment)):
            yield from self._secret(name, value)
        yield from _secrets_of_user(parts.netloc.rpartition("@")[0])

    def secrets_within(self, text: str) -> Iterator[tuple[str, str]]:
        """Likewise, of all URLs in a text."""
        if "=" in text:
            for match in _PAIR.finditer(text):
                yield from self._secret(unquote(match[1]), unquote_plus(match[2]))
        if "@" in text:
            for match in _USER.finditer(text):
                yield from _secrets_of_user(match[0])

    def _clean_within(self, text: str) -> str:
        if "=" in text:
            text = _PAIR.sub(self._pair, text)
        return _USER.sub(IN_URL, text) if "@" in text else text

    def _is_secret(self, name: str) -> bool:
        return name.lower() in self._parameters or is_secret_parameter(name)

    def _secret(self, name: str, value: str) -> Iterator[tuple[str, str]]:
        if self._is_secret(name):
            yield value, f"the value of the query parameter {name}"

    def _query(self, query: str) -> Iterator[str]:
        for pair in query.split("&"):
            name, equals, _ = pair.partition("=")
            plain = unquote(name).lower()
            if plain in self._parameters:
                replacement = self._parameters[plain]
                if replacement is not None:
                    yield f"{name}={IN_URL if replacement == PLACEHOLDER else replacement}"
            elif equals and is_secret_parameter(plain):
                yield f"{name}={IN_URL}"
            else:
                yield pair

    def _pair(self, match: re.Match[str]) -> str:
        name = unquote(match[1])
        if not self._is_secret(name):
            return match[0]
        replacement = self._parameters.get(name.lower())
        return f"{match[1]}={IN_URL if replacement in (None, PLACEHOLDER) else replacement}"


def _secrets_of_user(user: str) -> Iterator[tuple[str, str]]:
    for each in user.partition(":")[::2]:
        yield unquote(each), "the user or the password of the URL"


def _split(url: str) -> SplitResult | None:
    """A URL in its parts, or None for one that is none, as a server's header may be."""
    try:
        return urlsplit(url)
    except ValueError:
        return None
