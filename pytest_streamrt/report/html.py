"""A transcript as a page to look at, and the index of such pages: HTML that needs no network, no server and no other file.

The template, the style and the script are files in the folder ``page``. A page may run its own script and use its own
style, known by their hashes, and nothing else: the browser itself refuses what a transcript might smuggle in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

__all__ = ["index_page", "timeline_page"]

_PAGE: Final = ("page.css", ("model.js", "shapes.js", "draw.js", "ruler.js", "list.js", "main.js"))
_INDEX: Final = ("index.css", ("index.js",))
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def timeline_page(data: Mapping[str, Any]) -> str:
    """The page of a transcript, from what `html_data.page_data` gives."""
    return _page("page.html", *_PAGE, title=str(data["title"]), data=data)


def index_page(tests: Sequence[Mapping[str, Any]], *, summary: str) -> str:
    """The page that lists the pages of a run.

    Args:
        tests: of each its `name`, `href`, `outcome`, `events`, `sources`, `seconds`, `stopped` and `problems`.
        summary: a line to stand at the top.
    """
    return _page("index.html", *_INDEX, title="Streams of a test run", data={"summary": summary, "tests": tests})


def _page(template: str, style: str, scripts: Sequence[str], *, title: str, data: Mapping[str, Any]) -> str:
    css = _read(style)
    script = "\n".join(_read(name) for name in scripts)
    values = {
        "title": escape(title),
        "style": css,
        "script": script,
        "style_hash": _hash(css),
        "script_hash": _hash(script),
        "data": _embedded(data),
    }
    return _PLACE.sub(lambda found: values[found[1]], _read(template))


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that cannot end the element it stands in, nor begin another."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style: https://www.w3.org/TR/CSP3/#grammardef-hash-source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _read(name: str) -> str:
    return files("pytest_streamrt.report").joinpath("page", name).read_text(encoding="utf-8")
