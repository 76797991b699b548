"""Cassettes of vcrpy and pytest-recording, read: every layout they have had, and betamax's. Nothing is written here.

Read safely: plain data and nothing else. Where a layout of old has YAML objects in it, the data in them is taken and no
object is made; any other is refused.

Layouts, from vcrpy's own sources (`vcr/serialize.py`, `vcr/migration.py`, `vcr/stubs/httpx_stubs.py`) and betamax's
(`betamax/cassette/interaction.py`):

- vcrpy since 1.0: ``interactions``, each with ``request`` (``method``, ``uri``, ``headers``, ``body``) and ``response``
  (``status: {code, message}``, ``headers``, ``body: {string}``); as YAML or JSON.
- its httpx stub, until version 5: ``status_code`` and ``content``.
- before 1.0: a list, with the URL in ``protocol``, ``host``, ``port`` and ``path``, and headers as lines.
- betamax: ``http_interactions``, bodies of ``{encoding, string}`` or ``{encoding, base64_string}``.
- LangChain's: under gzip, with ``requests`` and ``responses`` apart.
- serializers that write JSON bodies as YAML: ``parsed_body``, or ``body: {type: json, content}``.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from pytest_streamrt.cassette.format import Headers, Interaction, RecordedChunk
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.numbers import is_whole

__all__ = ["NotVcr", "read_vcr"]

_PORTS: Final = {"http": 80, "https": 443}
_MOST: Final = 2_000_000  # values in a body written as YAML: an alias may stand for itself over and over
_DEEPEST: Final = 200
_LARGEST: Final = 256 << 20  # bytes of a packed cassette, unpacked
_GZIP: Final = b"\x1f\x8b"
_TAG: Final = "tag:yaml.org,2002:python/"


class NotVcr(CassetteError):
    """What was read is no cassette of vcr: another kind of file."""


class _Odd(Exception):
    """What is wrong with an interaction, in a few words."""


def read_vcr(data: bytes, *, is_json: bool = False) -> list[Interaction]:
    """Read a cassette of vcr.

    Times and cuts are not in it: everything is at time 0, and each body is one chunk.

    Raises:
        NotVcr: it is another kind of file.
        CassetteError: it is damaged, or has YAML objects in it.
        ModuleNotFoundError: PyYAML is not installed.
    """
    data = _unpacked(data)
    _refuse_our_own(data)
    loaded = _from_json(data) if is_json else _from_yaml(data)
    return [_interaction(number, each) for number, each in enumerate(_interactions(loaded), start=1)]


def _interactions(loaded: object) -> Sequence[object]:
    """What it holds, in any layout."""
    found = loaded
    if isinstance(loaded, Mapping):
        found = loaded.get("interactions", loaded.get("http_interactions"))
        if found is None and "interactions" in loaded:
            found = []
        if found is None and isinstance(loaded.get("requests"), list) and isinstance(loaded.get("responses"), list):
            pairs = zip(loaded["requests"], loaded["responses"], strict=False)
            found = [{"request": request, "response": response} for request, response in pairs]
    if not isinstance(found, list) or (found and not (isinstance(found[0], Mapping) and "request" in found[0])):
        raise NotVcr("this is no cassette of vcr: there are no interactions in it")
    return found


def _interaction(number: int, found: object) -> Interaction:
    try:
        request, response = _sides(found)
        status = _status(response)
        headers = _headers(response.get("headers"))
        body = _body(response)
        request_body = _body(request)
        asked = _headers(request.get("headers"))
        return Interaction(
            number,
            0,
            str(request["method"]).upper(),
            _url(request),
            asked,
            request_body,
            status,
            0,
            _fitting(headers, body),
            [RecordedChunk(0, body)] if body else [],
            "complete",
            0,
        )
    except _Odd as error:
        what = str(error)
    except KeyError as error:
        what = f"it lacks {error}"
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        what = str(error)
    raise CassetteError(f"interaction {number} is no exchange of vcr's: {what}")


def _sides(found: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if isinstance(found, Mapping):
        request, response = found["request"], found["response"]
        if isinstance(request, Mapping) and isinstance(response, Mapping):
            return request, response
    raise _Odd("it has no request and response")


def _url(request: Mapping[str, Any]) -> str:
    if "uri" in request:
        return str(request["uri"])
    scheme, port = request["protocol"], int(request["port"])
    where = "" if port == _PORTS.get(scheme) else f":{port}"
    return f"{scheme}://{request['host']}{where}{request['path']}"


def _status(response: Mapping[str, Any]) -> int:
    status = response["status_code"] if "status_code" in response else response["status"]
    if isinstance(status, Mapping):
        status = status["code"]
    if not is_whole(status, 100, 599):
        raise _Odd(f"its status is {status!r}")
    return status


def _headers(headers: object) -> Headers:
    pairs: Iterable[tuple[object, object]]
    if headers is None:
        pairs = ()
    elif isinstance(headers, Mapping):
        pairs = [(name, value) for name, values in headers.items() for value in _values(values)]
    elif isinstance(headers, list) and all(isinstance(each, str) for each in headers):
        lines = (line.partition(":") for line in headers if ":" in line)  # of before 1.0
        pairs = [(name.strip(), value.strip()) for name, _, value in lines]
    elif isinstance(headers, list) and len(headers) == 1 and isinstance(headers[0], list):
        pairs = [(name, value) for name, value in headers[0]]  # a set of pairs, as of before 1.0
    elif isinstance(headers, list):
        pairs = [(name, value) for name, value in headers]
    else:
        raise _Odd(f"its headers are {headers!r:.60}")
    return tuple((_latin(name), _latin(value)) for name, value in pairs)


def _values(values: object) -> Sequence[object]:
    return [each for inner in values for each in _values(inner)] if isinstance(values, list) else [values]


def _latin(value: object) -> str:
    """As it went over the wire: each character a byte."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("latin-1")
    return text


def _body(message: Mapping[str, Any]) -> bytes:
    for name in ("body", "content"):
        if message.get(name) is not None:
            return _bytes(message[name])
    if "parsed_body" in message:
        return _json(message["parsed_body"])
    return b""


def _bytes(body: object, encoding: str = "utf-8") -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        try:
            return body.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return body.encode("utf-8", "surrogatepass")
    if isinstance(body, list):  # the pieces of an iterator
        return b"".join(_bytes(each, encoding) for each in body)
    if isinstance(body, Mapping):
        if body.get("base64_string") is not None:
            return base64.b64decode(body["base64_string"])
        if "content" in body:
            return _typed(body)
        if "string" in body or "base64_string" in body or not body:
            return _bytes(body.get("string"), str(body.get("encoding") or "utf-8"))
    raise _Odd(f"its body is {body!r:.60}")


def _typed(body: Mapping[str, Any]) -> bytes:
    """A body that says what it is."""
    content = body["content"]
    if body.get("type") == "json":
        return _json(content)
    if body.get("type") in ("base64", "binary") and isinstance(content, str):
        return base64.b64decode(content)
    return _bytes(content)


def _json(value: object) -> bytes:
    _check_size(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _fitting(headers: Headers, body: bytes) -> Headers:
    """The headers that go with the body as it was kept: vcr unpacks some bodies, and leaves their headers as they were."""
    names = {name.lower() for name, _ in headers}
    if "content-encoding" in names and _is_text(body):  # what is packed never is
        headers = tuple((name, value) for name, value in headers if name.lower() != "content-encoding")
    length = str(len(body))
    return tuple((name, length if name.lower() == "content-length" and body else value) for name, value in headers)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_size(value: object) -> None:
    """Refuse what grows without bounds when it is written out."""
    left = [value]
    count = 0
    while left:
        each = left.pop()
        count += 1
        if count > _MOST:
            raise _Odd("its body refers to itself over and over")
        if isinstance(each, Mapping):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)


def _refuse_our_own(data: bytes) -> None:
    if data.lstrip()[:200].startswith(b'{"cassette"'):
        raise NotVcr("this is a cassette of pytest-streamrt already: there is nothing to convert")


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        plain = unpacker.decompress(data, _LARGEST)
    except zlib.error as error:
        raise CassetteError(f"this is damaged gzip: {error}") from None
    if unpacker.unconsumed_tail:
        raise CassetteError(f"unpacked, this is larger than {_LARGEST >> 20} MB")
    if not unpacker.eof:
        raise CassetteError("this is damaged gzip: it is cut short")
    return plain


def _from_json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CassetteError(f"this is not JSON: {error}") from None


def _from_yaml(data: bytes) -> object:
    yaml = import_module("yaml")
    loader = _loader(yaml)
    try:
        _check_depth(yaml, data, loader)
        return yaml.load(data, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        if "could not determine a constructor for the tag" in str(problem):
            problem = f"it has a YAML object in it, and none is made of what a file says ({problem.rpartition(' ')[2]})"
        raise CassetteError(f"this cannot be read as YAML{where}: {problem}") from None


def _check_depth(yaml: Any, data: bytes, loader: Any) -> None:
    """Refuse what is nested without end: libyaml's loader would run out of its stack, and take the process with it."""
    depth = 0
    for event in yaml.parse(data, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError(f"it is nested more than {_DEEPEST} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _loader(yaml: Any) -> Any:
    """A safe loader, which takes the data out of the objects that vcr itself has written, and makes none of them."""
    loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})

    def mapping(loader: Any, node: Any) -> Any:
        return loader.construct_mapping(node, deep=True)

    def sequence(loader: Any, node: Any) -> Any:
        return loader.construct_sequence(node, deep=True)

    def scalar(loader: Any, node: Any) -> Any:
        return loader.construct_scalar(node)

    def state(loader: Any, node: Any) -> Any:  # of a file: its bytes, and where it is read
        return next(iter(mapping(loader, node).get("state") or ()), b"")

    def args(loader: Any, node: Any) -> Any:  # of an iterator: what it goes over
        return next(iter(mapping(loader, node).get("args") or ()), [])

    takers: Mapping[str, Callable[[Any, Any], Any]] = {
        "str": scalar,
        "unicode": scalar,
        "tuple": sequence,
        "object:vcr.request.Request": mapping,
        "object/apply:__builtin__.frozenset": sequence,
        "object/apply:builtins.frozenset": sequence,
        "object/new:_io.BytesIO": state,
        "object/apply:builtins.iter": args,
    }
    for name, take in takers.items():
        loader.add_constructor(_TAG + name, take)
    return loader
