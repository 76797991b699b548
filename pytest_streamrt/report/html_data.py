"""What a page shows of a transcript, as plain JSON values: compact, without secrets, and whole where it must be.

Nothing here knows what the page looks like; nothing in the page knows what a transcript is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.clock import NS
from pytest_streamrt.events.order import DELTAS, piece_of
from pytest_streamrt.events.types import Event
from pytest_streamrt.report.masking import Cleaner, masked
from pytest_streamrt.transcript.laws import LAWS, check_laws
from pytest_streamrt.transcript.leakage import Leak
from pytest_streamrt.transcript.stories import story_of
from pytest_streamrt.wording import counted

__all__ = ["Problem", "page_data"]

Logged = Sequence[tuple[object, Event]]
"""Events, each with who numbered it."""

_HEADER: Final = frozenset(f.name for f in fields(Event))
_LONGEST: Final = 4_000  # characters of one value shown; deltas are always whole
_DEEPEST: Final = 8  # levels of a value shown
_BREACHES: Final = 40  # breaches of laws that are told one by one
_MOST: Final = 200  # entries of a list or a mapping shown


class Problem(NamedTuple):
    """Something that is wrong, and the events in which it shows, by their place in the transcript."""

    title: str
    text: str
    events: tuple[int, ...] = ()


def page_data(
    logged: Logged,
    *,
    title: str,
    virtual: bool,
    outcome: str = "",
    facts: Sequence[str] = (),
    problems: Iterable[Problem] = (),
    leaks: Iterable[Leak] = (),
    index: bool = False,
    redactor: Redactor | None = None,
    secrets: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """All that the page of a transcript needs.

    Args:
        logged: its events, in order, with their origins.
        title: what the page is about: the test.
        virtual: whether its times are virtual.
        outcome: "passed", "failed" or "skipped"; "" where there is no test.
        facts: whatever else is to stand at the top, such as how long it really took.
        problems: what is wrong with it, beside its leaks and the laws it breaks.
        leaks: what was shown and should not have been.
        index: whether there is an index beside the page.
        redactor: what takes out secrets; by default one that knows those of the environment.
        secrets: what `assert_no_leak` was given, as of `Transcript.secrets`: that is taken out as well.
    """
    cleaner = masked(redactor, secrets or {})
    clean = _shortened(cleaner)
    sources: dict[str, int] = {}
    types: dict[str, int] = {}
    inferences: dict[Hashable, int] = {}
    names: list[str] = []
    places = {(id(origin), event.seq): n for n, (origin, event) in enumerate(logged)}
    texts = _texts(logged, cleaner)
    rows = []
    for n, (origin, event) in enumerate(logged):
        inference = -1
        story = story_of(origin, event)
        if story is not None and event.inference is not None:
            inference = inferences.setdefault(story, len(inferences))
            if inference == len(names):
                names.append(clean(event.inference))
        row: list[Any] = [
            round(event.time * NS),
            sources.setdefault(event.source, len(sources)),
            types.setdefault(event.type, len(types)),
            event.seq,
            inference,
            places.get((id(origin), event.cause), -1) if event.cause is not None else -1,
        ]
        own = _own_fields(event, clean)
        if n in texts or own:
            row.append(texts.get(n, ""))
        if own:
            row.append(own)
        rows.append(row)
    wrong = [*problems, *_leaked(logged, leaks), *_lawless(logged)]
    return {
        "title": clean(title),
        "virtual": virtual,
        "outcome": outcome,
        "facts": [clean(fact) for fact in facts],
        "index": index,
        "sources": [clean(source) for source in sources],
        "types": list(types),
        "inferences": names,
        "events": rows,
        "problems": [{"title": clean(p.title), "text": clean(p.text), "events": p.events} for p in wrong],
    }


def _leaked(logged: Logged, leaks: Iterable[Leak]) -> list[Problem]:
    leaks = list(leaks)
    places = {id(event): n for n, (_, event) in enumerate(logged)} if leaks else {}
    return [
        Problem(
            f"Leaked: {leak.hidden}",
            str(leak),
            tuple(places[id(event)] for event in leak.events if id(event) in places),
        )
        for leak in leaks
    ]


def _lawless(logged: Logged) -> list[Problem]:
    """The laws that the transcript breaks, with the events that the breach names."""
    broken = check_laws(logged, ()).broken
    if not broken:
        return []
    named = [(n, repr(event), event.inference) for n, (_, event) in enumerate(logged)]
    found = []
    for law, what in broken[:_BREACHES]:
        at = [n for n, shown, _ in named if shown in what]
        if not at:  # it names the inference alone
            at = [n for n, _, inference in named if inference and what.startswith(inference)][-1:]
        found.append(Problem(f"Law {law} is broken: {LAWS[law]}", what, tuple(at[:20])))
    if len(broken) > _BREACHES:
        laws = ", ".join(map(str, sorted({law for law, _ in broken})))
        more = counted(len(broken) - _BREACHES, "more breach", "more breaches")
        found.append(Problem(more, f"of the laws {laws} in all"))
    return found


def _own_fields(event: Event, clean: Callable[[str], str]) -> dict[str, Any]:
    said = ("text", "arguments") if event.type in DELTAS else ()
    return {
        name: _plain(value, clean)
        for name, value in vars(event).items()
        if name not in _HEADER and name not in said and value is not None and value not in ("", (), {}, 0, False)
    }


def _texts(logged: Logged, cleaner: Cleaner) -> dict[int, str]:
    """What each delta says, by its place. A secret is taken out also where it is cut across several."""
    runs: dict[Hashable, list[tuple[int, str]]] = defaultdict(list)
    for n, (origin, event) in enumerate(logged):
        if event.type in DELTAS:
            which = (id(origin), event.inference, event.source, event.type, getattr(event, "id", None))
            runs[which, getattr(event, "item", None), getattr(event, "choice", 0)].append((n, _whole(piece_of(event))))
    texts: dict[int, str] = {}
    for run in runs.values():
        pieces = cleaner.pieces([text for _, text in run])
        texts.update((n, piece) for (n, _), piece in zip(run, pieces, strict=True))
    return texts


def _shortened(cleaner: Cleaner) -> Callable[[str], str]:
    """Takes secrets out of a text, and shortens it."""

    def clean(text: str) -> str:
        text = cleaner.text(_whole(text))
        left = len(text) - _LONGEST
        return text if left <= 0 else f"{text[:_LONGEST]}… ({counted(left, 'character')} more)"

    return clean


def _plain(value: Any, clean: Callable[[str], str], depth: int = 0) -> Any:
    """A value as JSON can hold it, and a browser read it. What is neither data nor ours is named by its class."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clean(value)
    if depth == _DEEPEST:
        return "…"
    if is_dataclass(value) and not isinstance(value, type):
        value = {name: each for name, each in vars(value).items() if each not in (None, "", (), 0)}
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MOST]
        return {clean(str(key)): _plain(each, clean, depth + 1) for key, each in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, clean, depth + 1) for each in list(value)[:_MOST]]
    return f"<{type(value).__qualname__}>"


def _whole(text: str) -> str:
    """The text, with halves of characters, which UTF-8 cannot hold, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
