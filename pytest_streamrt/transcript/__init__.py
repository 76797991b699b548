"""One log of everything in a test, and what can be asked of it: expectations, laws, drawings."""

from pytest_streamrt.transcript import hidden
from pytest_streamrt.transcript.exchange import Exchange
from pytest_streamrt.transcript.expect import Expectation
from pytest_streamrt.transcript.laws import LawReport
from pytest_streamrt.transcript.leakage import Leak
from pytest_streamrt.transcript.log import Transcript

__all__ = ["Exchange", "Expectation", "LawReport", "Leak", "Transcript", "hidden"]
