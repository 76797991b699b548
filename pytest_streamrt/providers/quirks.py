"""How a provider writes its stream, where writing it otherwise would say the same: what an encoder can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Quirks"]


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """The habits of one provider's server. The defaults are those of the API's own.

    What a dialect does not know plays no part in it.

    Attributes:
        model: the model the answer names itself after.
        pings: whether Anthropic's ``ping`` events are sent.
        padding: whether Anthropic's events are padded with white space inside the JSON, as recorded streams are.
    """

    model: str = "scripted"
    pings: bool = True
    padding: bool = True
    newline: Literal["\n", "\r\n"] = "\n"
