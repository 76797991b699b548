"""What the plugin keeps of a test while it runs, in the item's stash. Nothing is kept anywhere else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_streamrt.cassette import Cassette
    from pytest_streamrt.cassette.guard import NetworkGuard
    from pytest_streamrt.clock import VirtualClock
    from pytest_streamrt.fake import FakeProvider
    from pytest_streamrt.transcript import Transcript

__all__ = ["TestState", "begin_state", "state_of"]


class TestState:
    """One test's own objects; each is made when it is first needed."""

    __test__ = False  # a name that pytest would collect

    def __init__(self) -> None:
        self.transcript_made: Transcript | None = None
        self.clock: VirtualClock | None = None
        self.cassette: Cassette | None = None
        self.guard: NetworkGuard | None = None
        self.provider: FakeProvider | None = None
        self.has_environment = False
        self.has_app = False
        self.open = ExitStack()
        """What is to be closed at the end of the test."""

    @property
    def used(self) -> bool:
        """Whether the test has anything of ours."""
        return self.transcript_made is not None or self.clock is not None or self.cassette is not None

    @property
    def transcript(self) -> Transcript:
        """The test's transcript."""
        if self.transcript_made is None:
            from pytest_streamrt.transcript import Transcript

            self.transcript_made = Transcript()
        return self.transcript_made


_KEY = pytest.StashKey[TestState]()


def begin_state(item: pytest.Item) -> None:
    """The test begins, perhaps not for the first time: some plugins run a failing test again."""
    item.stash[_KEY] = TestState()


def state_of(item: pytest.Item) -> TestState:
    """The state of that test."""
    return item.stash.setdefault(_KEY, TestState())
