"""Fakes that are honest: a script, played in process."""

from pytest_streamrt.fake.model import FakeCall, FakeModel

__all__ = ["FakeCall", "FakeModel"]
