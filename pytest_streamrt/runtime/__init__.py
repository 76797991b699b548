"""The runtime core: a room where everyone hears everyone while it is being said, and anyone can say stop.

Usable without pytest, on real time, on asyncio and trio.
"""

from pytest_streamrt.runtime.agent import Agent, Model
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.environment import Environment, EventLog
from pytest_streamrt.runtime.inference import Inference, Outcome
from pytest_streamrt.runtime.participant import Observer, Participant
from pytest_streamrt.runtime.tools import Tool, report_progress

__all__ = [
    "Agent",
    "Environment",
    "EventLog",
    "Inference",
    "Model",
    "ModelContext",
    "Observer",
    "Outcome",
    "Participant",
    "Tool",
    "report_progress",
]
