"""What counts as a secret: by the name of its header, parameter or variable, or by what keys of known makers look like.

Nothing is taken out here; `redact` does that. Prefixes of keys are from their makers' own documentation.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

__all__ = [
    "KEY_PATTERNS",
    "NAMES_IN_URLS",
    "SHORTEST",
    "KeyPattern",
    "in_base64",
    "is_secret_field",
    "is_secret_header",
    "is_secret_parameter",
    "lines_of_secret",
    "parts_of_header",
    "secrets_of_environment",
]

SHORTEST: Final = 12
"""Characters from which on a value counts as a secret by where it was found."""

_TELLING: Final = 20  # characters from which on the beginning of a key is told from words

_SECRET_HEADERS: Final = frozenset(
    {
        "anthropic-organization-id",
        "api-key",
        "authorization",
        "cookie",
        "ocp-apim-subscription-key",
        "openai-organization",
        "openai-project",
        "proxy-authorization",
        "set-cookie",
        "x-amz-security-token",
        "x-api-key",
        "x-goog-api-key",
    }
)
# Other makers have others; what they say of tokens is mostly how many there were.
_SECRET_HEADER: Final = re.compile(
    r"(?:api|access|account|secret|private|subscription|master|virtual)[-_]?key(?:$|[-_]id$)|authori[sz]ation|cookie"
    r"|organi[sz]ation|(?:^|[-_])project(?:[-_]id)?$|secret|passw|credential"
    r"|(?:^|[-_])(?:access|api|auth|bearer|csrf|id|refresh|security|session|xsrf)[-_]?token$"
)

_SECRET_PARAMETERS: Final = frozenset(
    {
        "access-token",
        "access_token",
        "api-key",
        "api-token",
        "api_key",
        "api_token",
        "apikey",
        "auth",
        "auth_token",
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "id_token",
        "jwt",
        "key",
        "passwd",
        "password",
        "private_token",
        "refresh_token",
        "secret",
        "sig",
        "signature",
        "subscription-key",
        "token",
        "x-api-key",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
        "x-goog-signature",
    }
)

NAMES_IN_URLS: Final = "|".join(sorted(map(re.escape, _SECRET_PARAMETERS)))
"""A pattern of the names of secret parameters."""

# Of a form, only what can be nothing else: what is called a key or a code in one may well be a text.
_SECRET_FIELD: Final = re.compile(r"secret|passw|_token$|assertion|api[-_]?key|code_verifier", re.IGNORECASE)
# As `Digest` (RFC 7616), `Token` and AWS's signature have it, among what is none: user names, paths, names of headers.
_CREDENTIAL: Final = re.compile(
    r"(?:response|token|signature|credential|secret|key|sid)=\"?([^\s\",;/]+)", re.IGNORECASE
)
_SECRET_VARIABLE: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_IN_URLS: Final = str.maketrans("+/", "-_")  # base64's other alphabet
_WORD: Final = r"(?:[a-z]{1,20}|[A-Z]{1,20}|[A-Z][a-z]{1,19})"
_ORDINARY: Final = re.compile(rf"{_WORD}(?:[ _/.-]{_WORD})*")  # words, paths and names: no key looks like that
_KEY_PREFIX: Final = re.compile(r"(?:sk|pk|rk|gsk|ghp|gho|hf|key|xox[a-z])[-_]")  # but for what calls itself one


class KeyPattern(NamedTuple):
    """What the keys of one maker look like.

    Attributes:
        maker: whose keys these are, or what kind of secret.
        hint: what is in every one of them: where a text lacks it, there is no need to look closer.
        pattern: the whole key.
        begun: the beginning of one at the end of a text; None where `pattern` finds that as well, or nobody can use it.
    """

    maker: str
    hint: str
    pattern: re.Pattern[str]
    begun: re.Pattern[str] | None = None


def _key(
    maker: str, prefix: str, letter: str, least: int, most: int | str = "", *, of_words: bool = False
) -> KeyPattern:
    """A key that goes on with so many letters of a kind. `of_words`: unless there is a digit, these may be words with hyphens."""
    # The prefix stands first, so that `re` can jump to it; what stands before it is looked at from behind.
    # That may be an escape: the n of a line's end is no letter of a word. Nor is a letter beyond ASCII, as no key has one.
    found = re.escape(prefix)
    escape = rf"(?<=\\[bfnrt]{found})|(?<=\\u[\da-fA-F]{{4}}{found})|(?<=%[\da-fA-F]{{2}}{found})"
    start = rf"{found}(?:(?<![\w-]{found})|{escape})"
    digit = rf"(?={letter}*\d)"
    whole = rf"{start}{digit if of_words else ''}{letter}{{{least},{most}}}"
    begun = rf"{start}{digit}{letter}{{{_TELLING - len(prefix)},{most}}}\Z"
    return KeyPattern(maker, prefix, re.compile(whole, re.ASCII), re.compile(begun, re.ASCII))


def _private_key() -> re.Pattern[str]:
    """A private key as PEM (RFC 7468; with headers, RFC 1421), OpenSSH and OpenPGP (RFC 9580, 6.2) write it; of one cut off, what is there."""
    name = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    up_to_its_end = rf'(?:[^-"]++|-(?!----))++-----END {name}'
    end_of_line = r"(?:\s|\\+(?:[nrt]|u000[aAdD]))"
    header = r'[A-Z][A-Za-z-]{2,20}: [^\n\r"\\]*+'
    lines = rf"(?:{end_of_line}++{header})*+(?:{end_of_line}++[A-Za-z0-9+/=]{{16,}}+)+"
    last_line = rf'(?:{end_of_line}++[A-Za-z0-9+/=]*+(?=\s*\Z|"))?'
    return re.compile(rf"-----BEGIN {name}(?:{up_to_its_end}|{lines}{last_line})")


KEY_PATTERNS: Final[tuple[KeyPattern, ...]] = (
    # OpenAI, Anthropic, OpenRouter, DeepSeek, LiteLLM, Langfuse and many more.
    _key("an API key (sk-…)", "sk-", r"[\w-]", 20, of_words=True),
    _key("a Google API key", "AIza", r"[\w-]", 35, 35),
    _key("a Google OAuth token", "ya29.", r"[\w-]", 20),
    _key("an AWS access key", "AKIA", r"[0-9A-Z]", 16, 16),
    _key("an AWS session key", "ASIA", r"[0-9A-Z]", 16, 16),
    _key("a GitHub token", "ghp_", r"[0-9A-Za-z]", 36),
    _key("a GitHub token", "gho_", r"[0-9A-Za-z]", 36),
    _key("a GitHub token", "ghs_", r"[0-9A-Za-z]", 36),
    _key("a GitHub token", "ghu_", r"[0-9A-Za-z]", 36),
    _key("a GitHub token", "github_pat_", r"\w", 22),
    _key("a GitLab token", "glpat-", r"[\w-]", 20),
    _key("a Hugging Face token", "hf_", r"[0-9A-Za-z]", 30),
    _key("a Groq key", "gsk_", r"[0-9A-Za-z]", 40),
    _key("an xAI key", "xai-", r"[0-9A-Za-z]", 40),
    _key("a Perplexity key", "pplx-", r"[0-9A-Za-z]", 40),
    _key("a Replicate token", "r8_", r"[0-9A-Za-z]", 37),
    _key("a LangSmith key", "lsv2_", "[0-9A-Za-z_]", 46, 46),
    _key("a Stripe key", "sk_live_", r"[0-9A-Za-z]", 16),
    _key("a Stripe key", "rk_live_", r"[0-9A-Za-z]", 16),
    KeyPattern("a Slack token", "xox", re.compile(r"xox[abeprs]-[0-9A-Za-z-]{10,}")),
    KeyPattern("a bearer token", "Bearer ", re.compile(r"Bearer (?=[^\s\"]*\d)[\w.~+/-]{20,}=*")),
    KeyPattern("a JSON web token", "eyJ", re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    KeyPattern("a private key", "PRIVATE KEY", _private_key()),
)
"""What is taken out wherever it stands, whether it is known here or not; `streamrt lint` looks for the same."""


def is_secret_header(name: str) -> bool:
    """Whether the value of a header of that name is never recorded."""
    name = name.lower()
    return name in _SECRET_HEADERS or _SECRET_HEADER.search(name) is not None


def is_secret_parameter(name: str) -> bool:
    """Whether the value of a query parameter of that name is never recorded."""
    return name.lower() in _SECRET_PARAMETERS


def is_secret_field(name: str) -> bool:
    """Whether the value of a form's field of that name is never recorded."""
    return _SECRET_FIELD.search(name) is not None


def parts_of_header(name: str, value: str) -> Iterator[str]:
    """What is secret in the value of a secret header, as it may occur elsewhere."""
    if name.lower() in ("cookie", "set-cookie"):
        pairs = value.split(";")
        for pair in pairs[:1] if name.lower() == "set-cookie" else pairs:  # the others are its path and so on
            part = pair.partition("=")[2].strip().strip('"')
            yield part
            yield unquote(part)
        return
    yield from value.split()
    for match in _CREDENTIAL.finditer(value):
        yield match[1]
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            user, _, password = base64.b64decode(credentials, validate=True).decode(errors="replace").partition(":")
            yield password
            if not _is_ordinary(user):  # some take the key for one
                yield user


def lines_of_secret(value: str) -> Iterator[str]:
    """Of a secret of several lines, such as a private key, those that are secret by themselves."""
    lines = value.replace("\\n", "\n").splitlines()  # variables have it so
    for line in map(str.strip, lines if len(lines) > 1 else ()):
        if len(line) >= SHORTEST and not (
            line.startswith("-----") or any(map(str.isspace, line)) or _is_ordinary(line)
        ):
            yield line


def in_base64(value: str) -> set[str]:
    """What is in a text wherever that value is in it in base64, in either alphabet: alone or within something longer.

    It begins at the first, second or third of three bytes. What it shares a character with is left out.
    """
    data = value.encode("utf-8", "surrogateescape")
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        alone = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found |= {alone, alone.translate(_IN_URLS)}
    return found


def secrets_of_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Values of variables whose name says that they are secret, each with that name.

    They count from 12 characters on, unless they are mere words.
    """
    return {
        value: name
        for name, value in environment.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= SHORTEST and not _is_ordinary(value)
    }


def _is_ordinary(value: str) -> bool:
    return _ORDINARY.fullmatch(value) is not None and _KEY_PREFIX.match(value) is None
