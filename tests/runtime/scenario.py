"""Whole stories of a room as plain data: who is in it, what they say and do on hearing what, and when somebody interferes.

`tests.runtime.story` acts them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True)
class Step:
    """Something that is done: by a participant on hearing something, by a tool, or by the test."""

    verb: str
    whom: int = 0  # which participant or inference, counted round and round
    amount: float = 0.0  # seconds, or a number of deltas


@dataclass(frozen=True)
class Rule:
    """What a participant does, once, when it hears an event of that type for the nth time."""

    on: str
    nth: int
    does: tuple[Step, ...]


@dataclass(frozen=True)
class Member:
    """A participant. It is an agent if it has answers."""

    inbox: Inbox | None
    pace: float  # seconds that it takes over each delta
    rules: tuple[Rule, ...]
    answers: tuple[Script, ...] | None = None
    manners: str = "good"
    tools: bool = False
    limits: dict[str, Any] = field(default_factory=dict)
    here: bool = True  # from the start


@dataclass(frozen=True)
class Scenario:
    """A story."""

    members: tuple[Member, ...]
    gates: tuple[str, ...]
    steps: tuple[Step, ...]  # one after the other, by the test
    ending: tuple[str, float]


GATES = ("stop", "hold", "double", "swallow", "break", "leakage")

MANNERS = ("raises", "waits", "goes on after its end", "slow to close", "refuses to close", "breaks when closed",
           "cannot be closed")  # fmt: skip

seconds = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 2.0])
numbers = st.integers(0, 5)


def steps(*verbs):
    return st.builds(Step, st.sampled_from(verbs), numbers, seconds)


heard = steps(
    "abort", "abort", "infer", "short", "ask", "wait", "wait_shortly", "settled", "sleep", "sleep", "signal", "handoff",
    "join", "leave", "go", "fail", "abort_twice", "abort_cancelled",
)  # fmt: skip
done = steps(
    "infer", "infer", "infer", "infer", "sleep", "sleep", "sleep", "short", "ask", "abort", "abort_twice",
    "abort_cancelled", "wait", "wait_shortly", "settled", "signal", "handoff", "join", "leave",
)  # fmt: skip

TYPES = (
    "text.delta", "text.delta", "text.delta", "reasoning.delta", "inference.started", "inference.completed",
    "inference.aborted", "inference.failed", "item.completed", "tool_call.started", "tool.result", "signal",
    "participant.joined", "participant.left", "participant.failed",
)  # fmt: skip


def rules_on(types):
    return st.builds(
        Rule, st.sampled_from(types), st.integers(1, 3), st.lists(heard, min_size=1, max_size=2).map(tuple)
    )


rules = rules_on(TYPES)

calls = st.builds(
    tool_call,
    st.sampled_from(["nap", "breaks", "stubborn", "stop", "ask", "unknown"]),
    st.sampled_from([{"seconds": 0}, {"seconds": 1}, {"seconds": 2}, {}, "["]),
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

INFER = Step("infer")
JUST_WOKEN = Scenario(
    members=(
        Member(
            Inbox.block(1),
            0.0,
            (Rule("text.delta", 1, (INFER, INFER)),),
            (script(reasoning("x", "y"), "a"),),
            limits={"max_rounds": 1, "max_parallel_tools": 1},
        ),
        Member(None, 0.0, (Rule("text.delta", 1, (INFER,)),), (script("a", "a"),)),
        Member(
            Inbox.block(1), 0.25, (Rule("text.delta", 1, (Step("abort"),)), Rule("text.delta", 3, (Step("abort"),)))
        ),
    ),
    gates=(),
    steps=(INFER, INFER),
    ending=("settle", 0.0),
)
"""An abort comes when its stream has just been woken, as there is room: it went back to wait, and how often hung on the backend."""

NOT_BEGUN = Scenario(
    members=(
        Member(
            None,
            0.0,
            (Rule("inference.started", 1, (Step("abort_twice"),)),),
            (script("a", "a"),),
            manners="breaks when closed",
        ),
        Member(
            None,
            0.0,
            (Rule("inference.started", 1, (Step("abort_cancelled", 1),)),),
            (script("a", "a"),),
        ),
    ),
    gates=(),
    steps=(INFER, INFER),
    ending=("settle", 0.0),
)
"""An abort comes before its stream has begun: the model was asked all the same, and how soon that ended hung on the backend."""

WOKEN_AND_CANCELLED = Scenario(
    members=(
        Member(
            None,
            0.0,
            (Rule("text.delta", 1, (Step("settled"), Step("fail"))),),
            (script("a", "a", every=0.25),),
            limits={"max_rounds": 1, "max_parallel_tools": 1},
        ),
        Member(None, 0.0, (Rule("text.delta", 1, (Step("abort"),)),), (script("a", "a"),)),
    ),
    gates=(),
    steps=(INFER, Step("ask")),
    ending=("raise", 0.0),
)
"""A room is left by an error as a handler in it is woken: whether it went on, and failed, hung on the backend."""
