"""`use_cassette`: a cassette for the length of a block, with all that can be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from re import Pattern
from typing import Final, TypedDict, Unpack

from pytest_streamrt.cassette.cassette import Cassette, RecordMode, Timing
from pytest_streamrt.cassette.config import (
    CassetteConfig,
    Filter,
    MatchOn,
    OnSecret,
    RecordedRequest,
    RecordedResponse,
    config_from,
)
from pytest_streamrt.cassette.paths import path_of
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.errors import CassetteError, CassetteMiss
from pytest_streamrt.script.parts import Fault
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wire import Cut

__all__ = ["CassetteOptions", "closing", "observers", "use_cassette"]

observers: Final[list[Callable[[Path], None]]] = []
"""Who is told of each cassette that is used, by its file."""


class CassetteOptions(TypedDict, total=False):
    """What a project can say of its cassettes: arguments of `use_cassette`, and keys of the fixture `streamrt_config`.

    Attributes:
        filter_headers: headers whose values are not to be recorded, beside those that never are.
        filter_query_parameters: likewise for query parameters.
        filter_json_paths: places in JSON bodies whose values are not to be recorded, such as ``user.email`` or
            ``messages[*].content``.
        filter_patterns: regular expressions for what is not to be recorded, wherever it stands.
        match_on: what of a request counts when its recording is looked for; by default method, uri and body.
        ignore_json_paths: places in JSON bodies that do not count.
        ignore_hosts: hosts, perhaps with ``*`` in them, whose requests go to the network and are not recorded.
        allow_playback_repeats: whether a recording may answer the same request again.
        allow_unplayed: whether recordings may be left over at the end.
        before_record_request: changes each request before it is recorded, or looked for. None: it is none of ours.
        before_record_response: changes each response before it is recorded. None: its exchange is not recorded.
        on_secret: "redact", or "fail": refuse a recording with a secret where none should be.
    """

    filter_headers: Sequence[Filter]
    filter_query_parameters: Sequence[Filter]
    filter_json_paths: Sequence[str]
    filter_patterns: Sequence[str | Pattern[str]]
    match_on: Sequence[MatchOn]
    ignore_json_paths: Sequence[str]
    ignore_hosts: Sequence[str]
    allow_playback_repeats: bool
    allow_unplayed: bool
    before_record_request: Callable[[RecordedRequest], RecordedRequest | None] | None
    before_record_response: Callable[[RecordedResponse], RecordedResponse | None] | None
    on_secret: OnSecret


@contextmanager
def use_cassette(
    path: str | Path,
    *,
    record: RecordMode = "none",
    timing: Timing = "auto",
    rechunk: Cut = "recorded",
    transcript: Transcript | None = None,
    record_errors: bool = False,
    faults: Sequence[Fault] = (),
    verify: bool = True,
    **options: Unpack[CassetteOptions],
) -> Iterator[Cassette]:
    """Answer the block's HTTP requests from a cassette, or record one. Under pytest, the marker ``streamrt`` does this.

    Every request made through httpx or httpx2 in the block is seen, whichever client makes it.

    Args:
        path: the cassette's file.
        record: what to record; see `RecordMode`.
        timing: when played chunks come; see `Timing`.
        rechunk: how to cut played bodies: as recorded, or as `pytest_streamrt.wire.rechunk` can.
        transcript: where the exchanges are logged, instead of in one that nobody sees.
        record_errors: whether a recording in which a request got nothing but an error may take a complete one's place.
        faults: what is to go wrong with the recorded answers, such as ``disconnect(after=5)``.
        verify: whether to raise, on leaving, for misses and for recordings that were never played.
        options: what is kept out of a recording, what matches, and more; see `CassetteOptions`.

    Raises:
        CassetteError: the cassette cannot be read or written; or, on leaving, recordings were never played, or what was
            recorded may not take the place of what is there.
        CassetteMiss: on leaving, requests were made that it has no recording for, and the block did not raise itself.
    """
    with use_config(
        config_from(options),
        path,
        record=record,
        timing=timing,
        rechunk=rechunk,
        transcript=transcript,
        record_errors=record_errors,
        faults=faults,
        verify=verify,
    ) as cassette:
        yield cassette


@contextmanager
def use_config(
    config: CassetteConfig,
    path: str | Path,
    *,
    record: RecordMode,
    timing: Timing,
    rechunk: Cut,
    transcript: Transcript | None,
    record_errors: bool,
    faults: Sequence[Fault],
    verify: bool,
) -> Iterator[Cassette]:
    """`use_cassette`, with options that have been read already."""
    cassette = Cassette(
        path_of(path, "use_cassette"),
        record,
        timing,
        rechunk,
        Transcript() if transcript is None else transcript,
        config,
        record_errors=record_errors,
        faults=faults,
    )
    with closing(cassette, verify=verify), intercept(cassette):
        yield cassette


@contextmanager
def closing(cassette: Cassette, *, verify: bool = True) -> Iterator[None]:
    """At the block's end, write what was recorded, and raise for what is wrong with how the cassette was used."""
    for observer in observers:
        observer(cassette.path)
    try:
        yield
    except BaseException as error:
        cassette.failure = cassette.failure or ("assertion" if isinstance(error, AssertionError) else "error")
        raise
    finally:
        cassette.save()  # also after a failed assertion: what was recorded is true all the same
    if not verify:
        return
    if cassette.misses:
        raise CassetteMiss(cassette.misses[0])
    problem = cassette.problem()
    if problem is not None:
        raise CassetteError(problem)
