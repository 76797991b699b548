"""What is kept of a recording, and whether it may take the place of the cassette that is there. Nothing is read or written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pytest_streamrt.cassette.config import CassetteConfig, RecordedResponse
from pytest_streamrt.cassette.interaction import Chunks, Interaction
from pytest_streamrt.cassette.matching import Asked, Matcher
from pytest_streamrt.errors import CassetteError
from pytest_streamrt.wording import counted

__all__ = ["Failure", "altered", "asked_of", "later", "only_errors", "why_not"]

Failure = Literal["assertion", "error"]
"""How a test failed that recorded: something it expected was not so, or it could not go on."""


def asked_of(recorded: Interaction) -> Asked:
    """The request of a recorded exchange."""
    return Asked(recorded.method, recorded.url, recorded.headers, recorded.body)


def altered(recorded: Interaction, config: CassetteConfig) -> Interaction | None:
    """The exchange as the user's function has its response; None if it is not to be kept."""
    change = config.before_record_response
    if change is None or recorded.status is None:
        return recorded
    response = RecordedResponse(
        recorded.status, list(recorded.response_headers), [chunk.data for chunk in recorded.chunks]
    )
    changed = change(response)
    if changed is None:
        return None
    if not isinstance(changed, RecordedResponse):
        raise CassetteError(f"before_record_response returns the response, or None to drop it, not {changed!r:.200}")
    if len(changed.chunks) != len(recorded.chunks):
        msg = (
            f"before_record_response has made {counted(len(changed.chunks), 'chunk')} of {len(recorded.chunks)}: it may change what is "
            "in them, and not how many there are"
        )
        raise CassetteError(msg)
    return replace(
        recorded,
        status=changed.status,
        response_headers=tuple(changed.headers),
        chunks=Chunks(Chunks.of(recorded.chunks).times, changed.chunks),
    )


def later(recorded: Interaction, by: int) -> Interaction:
    """The exchange, so many microseconds later."""
    if not by:
        return recorded
    return replace(
        recorded,
        at=recorded.at + by,
        response_at=recorded.response_at + by,
        chunks=Chunks.of(recorded.chunks).later(by),
        end_at=recorded.end_at + by,
    )


def why_not(
    old: Sequence[Interaction],
    new: Sequence[Interaction],
    matcher: Matcher,
    *,
    failure: Failure | None,
    record_errors: bool,
) -> str | None:
    """Why a recording may not take the place of what there is, or None if it may.

    Nothing is lost where there was nothing. A complete cassette does not give way to one in which a request has had no answer
    but an error; nor to a fragment, which a test leaves that failed half-way.
    """
    if not old:
        return None
    broken = _unanswered(new, matcher)
    if broken is not None and not record_errors and _unanswered(old, matcher) is None:
        return (
            f"{broken.method} {broken.url} {_ending(broken)}. If that is what the test is about, "
            "record it: pytest --streamrt-record-errors"
        )
    if failure == "error":
        return "the test broke off with an error, so the recording may be a fragment. Mend the test and record it again"
    if failure == "assertion" and (len(new) < len(old) or _cut(new) > _cut(old)):
        return (
            f"the test failed before it had made all the requests that are there ({counted(len(new), 'exchange')}, "
            f"{_cut(new)} of them closed half-way; there are {len(old)} and {_cut(old)}). Mend the test and record it again"
        )
    return None


def only_errors(recorded: Sequence[Interaction]) -> str | None:
    """What became of the first request, where all that was recorded is errors; else None."""
    if not recorded or not all(_failed(each) for each in recorded):
        return None
    return f"{recorded[0].method} {recorded[0].url} {_ending(recorded[0])}"


def _unanswered(recorded: Sequence[Interaction], matcher: Matcher) -> Interaction | None:
    """A request that failed, and did not succeed when it was tried again."""
    for number, each in enumerate(recorded):
        if _failed(each) and not any(
            not _failed(other) and matcher.matches(other, asked_of(each)) for other in recorded[number + 1 :]
        ):
            return each
    return None


def _failed(recorded: Interaction) -> bool:
    return (recorded.status or 0) >= 400 or recorded.how in ("disconnected", "timeout", "failed")


def _cut(recorded: Sequence[Interaction]) -> int:
    return sum(each.how == "client" for each in recorded)


def _ending(recorded: Interaction) -> str:
    if (recorded.status or 0) >= 400:
        return f"was answered with HTTP {recorded.status}"
    what = {"disconnected": "lost its connection", "timeout": "timed out"}.get(recorded.how or "", "failed")
    return f"{what} ({recorded.error[0]})" if recorded.error else what
