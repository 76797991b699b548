"""A cassette in use: it answers requests from its recordings, or passes them on and records. The modes are decided here."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, get_args

from pytest_streamrt import wire
from pytest_streamrt.cassette import matching
from pytest_streamrt.cassette.cuts import cut_anew
from pytest_streamrt.cassette.format import (
    Interaction,
    RecordedChunk,
    check_writable,
    load_cassette,
    save_cassette,
)
from pytest_streamrt.cassette.playback import Playback
from pytest_streamrt.cassette.recording import Recording, lines_of
from pytest_streamrt.cassette.redact import Redaction
from pytest_streamrt.cassette.seam import intercept
from pytest_streamrt.cassette.tee import how_it_ended, live, live_blocking, tee
from pytest_streamrt.clock import active_clock
from pytest_streamrt.clock.tasks import where_called
from pytest_streamrt.errors import CassetteError, CassetteMiss
from pytest_streamrt.runtime.acting import acting
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wire import Cut

__all__ = ["Cassette", "RecordMode", "Timing", "use_cassette"]

RecordMode = Literal["none", "once", "new_episodes", "all", "rewrite"]
"""What to do with a request. "none": play it, never record. "once": record if there is no cassette yet, else play.
"new_episodes": play what is known, record the rest. "all": record everything, beside what is there. "rewrite": record
everything anew."""

Timing = Literal["auto", "instant", "recorded"] | float
"""When played chunks come. "recorded": as recorded; a number: so many times faster; "instant": at once; "auto": as recorded
on virtual time, where it costs nothing, else at once."""

_real_ns: Final = time.monotonic_ns


class Cassette:
    """Recorded HTTP exchanges, being played or recorded. Made by `use_cassette`, and by the marker ``streamrt``."""

    def __init__(
        self,
        path: Path,
        mode: RecordMode,
        timing: Timing,
        cut: Cut,
        transcript: Transcript,
        redaction: Redaction,
    ) -> None:
        if mode not in get_args(RecordMode):
            msg = f"a cassette's record mode is one of {', '.join(get_args(RecordMode))}, not {mode!r}"
            raise CassetteError(msg)
        if timing not in ("auto", "instant", "recorded") and not (isinstance(timing, int | float) and timing > 0):
            msg = f'a cassette\'s timing is "auto", "instant", "recorded" or a factor above 0, not {timing!r}'
            raise CassetteError(msg)
        try:
            wire.rechunk(b"", cut)
        except ValueError as error:
            raise CassetteError(str(error)) from None
        self.path = path
        self.mode = mode
        self.transcript = transcript
        self.misses: list[str] = []
        """What was asked of it and not found: a message each."""
        self.requests = 0
        """How many requests it has seen."""
        self._timing = timing
        self._cut = cut
        self._redaction = redaction
        self._known: list[Interaction] = []
        self._played: set[int] = set()
        self._recordings: list[Recording] = []
        self._began: int | None = None
        self._lock = threading.Lock()
        existed = path.exists()
        self._records = mode in ("all", "rewrite", "new_episodes") or (mode == "once" and not existed)
        if self._records:
            check_writable(path)
        if existed and mode != "rewrite":
            self._known = load_cassette(path)

    def __repr__(self) -> str:
        return f"<Cassette {self.path} ({self.mode}), {len(self._played)} of {len(self._known)} played>"

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """What it was loaded with."""
        return tuple(self._known)

    @property
    def unplayed(self) -> list[Interaction]:
        """The recordings that no request has asked for."""
        if self.mode == "all":
            return []
        return [each for each in self._known if each.id not in self._played]

    def problem(self) -> str | None:
        """What is wrong with how it was used, if anything: misses, or recordings never asked for."""
        if self.misses:
            return self.misses[0]
        if self.unplayed and not self._records:
            left = "\n".join(f"    {each.method} {each.url}" for each in self.unplayed)
            return (
                f"{len(self.unplayed)} of {len(self._known)} recordings in {self.path} were never played:\n{left}\n"
                "The code no longer makes these requests, or stops before it does. If that is right, record the "
                "cassette again: pytest --streamrt-record=rewrite"
            )
        return None

    def handle(self, library: ModuleType, transport: Any, request: Any, forward: Callable[[], Any]) -> Any:
        """Answer a request of a sync client. See `seam.Interceptor`."""
        body = request.read()
        playback = self._playback(library, transport, request, body)
        if playback is not None:
            return playback.respond()
        recording = self._recording(request, body)
        try:
            with live_blocking():
                response = forward()
        except Exception as error:
            recording.ended(how_it_ended(error), error)
            raise
        return self._recorded(library, response, recording, is_async=False)

    async def handle_async(
        self, library: ModuleType, transport: Any, request: Any, forward: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Answer a request of an async client. See `seam.Interceptor`."""
        body = await request.aread()
        playback = self._playback(library, transport, request, body)
        if playback is not None:
            return await playback.respond_async()
        recording = self._recording(request, body)
        try:
            with live():
                response = await forward()
        except Exception as error:
            recording.ended(how_it_ended(error), error)
            raise
        except BaseException:  # cancelled while waiting for the answer
            recording.ended("client")
            raise
        return self._recorded(library, response, recording, is_async=True)

    def save(self) -> None:
        """Write what was recorded, if anything was."""
        if not self._recordings:
            return
        kept = self._known if self.mode in ("all", "new_episodes") else []
        done = [
            self._clean(recording.finished(), max((e.end_at for e in kept), default=0))
            for recording in self._recordings
        ]
        save_cassette(self.path, lines_of([*(e for e in kept if not self._is_superseded(e, done)), *done]))

    def _playback(self, library: ModuleType, transport: Any, request: Any, body: bytes) -> Playback | None:
        """What answers the request from the recordings, or None where it is to be recorded."""
        self.requests += 1
        method, url = request.method, self._redaction.url(str(request.url))
        if self.mode in ("all", "rewrite"):
            return None
        found = self._take(method, url, body)
        if found is not None:
            speed = self._speed()
            exchange = self._begin_exchange(method, url, body, instant=speed is None)
            name = f"the recording of {method} {url} in {self.path}"
            chunks = self._chunks(found)
            return Playback(library, transport, request, found, chunks, speed=speed, exchange=exchange, name=name)
        if self._records:
            return None
        raise self._miss(method, url, body)

    def _take(self, method: str, url: str, body: bytes) -> Interaction | None:
        """The first recording of that request that has not been played. Sync clients may ask from many threads."""
        with self._lock:
            for each in self._known:
                if each.id not in self._played and not matching.differences(each, method, url, body):
                    self._played.add(each.id)
                    return each
        return None

    def _speed(self) -> float | None:
        if self._timing == "auto":
            return 1.0 if active_clock() is not None else None
        if self._timing == "instant":
            return None
        return 1.0 if self._timing == "recorded" else float(self._timing)

    def _chunks(self, interaction: Interaction) -> Sequence[RecordedChunk]:
        """The recorded body, cut as is asked."""
        if self._cut == "recorded":
            return interaction.chunks
        timed = [(chunk.at, chunk.data) for chunk in interaction.chunks]
        return [RecordedChunk(at, data) for at, data in cut_anew(timed, self._cut)]

    def _begin_exchange(self, method: str, url: str, body: bytes, *, instant: bool) -> Exchange:
        inference = acting.get().inference
        id = inference.id if inference is not None else None
        return self.transcript.begin_exchange(method, url, body, inference=id, instant=instant)

    def _recording(self, request: Any, body: bytes) -> Recording:
        url = str(request.url)
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw)
        exchange = self._begin_exchange(request.method, self._redaction.url(url), body, instant=False)
        with self._lock:
            if self._began is None:
                self._began = _real_ns()
            id = max((each.id for each in self._known), default=0) + len(self._recordings) + 1
            recording = Recording(Interaction(id, 0, request.method, url, headers, body), self._began, exchange)
            self._recordings.append(recording)
        return recording

    def _recorded(self, library: ModuleType, response: Any, recording: Recording, *, is_async: bool) -> Any:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
        recording.opened(response.status_code, headers)
        response.stream = tee(library, response.stream, recording, is_async=is_async)
        return response

    def _miss(self, method: str, url: str, body: bytes) -> CassetteMiss:
        where = f"for {method} {url} in {self.path}"
        if not self.path.exists():
            msg = (
                f"there is no recording {where}: the cassette does not exist. Record it: pytest --streamrt-record=once"
            )
        elif not self._known:
            msg = f"there is no recording {where}: the cassette is empty. Record it: pytest --streamrt-record=rewrite"
        else:
            found = matching.nearest(self._known, method, url, body)
            assert found is not None
            closest, differences = found
            if differences:
                msg = (
                    f"there is no recording {where}.\nThe nearest of {len(self._known)} recorded requests differs:\n"
                    f"{matching.show(differences)}\n"
                    "If the request is right, record it: pytest --streamrt-record=new_episodes"
                )
            else:
                msg = (
                    f"the recording {where} was played already, and the same request came again "
                    f"(exchange {closest.id}). One recording answers one request. "
                    "If it is to be asked twice, record it so: pytest --streamrt-record=rewrite"
                )
        msg = f"{msg}\nThe request was made at {where_called()}"
        self.misses.append(msg)
        return CassetteMiss(msg)

    def _is_superseded(self, known: Interaction, done: Sequence[Interaction]) -> bool:
        """Whether that was recorded anew, and would never be asked for again."""
        if self.mode != "all":
            return False
        return any(not matching.differences(known, each.method, each.url, each.body) for each in done)

    def _clean(self, recorded: Interaction, began: int) -> Interaction:
        """A recording without its secrets, and as much later as what was in the cassette before it takes."""
        redaction = self._redaction
        secrets = redaction.secrets([*recorded.headers, *recorded.response_headers], recorded.url)
        data = redaction.chunks([chunk.data for chunk in recorded.chunks], secrets)
        error = recorded.error
        return replace(
            recorded,
            at=recorded.at + began,
            url=redaction.text(redaction.url(recorded.url), secrets),
            headers=redaction.header_values(recorded.headers, secrets),
            body=redaction.chunks([recorded.body], secrets)[0],
            response_at=recorded.response_at + began,
            response_headers=redaction.header_values(recorded.response_headers, secrets),
            chunks=[RecordedChunk(c.at + began, d) for c, d in zip(recorded.chunks, data, strict=True)],
            end_at=recorded.end_at + began,
            error=(error[0], redaction.text(error[1], secrets)) if error else None,
        )


@contextmanager
def use_cassette(
    path: str | Path,
    *,
    record: RecordMode = "none",
    timing: Timing = "auto",
    rechunk: Cut = "recorded",
    transcript: Transcript | None = None,
    filter_headers: Sequence[str] = (),
    filter_query_parameters: Sequence[str] = (),
    verify: bool = True,
) -> Iterator[Cassette]:
    """Answer the block's HTTP requests from a cassette, or record one. Under pytest, the marker ``streamrt`` does this.

    Every request made through httpx or httpx2 in the block is seen, whichever client makes it.

    Args:
        path: the cassette's file.
        record: what to record; see `RecordMode`.
        timing: when played chunks come; see `Timing`.
        rechunk: how to cut played bodies: as recorded, or as `pytest_streamrt.wire.rechunk` can.
        transcript: where the exchanges are logged, instead of in one that nobody sees.
        filter_headers: headers whose values are not to be recorded, beside those that never are.
        filter_query_parameters: likewise for query parameters.
        verify: whether to raise, on leaving, for misses and for recordings that were never played.

    Raises:
        CassetteError: the cassette cannot be read or written; or, on leaving, recordings were never played.
        CassetteMiss: on leaving, requests were made that it has no recording for, and the block did not raise itself.
    """
    redaction = Redaction(
        frozenset(name.lower() for name in filter_headers),
        frozenset(name.lower() for name in filter_query_parameters),
    )
    cassette = Cassette(Path(path), record, timing, rechunk, transcript or Transcript(), redaction)
    try:
        with intercept(cassette):
            yield cassette
    finally:
        cassette.save()  # also after a failed assertion: what was recorded is true all the same
    if not verify:
        return
    if cassette.misses:
        raise CassetteMiss(cassette.misses[0])
    problem = cassette.problem()
    if problem is not None:
        raise CassetteError(problem)
