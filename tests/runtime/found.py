"""Stories that random runs of `test_laws_hold` have found, as small as they get: each is told in every run of the suite."""

from __future__ import annotations

from pytest_streamrt import Inbox, reasoning, script
from tests.runtime.scenario import Member, Rule, Scenario, Step

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

OUT_OF_A_GROUP = Scenario(
    members=(Member(None, 0.0, (Rule("inference.aborted", 1, (Step("go"),)),), (script("a", "a", every=1),)),),
    gates=(),
    steps=(Step("together", does=(Step("ask"),)),),
    ending=("cancel", 0.25),
)
"""A scope around the room is cancelled as the test is in a task group: what was heard until it came out of that hung on the backend."""

BETWEEN_NANOSECONDS = Scenario(
    members=(Member(None, 0.0, (), (script("b", "b", every=1),)),),
    gates=(),
    steps=(INFER, Step("sleep", amount=0.1), Step("fail_within", amount=0.2, does=(Step("wait"),))),
    ending=("settle", 0.0),
)
"""A timeout ends a little after a nanosecond, and on trio raised nothing then."""

HELD_TOGETHER = Scenario(
    members=(Member(None, 0.0, (), (script("b", "b"),)),),
    gates=(),
    steps=(INFER, INFER, Step("emitted")),
    ending=("settle", 0.0),
)
"""Two answers of one fake wait until a test that waited for its deltas has run: which went on first hung on memory addresses, on trio."""

NOT_LENT = Scenario(
    members=(
        Member(
            Inbox.block(1),
            0.0,
            (Rule("text.delta", 1, (INFER,)),),
            (script("a", "a"),),
            limits={"max_rounds": 1, "max_parallel_tools": 1},
        ),
        Member(None, 0.0, (Rule("text.delta", 1, (Step("abort"),)),), (script("a", "a"),)),
        Member(
            Inbox.block(1),
            0.0,
            (Rule("text.delta", 1, (Step("abort"),)), Rule("text.delta", 2, (Step("abort_cancelled", 2),))),
        ),
    ),
    gates=(),
    steps=(INFER, INFER),
    ending=("settle", 0.0),
)
"""A handler waits where it is cancelled already: until it was told so, its inbox was lent, and how long that took hung on the backend."""
