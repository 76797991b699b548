"""What a dialect is: the shape of one. No I/O, no provider's names.

A dialect is a *mapper*, which turns the parsed JSON of a stream into events, and an *encoder*, which writes a script as
that provider would. What is common to all mappers is in `decoder`, to all encoders in `encoder`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pytest_streamrt.providers.decoder import Decoder, Mapper
from pytest_streamrt.providers.encoder import Encoder
from pytest_streamrt.providers.quirks import Quirks
from pytest_streamrt.script.build import Script

__all__ = ["Dialect", "MakeEncoder", "Mapper"]


class MakeEncoder(Protocol):
    """Makes an encoder for one stream."""

    def __call__(self, script: Script | None = None, quirks: Quirks | None = None) -> Encoder:
        """An encoder for one stream.

        Args:
            script: what it is going to write, where that is known: some providers say at the beginning what comes.
            quirks: how it is to write it.

        Raises:
            ScriptError: the script has something in it that this API cannot say.
        """
        ...


@dataclass(frozen=True)
class Dialect:
    """One provider's wire format.

    Attributes:
        name: such as "openai.chat"; also the name of an exchange's source in a transcript.
        paths: how the path of a request's URL ends in this API.
        mapper: makes a mapper for one stream.
        encoder: makes an encoder for one stream.
        arrays: whether a stream may be a JSON array instead of server-sent events.
        also: a regular expression for paths that no ending tells; it is to match up to the path's end.
    """

    name: str
    paths: tuple[str, ...]
    mapper: Callable[[], Mapper]
    encoder: MakeEncoder
    also: str | None = None
    arrays: bool = False

    def speaks(self, path: str) -> bool:
        """Whether a POST to that path is answered in this dialect."""
        return path.endswith(self.paths) or (
            self.also is not None and re.search(rf"(?:{self.also})\Z", path) is not None
        )

    def decoder(self) -> Decoder:
        """A fresh incremental decoder: bytes in, events out."""
        return Decoder(self.name, self.mapper(), arrays=self.arrays)
