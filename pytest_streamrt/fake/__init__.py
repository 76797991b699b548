"""Fakes that are honest: a script, played in process, or on the wire of each provider."""

from pytest_streamrt.fake.calls import ProviderCall
from pytest_streamrt.fake.model import FakeCall, FakeModel
from pytest_streamrt.fake.provider import FakeProvider, fake_provider_context

__all__ = ["FakeCall", "FakeModel", "FakeProvider", "ProviderCall", "fake_provider_context"]
