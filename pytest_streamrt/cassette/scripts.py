"""From a cassette to scripts: what its providers said, and when, as plain data that needs no cassette any more."""

from __future__ import annotations

from pathlib import Path

from pytest_streamrt.cassette.loading import load_cassette
from pytest_streamrt.cassette.paths import path_of
from pytest_streamrt.cassette.retold import retold
from pytest_streamrt.script import script
from pytest_streamrt.script.build import Script

__all__ = ["scripts_of"]


def scripts_of(path: Path | str, *, timed: bool = True) -> list[Script]:
    """A script for each recorded answer of a model, in the order of the requests; see `script.from_events`.

    They can be changed, cut, put together, and played by a `FakeModel`, or by `fake_provider` in another provider's API.

    Args:
        path: the cassette's.
        timed: whether the deltas come when they came, counted from the request; otherwise all at once.

    Raises:
        CassetteError: there is no such cassette, or it is damaged.
    """
    transcript = retold(load_cassette(path_of(path, "scripts_of")))
    return [
        script.from_events(transcript.of(exchange.source), timed=timed)
        for exchange in transcript.exchanges
        if exchange.dialect is not None and exchange.status is not None and exchange.status < 400
    ]
