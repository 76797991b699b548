"""Whole stories of a room as plain data: who is in it, what they say and do on hearing what, and when somebody interferes.

`tests.runtime.story` acts them out, what is done one by one in `tests.runtime.deeds`.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from hypothesis import strategies as st

from pytest_streamrt import (
    Inbox,
    Script,
    disconnect,
    error,
    pause,
    reasoning,
    refusal,
    script,
    stall,
    tool_call,
    usage,
)

PATIENCE = 30.0  # seconds of virtual time that any inference may last: stalls end, and so does each story


class _Short:
    """Shown without what is as usual, so that a story that was found can be read, and pasted."""

    def __repr__(self):
        shown = []
        for each in fields(self):
            value = getattr(self, each.name)
            usual = each.default if each.default_factory is MISSING else each.default_factory()
            if value != usual:
                shown.append(f"{each.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Step(_Short):
    """Something that is done: by a participant on hearing something, or by the test."""

    verb: str
    whom: int = 0  # which participant or inference, counted round and round
    amount: float = 0.0  # seconds, or a number of deltas
    does: tuple[Step, ...] = ()  # in a scope or a task group, where the verb is of one


@dataclass(frozen=True, repr=False)
class Rule(_Short):
    """What a participant does, once, when it hears an event of that type, or in that handler, for the nth time."""

    on: str
    nth: int
    does: tuple[Step, ...]


@dataclass(frozen=True, repr=False)
class Member(_Short):
    """A participant. It is an agent if it has answers."""

    inbox: Inbox | None
    pace: float  # seconds that it takes over each delta
    rules: tuple[Rule, ...]
    answers: tuple[Script, ...] | None = None
    manners: str = "good"
    tools: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    here: bool = True  # from the start


@dataclass(frozen=True, repr=False)
class Scenario(_Short):
    """A story."""

    members: tuple[Member, ...]
    gates: tuple[str, ...]
    steps: tuple[Step, ...]  # one after the other, by the test
    ending: tuple[str, float]


GATES = ("stop", "stop item", "stop reasoning", "hold", "hold all", "double", "swallow", "break", "break at end",
         "leakage")  # fmt: skip

MANNERS = ("raises", "waits", "times out", "works in a group", "goes on after its end", "slow to close",
           "refuses to close", "breaks when closed", "cannot be closed")  # fmt: skip

TOOLS = ("nap", "breaks", "stubborn", "stop", "ask", "ask_in_time", "start", "tell", "report", "team", "unknown")

HANDLERS = ("on_joined", "on_left", "on_participant_joined", "on_participant_left", "on_participant_error",
            "on_message", "on_model_message", "on_external_model_message", "on_external_function_call_output")  # fmt: skip
"""Those that stories act in, beside the ones for all events."""

NESTS = ("together", "together", "within", "fail_within", "revocable", "shielded")
"""Verbs that do other steps: at once, in a task group, or one after the other in a scope."""

seconds = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 2.0])
numbers = st.integers(0, 5)

HEARD = (
    "abort", "abort", "infer", "short", "ask", "wait", "wait_shortly", "settled", "sleep", "sleep", "signal", "handoff",
    "join", "leave", "go", "fail", "abort_twice", "abort_cancelled", "revoke", "await_word", "give_word",
    "insist", "emitted",
)  # fmt: skip
DONE = (
    "infer", "infer", "infer", "infer", "sleep", "sleep", "sleep", "short", "ask", "abort", "abort_twice",
    "abort_cancelled", "wait", "wait_shortly", "settled", "signal", "handoff", "join", "leave", "revoke", "await_word",
    "give_word", "emitted",
)  # fmt: skip


def steps(verbs, *rare):
    """Steps of these verbs, and now and then of the rare ones, alone or in scopes and task groups, two deep at most."""
    plain = st.builds(Step, st.sampled_from(verbs), numbers, seconds)
    seldom = st.builds(Step, st.sampled_from([*verbs, *rare]), numbers, seconds)

    def nested(inner):
        return st.builds(
            Step, st.sampled_from(NESTS), numbers, seconds, st.lists(inner, min_size=1, max_size=3).map(tuple)
        )

    return st.one_of(plain, plain, seldom, nested(plain), nested(st.one_of(plain, seldom, nested(plain))))


heard = steps(HEARD, "cancel_room")
done = steps(DONE, "fail", "insist")

TYPES = (
    "text.delta", "text.delta", "text.delta", "reasoning.delta", "inference.started", "inference.completed",
    "inference.aborted", "inference.failed", "item.completed", "tool_call.started", "tool.result", "signal",
    "participant.joined", "participant.left", "participant.failed",
)  # fmt: skip

rules = st.builds(
    Rule,
    st.one_of(st.sampled_from(TYPES), st.sampled_from(TYPES), st.sampled_from(HANDLERS)),
    st.integers(1, 3),
    st.lists(heard, min_size=1, max_size=2).map(tuple),
)

calls = st.builds(
    tool_call, st.sampled_from(TOOLS), st.sampled_from([{"seconds": 0}, {"seconds": 1}, {"seconds": 2}, {}, "["])
)
parts = st.one_of(
    st.sampled_from(["a", "b", "abc", "é", "cab"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([reasoning("x", "y"), refusal("no"), usage(1, 2), pause(1)]),
    calls,
)
faults = st.sampled_from([(), (), (), (), (stall(),), (disconnect(),), (error("server_error"),)])
scripts = st.builds(
    lambda parts, fault, every: script(*parts, *fault, every=every),
    st.lists(parts, min_size=2, max_size=8),
    faults,
    st.sampled_from([0, 0.25, 1]),
)
inboxes = st.one_of(
    st.none(),
    st.just(Inbox.unbounded()),
    st.builds(
        lambda make, n: make(n), st.sampled_from([Inbox.block, Inbox.drop_oldest, Inbox.coalesce]), st.integers(1, 3)
    ),
)
common = {
    "inbox": inboxes,
    "pace": st.sampled_from([0.0, 0.0, 0.25, 1.0]),
    "rules": st.lists(rules, min_size=1, max_size=4).map(tuple),
    "here": st.sampled_from([True, True, True, False]),
}
limits = st.fixed_dictionaries(
    {
        "tool_timeout": st.sampled_from([None, 1.5]),
        "max_rounds": st.integers(1, 3),
        "max_parallel_tools": st.integers(1, 2),
    }
)
observers = st.builds(Member, **common)
agents = st.builds(
    Member,
    **common,
    answers=st.lists(scripts, min_size=1, max_size=3).map(tuple),
    manners=st.one_of(st.just("good"), st.just("good"), st.sampled_from(MANNERS)),
    tools=st.booleans(),
    limits=limits,
)
endings = st.one_of(
    st.just(("settle", 0.0)),
    st.just(("settle", 0.0)),
    st.just(("raise", 0.0)),
    st.tuples(st.just("cancel"), st.sampled_from([0.1, 0.25, 1.0, 2.5])),
)
scenarios = st.builds(
    Scenario,
    members=st.builds(
        lambda first, others: (replace(first, here=True), *others),
        agents,
        st.lists(st.one_of(agents, observers), min_size=1, max_size=3),
    ),
    gates=st.one_of(st.just(()), st.lists(st.sampled_from(GATES), max_size=2).map(tuple)),
    steps=st.lists(done, min_size=1, max_size=7).map(lambda steps: (Step("infer"), *steps)),
    ending=endings,
)
"""Any story."""
