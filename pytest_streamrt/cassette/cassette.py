"""A cassette in use: it answers requests from its recordings, or passes them on and records. The modes are decided here."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from pytest_streamrt import wire
from pytest_streamrt.cassette.config import CassetteConfig, RecordedRequest
from pytest_streamrt.cassette.cuts import cut_anew
from pytest_streamrt.cassette.faults import check_faults, lay_over
from pytest_streamrt.cassette.format import (
    Interaction,
    RecordedChunk,
    check_writable,
    save_cassette,
)
from pytest_streamrt.cassette.keeping import Failure, altered, asked_of, later, only_errors, why_not
from pytest_streamrt.cassette.loading import load_cassette
from pytest_streamrt.cassette.matching import Asked, show
from pytest_streamrt.cassette.near import of_vcr
from pytest_streamrt.cassette.playback import Playback
from pytest_streamrt.cassette.recording import Recording, lines_of
from pytest_streamrt.cassette.tee import how_it_ended, live, live_blocking, tee
from pytest_streamrt.clock import active_clock
from pytest_streamrt.clock.current import real_ns
from pytest_streamrt.clock.tasks import where_called, where_raised
from pytest_streamrt.errors import CassetteError, CassetteMiss, StreamrtWarning, Unanswered
from pytest_streamrt.numbers import is_number
from pytest_streamrt.runtime.acting import acting
from pytest_streamrt.script.parts import Fault
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.log import Transcript
from pytest_streamrt.wire import Cut
from pytest_streamrt.wording import counted

__all__ = ["Cassette", "RecordMode", "Timing", "check_playing"]

RecordMode = Literal["none", "once", "new_episodes", "all", "rewrite"]
"""What to do with a request. "none": play it, never record. "once": record if there is no cassette yet, else play.
"new_episodes": play what is known, record the rest. "all": record everything, beside what is there. "rewrite": record
everything anew."""

Timing = Literal["auto", "instant", "recorded"] | float
"""When played chunks come. "recorded": as recorded; a number: so many times faster; "instant": at once; "auto": as recorded
on virtual time, where it costs nothing, else at once."""


def check_playing(timing: Timing, cut: Cut) -> None:
    """Refuse what is no way to play a recording.

    Raises:
        CassetteError: `timing` or `rechunk` is none of their values; it says which those are.
    """
    is_factor = is_number(timing) and 0 < timing < math.inf
    if not is_factor and timing not in ("auto", "instant", "recorded"):
        raise CassetteError(f'timing is "auto", "instant", "recorded" or a factor above 0, not {timing!r}')
    try:
        wire.rechunk(b"", cut)
    except ValueError as error:
        raise CassetteError(str(error)) from None


class Cassette:
    """Recorded HTTP exchanges, being played or recorded. Made by `use_cassette`, and by the marker ``streamrt``."""

    def __init__(
        self,
        path: Path,
        mode: RecordMode,
        timing: Timing,
        cut: Cut,
        transcript: Transcript,
        config: CassetteConfig,
        *,
        record_errors: bool = False,
        faults: Sequence[Fault] = (),
    ) -> None:
        if mode not in get_args(RecordMode):
            msg = f"a cassette's record mode is one of {', '.join(get_args(RecordMode))}, not {mode!r}"
            raise CassetteError(msg)
        check_playing(timing, cut)
        check_faults(faults)
        if not isinstance(transcript, Transcript):
            raise CassetteError(f"a cassette writes to a Transcript, not to {transcript!r:.80}")
        self.path = path
        self.mode = mode
        self.transcript = transcript
        self.misses: list[str] = []
        """What was asked of it and not found: a message each."""
        self.requests = 0
        """How many requests it has seen."""
        self._timing = timing
        self._cut = cut
        self.failure: Failure | None = None
        """How the test that uses it has failed, if it has; whoever runs the test says so."""
        self.recorded_errors: str | None = None
        """What became of the first request, where it was written with nothing but errors."""
        self.redactor = config.redactor()
        """What takes secrets out of all that is written of its exchanges; it knows those of the requests so far."""
        self._config = config
        self._matcher = config.matcher()
        self._record_errors = record_errors
        self._old: list[Interaction] = []  # what a recording may take the place of
        self._known: list[Interaction] = []
        self._played: set[int] = set()
        self._recordings: list[Recording] = []
        self._began: int | None = None
        self._lock = threading.Lock()
        existed = path.exists()
        self._records = mode in ("all", "rewrite", "new_episodes") or (mode == "once" and not existed)
        if self._records:
            check_writable(path)
        if existed:
            self._old = _loaded(path) if mode == "rewrite" else load_cassette(path)
        if mode != "rewrite":
            self._known = self._old
        self._spare: frozenset[int] = frozenset()
        if faults:
            if mode != "none":
                msg = f'faults are laid over a recording, never recorded: with faults, record is "none", not {mode!r}'
                raise CassetteError(msg)
            overlaid = lay_over(self._known if existed else load_cassette(path), faults)
            self._known, self._spare = overlaid.interactions, overlaid.spare

    def __repr__(self) -> str:
        return f"<Cassette {self.path} ({self.mode}), {len(self._played)} of {len(self._known)} played>"

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """What it was loaded with."""
        return tuple(self._known)

    @property
    def unplayed(self) -> list[Interaction]:
        """The recordings that no request has asked for."""
        if self.mode == "all" or self._config.allow_unplayed:
            return []
        return [each for each in self._known if each.id not in self._played and each.id not in self._spare]

    def problem(self) -> str | None:
        """What is wrong with how it was used, if anything: misses, or recordings never asked for."""
        if self.misses:
            return self.misses[0]
        if self.unplayed and not self._records:
            left = "\n".join(f"    {each.method} {each.url}" for each in self.unplayed)
            never = "was never" if len(self.unplayed) == 1 else "were never"
            return (
                f"{len(self.unplayed)} of {counted(len(self._known), 'recording')} in {self.path} {never} played:\n{left}\n"
                "The code no longer makes these requests, or stops before it does. If that is right, record the "
                "cassette again: pytest --streamrt-record=rewrite"
            )
        return None

    def doubt(self) -> str | None:
        """What a failing test is to be told of what it was played, if anything: that there are only errors in it."""
        error = only_errors(self._old) if self.mode not in ("all", "rewrite") else None
        if error is None:
            return None
        return (
            f"{self.path} holds nothing but errors: {error}. What failed here is that recording, and not a request of now. "
            "If it was a mishap, such as a wrong key, or no network, record it again: pytest --streamrt-record=rewrite"
        )

    def handle(self, library: ModuleType, transport: Any, request: Any, forward: Callable[[], Any]) -> Any:
        """Answer a request of a sync client. See `seam.Interceptor`."""
        __tracebackhide__ = True
        asked = self._asked(request, request.read())
        if asked is None:
            with live_blocking():
                return forward()
        playback = self._playback(library, transport, request, asked)
        if playback is not None:
            return playback.respond()
        recording = self._recording(request, asked)
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
        __tracebackhide__ = True
        asked = self._asked(request, await request.aread())
        if asked is None:
            with live():
                return await forward()
        playback = self._playback(library, transport, request, asked)
        if playback is not None:
            return await playback.respond_async()
        recording = self._recording(request, asked)
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
        """Write what was recorded, if anything was, and if it may take the place of what is there.

        Raises:
            CassetteError: it may not; or it cannot be written.
        """
        done = [each for recording in self._recordings if (each := altered(recording.finished(), self._config))]
        if not done:
            return
        done = [self.redactor.interaction(each) for each in done]
        if self._config.refuses_secrets and self.redactor.findings:
            found = "\n".join(f"    {finding}" for finding in self.redactor.findings)
            raise CassetteError(f"{self.path} is not written, for there are secrets in what was recorded:\n{found}")
        kept = self._known if self.mode in ("all", "new_episodes") else []
        began = max((each.end_at for each in kept), default=0)
        new = [*(each for each in kept if not self._is_superseded(each, done)), *(later(each, began) for each in done)]
        why = why_not(self._old, new, self._matcher, failure=self.failure, record_errors=self._record_errors)
        if why is None:
            save_cassette(self.path, lines_of(new))
            self.recorded_errors = only_errors(new)
            return
        problem = f"{self.path} was not recorded anew, and is as it was: {why}"
        if self.failure is None:
            raise CassetteError(problem)
        warnings.warn(problem, StreamrtWarning, stacklevel=2)

    def _asked(self, request: Any, body: bytes) -> Asked | None:
        """What a request asks for, or None where that is none of ours. From here on its secrets are known."""
        url = str(request.url)
        if self._config.ignores(url):
            return None
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        self.redactor.learn(headers, url, body)
        asked = RecordedRequest(request.method, url, headers, body)
        if self._config.before_record_request is not None:
            changed = self._changed(self._config.before_record_request, asked)
            if changed is None:
                return None
            asked = changed
        return Asked(asked.method, asked.url, tuple(asked.headers), asked.body)

    def _changed(
        self, function: Callable[[RecordedRequest], RecordedRequest | None], asked: RecordedRequest
    ) -> RecordedRequest | None:
        """The request as the user's function has it. What is wrong with that, no client may take for a broken connection."""
        try:
            changed = function(asked)
        except Exception as error:
            problem = f"raised {type(error).__name__}: {error}, at {where_raised(error)}"
            raise self._unanswered(f"before_record_request {problem}") from error
        if isinstance(changed, RecordedRequest | None):
            return changed
        raise self._unanswered(
            f"before_record_request returns the request, or None to leave it alone, not {changed!r:.200}"
        )

    def _unanswered(self, message: str) -> Unanswered:
        self.misses.append(message)
        return Unanswered(message)

    def _playback(self, library: ModuleType, transport: Any, request: Any, asked: Asked) -> Playback | None:
        """What answers the request from the recordings, or None where it is to be recorded."""
        self.requests += 1
        if self.mode in ("all", "rewrite"):
            return None
        asked = asked._replace(url=self.redactor.url(asked.url))
        found = self._take(asked)
        if found is not None:
            speed = self._speed()
            # Where a whole exchange took no time, nobody measured it: it was converted, or written by hand.
            untimed = speed is None or found.end_at == found.at
            exchange = self._begin_exchange(request, asked.body, instant=untimed)
            name = f"the recording of {asked.method} {asked.url} in {self.path}"
            chunks = self._chunks(found)
            return Playback(library, transport, request, found, chunks, speed=speed, exchange=exchange, name=name)
        if self._records:
            return None
        raise self._miss(asked)

    def _take(self, asked: Asked) -> Interaction | None:
        """The first recording of that request that has not been played. Sync clients may ask from many threads."""
        with self._lock:
            played = None
            for each in self._known:
                is_new = each.id not in self._played
                if not is_new and (played is not None or not self._config.allow_playback_repeats):
                    continue
                if self._matcher.matches(each, asked):
                    if is_new:
                        self._played.add(each.id)
                        return each
                    played = each
        return played

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

    def _begin_exchange(self, request: Any, body: bytes, *, instant: bool) -> Exchange:
        inference = acting.get().inference
        id = inference.id if inference is not None else None
        url = self.redactor.url(str(request.url))
        return self.transcript.begin_exchange(request.method, url, body, inference=id, instant=instant)

    def _recording(self, request: Any, asked: Asked) -> Recording:
        exchange = self._begin_exchange(request, asked.body, instant=False)
        with self._lock:
            if self._began is None:
                self._began = real_ns()
            id = max((each.id for each in self._known), default=0) + len(self._recordings) + 1
            recording = Recording(Interaction(id, 0, *asked), self._began, exchange)
            self._recordings.append(recording)
        return recording

    def _recorded(self, library: ModuleType, response: Any, recording: Recording, *, is_async: bool) -> Any:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
        self.redactor.learn(headers)  # now: what it gives as a cookie, an exchange before it may have told in its body
        recording.opened(response.status_code, headers)
        stream = tee(library, response.stream, recording, is_async=is_async)
        if response.is_stream_consumed:  # a transport that is no network has had the whole body from the first
            return library.Response(
                response.status_code, headers=response.headers.raw, stream=stream, extensions=response.extensions
            )
        response.stream = stream
        return response

    def _miss(self, asked: Asked) -> CassetteMiss:
        where = f"for {asked.method} {asked.url} in {self.path}"
        if not self.path.exists():
            msg = (
                f"there is no recording {where}: the cassette does not exist. Record it: pytest --streamrt-record=once"
            )
            if (old := of_vcr(self.path)) is not None:
                msg += f"\n{old.name}, beside it, has the name of a cassette of vcr. To go on with that: streamrt convert {old}"
        elif not self._known:
            msg = f"there is no recording {where}: the cassette is empty. Record it: pytest --streamrt-record=rewrite"
        else:
            found = self._matcher.nearest(self._known, asked)
            assert found is not None
            closest, differences = found
            if differences:
                msg = (
                    f"there is no recording {where}.\nThe nearest of {counted(len(self._known), 'recorded request')} differs:\n"
                    f"{self.redactor.text(show(differences))}\n"
                    "If the request is right, record the cassette anew: pytest --streamrt-record=rewrite. To keep what is "
                    "recorded, where that is still asked for, and add this: pytest --streamrt-record=new_episodes"
                )
                if len(differences) == 1 and _asks_another_server(closest.url, asked.url):
                    msg += "\nOnly the server differs: set the base URL (as OPENAI_BASE_URL does) as it was when it was recorded"
            else:
                msg = (
                    f"the recording {where} was played already, and the same request came again "
                    f"(exchange {closest.id}). One recording answers one request, unless allow_playback_repeats is set. "
                    "If it is to be asked twice, record it so: pytest --streamrt-record=rewrite"
                )
        msg = f"{msg}\nThe request was made at {where_called()}"
        self.misses.append(msg)
        return CassetteMiss(msg)

    def _is_superseded(self, known: Interaction, done: Sequence[Interaction]) -> bool:
        """Whether that was recorded anew, and would never be asked for again."""
        if self.mode != "all":
            return False
        return any(self._matcher.matches(known, asked_of(each)) for each in done)


def _asks_another_server(recorded: str, now: str) -> bool:
    one, other = urlsplit(recorded), urlsplit(now)
    return one.netloc != other.netloc and (one.path, one.query) == (other.path, other.query)


def _loaded(path: Path) -> list[Interaction]:
    """What is in a cassette that is to be recorded anew: a damaged one is no loss."""
    try:
        return load_cassette(path)
    except CassetteError:
        return []
