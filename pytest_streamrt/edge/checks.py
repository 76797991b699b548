"""Does it stream? One function for each thing that can be wrong with a response of server-sent events, each with its fix.

They are pure: they look at what arrived and say what is wrong with it. `assert_streams` runs them all.

Protocol facts: the WHATWG HTML standard, section 9.2 "Server-sent events"; nginx's ngx_http_proxy_module (proxy_buffering,
X-Accel-Buffering, proxy_read_timeout).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

from pytest_streamrt.clock import NS
from pytest_streamrt.edge.arrived import Arrived, Problem
from pytest_streamrt.wire.sse import ServerSentEvent
from pytest_streamrt.wording import counted

__all__ = [
    "CHECKS",
    "End",
    "NotChecked",
    "check_end",
    "check_first_byte",
    "check_frames",
    "check_headers",
    "check_ids",
    "check_keep_alive",
    "check_resumed",
]

CHECKS: Final = (
    "status",
    "content-type",
    "content-length",
    "compression",
    "cache-control",
    "x-accel-buffering",
    "first-byte",
    "keep-alive",
    "frames",
    "end",
    "ids",
    "resume",
)
"""The names of the checks, for ``skip=``."""

End = str | Callable[[ServerSentEvent], bool] | None
"""How an answer ends: the data or the name of its last event, or a function that knows it; None for the usual ones."""

_DONE: Final = "[DONE]"
_ENDS: Final = frozenset(
    {
        *("done", "end", "close", "complete", "completed", "finish", "finished"),  # what people call it
        "message_stop",  # Anthropic's
        "response.completed",  # OpenAI's
        *("RUN_FINISHED", "RUN_ERROR"),  # AG-UI's
    }
)
_FIELDS: Final = frozenset({"data", "event", "id", "retry"})
_LINE: Final = re.compile("\r\n|\n|\r")
_NUMBER: Final = re.compile(r"(.*?)(\d+)")
_SHOWN: Final = 60  # characters of a line that is quoted


class NotChecked(Exception):
    """A check has no evidence to go by; the message says what it would need."""


def check_headers(arrived: Arrived) -> list[Problem]:
    """The status and the headers: everything on the way to the browser must know that this is a stream."""
    headers = arrived.headers
    if arrived.status != 200:  # then the rest is of no interest
        what = f"it is {arrived.status}, and EventSource takes nothing but 200; 204 tells it not to come back."
        return [Problem("status", what, "answer a request for a stream with status 200.")]
    problems = []
    content_type = headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "text/event-stream":
        is_ = f"is {content_type!r}" if content_type else "is missing"
        what = f"the header {is_}, and EventSource takes nothing but text/event-stream."
        fix = 'StreamingResponse(…, media_type="text/event-stream").'
        problems.append(Problem("content-type", what, fix))
    if "content-length" in headers:
        what = (
            f"the length is known, {headers['content-length']} bytes, so the whole answer was there before it was sent."
        )
        fix = "return a StreamingResponse over an iterator; take out what collects the body on its way, such as a middleware."
        problems.append(Problem("content-length", what, fix))
    if arrived.packed:
        what = f"the body is compressed ({headers['content-encoding']}), and compressors hold back what is short."
        fix = (
            "leave text/event-stream out of the compression, as Starlette's GZipMiddleware does, or send "
            "`Content-Encoding: identity` with the stream."
        )
        problems.append(Problem("compression", what, fix))
    cache = {word.strip().lower() for word in headers.get("cache-control", "").split(",")}
    if not cache & {"no-cache", "no-store"}:
        is_ = f"is {headers['cache-control']!r}" if "cache-control" in headers else "is missing"
        what = f"the header {is_}, so a cache may keep one user's answer, and collects it whole to do so."
        problems.append(Problem("cache-control", what, 'headers={"Cache-Control": "no-cache"}.'))
    if headers.get("x-accel-buffering", "").strip().lower() != "no" and not behind_nginx(arrived):
        is_ = f"is {headers['x-accel-buffering']!r}" if "x-accel-buffering" in headers else "is missing"
        what = f"the header {is_}, so nginx, which buffers by default, holds the answer back until it is over."
        problems.append(Problem("x-accel-buffering", what, 'headers={"X-Accel-Buffering": "no"}.'))
    return problems


def behind_nginx(arrived: Arrived) -> bool:
    """Whether it came through nginx, which does what `X-Accel-Buffering` says and takes the header out."""
    return arrived.headers.get("server", "").lower().startswith(("nginx", "openresty"))


def check_first_byte(arrived: Arrived) -> list[Problem]:
    """A first byte must come before the last delta is made.

    Raises:
        NotChecked: nobody can tell.
    """
    if not arrived.chunks:
        msg = "nothing arrived"
        raise NotChecked(msg)
    at = arrived.at(arrived.chunks[0][0])
    if arrived.deltas is not None and arrived.deltas[1] > 1:
        before, made = arrived.deltas
        if before < made:
            return []
        what = f"the first byte came at {at}, when all {made} deltas of the answer had been made"
        return [_buffered(what, nginx=behind_nginx(arrived))]
    if len(arrived.events) < 2:
        msg = "the answer has fewer than two events"
        raise NotChecked(msg)
    if arrived.chunks[-1][0] > arrived.chunks[0][0]:
        return []
    if arrived.asked is not None and arrived.virtual and arrived.chunks[0][0] > arrived.asked:
        took = (arrived.chunks[0][0] - arrived.asked) / NS
        what = f"all {len(arrived.events)} events came at once at {at}, {took:.9g} s after the request"
        return [_buffered(what, sure=False)]
    msg = (
        "the whole answer came at one instant, and nobody knows when it was made: pass transcript=transcript, or give the "
        "answer time (script(…, every=0.05)) on virtual time"
    )
    raise NotChecked(msg)


def _buffered(what: str, *, nginx: bool = False, sure: bool = True) -> Problem:
    fix = (
        "yield each piece within the loop that reads the model's stream, and not after it; take out what collects the body "
        "on its way (a middleware, a list, a join)."
    )
    if not sure:
        fix += " If the model did say all of it at that instant: assert_streams(response, transcript=transcript), which tells."
    if nginx:
        fix = 'headers={"X-Accel-Buffering": "no"}, for nginx buffers by default; if it is there, ' + fix
    return Problem("first-byte", f"{what}: the user looks at an empty page until then.", fix)


def check_keep_alive(arrived: Arrived, seconds: float) -> list[Problem]:
    """Something must come at least every so many seconds, if only a comment."""
    ends = [arrived.ended] if arrived.ended is not None else []
    times = [arrived.began, *(ns for ns, _ in arrived.chunks), *ends]
    gap, since = max(((after - before, before) for before, after in pairwise(times)), default=(0, arrived.began))
    waited = type(arrived.broke).__name__ == "ReadTimeout"
    if gap <= round(seconds * NS) and not waited:
        return []
    if waited:
        what = f"nothing came after {arrived.at(times[-1])}, and the client gave up: {arrived.broke}."
    else:
        what = f"nothing came for {gap / NS:.9g} s after {arrived.at(since)}, where {seconds:g} s were allowed."
    fix = (
        f"send a comment, `: keep-alive` and a blank line, at least every {seconds:g} s while the model thinks "
        f"(sse-starlette: EventSourceResponse(…, ping={seconds:g}))."
    )
    return [Problem("keep-alive", f"{what} Proxies cut a connection that is silent: nginx after 60 s.", fix)]


def check_frames(arrived: Arrived) -> list[Problem]:
    """Every frame must be one that a browser reads whole."""
    problems = []
    try:
        arrived.body.decode()
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data" and arrived.ended is None
        if not cut:
            what = f"the byte at {error.start} is not UTF-8, and the browser reads U+FFFD there."
            problems.append(Problem("frames", what, "encode the stream as UTF-8, whatever the page's encoding is."))
    for number, frame in enumerate(arrived.frames, 1):
        problem = _frame_problem(frame, over=arrived.ended is not None)
        if problem is not None:
            what, fix = problem
            where = f"frame {number}, at byte {frame.offset}, {arrived.at(arrived.when(frame.offset))}"
            problems.append(Problem("frames", f"{where}: {what}", fix))
            if len(problems) >= 3:
                break
    return problems


def _frame_problem(frame: ServerSentEvent, *, over: bool) -> tuple[str, str] | None:
    text = frame.raw.decode(errors="replace")
    if frame.offset == 0:
        text = text.removeprefix("\ufeff")
    if not frame.complete:
        if not over:
            return None
        return (
            f"no blank line closes it, so the browser throws it away: {_quote(text)}.",
            r'end every event with a blank line: f"data: {text}\n\n".',
        )
    for line in _LINE.split(text):
        name = line.partition(":")[0]
        if name and name not in _FIELDS:
            return (
                f"the line {_quote(line)} belongs to no field, so the browser throws it away.",
                "write each line of the data with `data: ` before it; JSON on one line has none to forget.",
            )
        if name == "retry" and not line.partition(":")[2].strip().isdigit():
            return f"the line {_quote(line)} is no time in milliseconds.", "send `retry: 3000`, or none."
        if name == "id" and "\0" in line:
            return f"the line {_quote(line)} has a NUL in it, so the browser ignores it.", "take it out of the id."
    if not frame.dispatched and frame.event is not None:
        return (
            f"it has no data, so no listener hears of it: {_quote(text.strip())}.",
            "give it a line of data, if only `data: {}`.",
        )
    return None


def check_end(arrived: Arrived, end: End = None) -> list[Problem]:
    """There must be exactly one end, and nothing after it."""
    if arrived.broke is not None:
        what = f"the stream broke off: {arrived.broke}."
        return [
            Problem("end", what, "catch what fails in the iterator, and send an event that says so before the end.")
        ]
    events = arrived.events
    ends = _ends(events, end)
    if not ends:
        said = (
            "a last event that says so" if end is None else f"its end, {end!r}," if isinstance(end, str) else "its end"
        )
        what = (
            f"the stream ended without {said}, so the page cannot tell an answer that is over from a connection that broke, "
            "and EventSource asks again, which costs a second answer."
        )
        fix = "send `data: [DONE]` last; if it ends in another way: assert_streams(response, end=…)."
        if events and events[-1].data == f'"{_DONE}"':  # FastAPI writes a string that is yielded as JSON
            fix = 'send `data: [DONE]` without the quotes; with FastAPI: yield ServerSentEvent(raw_data="[DONE]").'
        return [Problem("end", what, fix)]
    if len(ends) > 1:
        what = f"it ended {len(ends)} times: {', '.join(_quote(events[i].data or '') for i in ends)}."
        return [Problem("end", what, "send the end in one place, such as the `finally` of the outermost iterator.")]
    late = events[ends[0] + 1 :]
    if late:
        what = f"{counted(len(late), 'event')} came after the end, the first {_quote(late[0].data or '')}: the page has stopped listening."
        return [Problem("end", what, "send the end last, when all that may still have something to say has ended.")]
    return []


def _ends(events: Sequence[ServerSentEvent], end: End) -> list[int]:
    if callable(end):
        return [i for i, event in enumerate(events) if end(event)]
    if end is not None:
        return [i for i, event in enumerate(events) if end in (event.data, event.event)]
    done = [i for i, event in enumerate(events) if event.data == _DONE]
    return done or [i for i, event in enumerate(events) if event.event in _ENDS or _type_of(event) in _ENDS]


def _type_of(event: ServerSentEvent) -> str:
    try:
        data = json.loads(event.data or "")
    except (ValueError, RecursionError):
        return ""
    kind = data.get("type") if isinstance(data, dict) else None
    return kind if isinstance(kind, str) else ""


def check_ids(arrived: Arrived) -> list[Problem]:
    """Where events have ids, they must increase, so that a browser can ask for what comes after one.

    Raises:
        NotChecked: they have none.
    """
    ids = [event.id for event in arrived.events if event.id is not None]
    if not ids:
        msg = "the events have no ids"
        raise NotChecked(msg)
    twice = next((id for id, times in Counter(ids).items() if times > 1), None)
    fix = "number the events of a run from 1 on, where they are made: f'id: {n}'."
    if twice is not None:
        return [Problem("ids", f"the id {twice!r} was given twice, so a browser cannot go on after it.", fix)]
    for before, after in pairwise(ids):
        first, second = _NUMBER.fullmatch(before), _NUMBER.fullmatch(after)
        if first and second and first[1] == second[1] and int(second[2]) < int(first[2]):
            return [Problem("ids", f"the id {after!r} came after {before!r}: they do not increase.", fix)]
    return []


def check_resumed(arrived: Arrived, last_event_id: str, resumed: Arrived) -> list[Problem]:
    """A stream that was asked for with ``Last-Event-ID`` must go on after that event: neither repeat one nor lose one."""
    whole = [_told(event) for event in arrived.events]
    at = next(i for i, event in enumerate(arrived.events) if event.id == last_event_id)
    expected, got = whole[at + 1 :], [_told(event) for event in resumed.events]
    if got == expected:
        return []
    asked = f"asked for what comes after the event {last_event_id!r}, with the header Last-Event-ID, the app"
    fix = (
        "keep the events of a run under their ids until it is over, apart from the request that began it, and begin after "
        "the one that Last-Event-ID names."
    )
    if resumed.status != 200:
        what = f"{asked} answered with status {resumed.status}."
    elif got == whole and at:
        what = f"{asked} began anew: it does not look at that header."
    else:
        repeated = [event for event in got if event in whole[: at + 1]]
        lost = [event for event in expected if event not in got]
        other = [event for event in got if event not in whole]
        parts = [
            *([f"repeated {_list(repeated)}"] if repeated else []),
            *([f"lost {_list(lost)}"] if lost else []),
            *([f"sent others, {_list(other)}"] if other else []),
        ]
        what = f"{asked} {' and '.join(parts) or 'sent the same in another order'}."
    return [Problem("resume", what, fix)]


def _told(event: ServerSentEvent) -> tuple[str | None, str | None, str | None]:
    return event.id, event.event, event.data


def _list(events: Iterable[tuple[str | None, str | None, str | None]]) -> str:
    return ", ".join(f"the event {id!r}" if id is not None else _quote(data or "") for id, _, data in events)


def _quote(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
