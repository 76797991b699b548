"""The runtime core: a room where everyone hears everyone while it is being said, and anyone can say stop.

Usable without pytest, on real time, on asyncio and trio.
"""

from pytest_streamrt.runtime.agent import Agent, Model
from pytest_streamrt.runtime.context import ModelContext
from pytest_streamrt.runtime.environment import Environment
from pytest_streamrt.runtime.gate import Emit, Gate, GateFailed, Hold, Pass, Stop
from pytest_streamrt.runtime.inbox import Inbox
from pytest_streamrt.runtime.inference import Inference, Outcome
from pytest_streamrt.runtime.leakage import LeakageGate
from pytest_streamrt.runtime.order import EventLog
from pytest_streamrt.runtime.participant import Observer, Participant
from pytest_streamrt.runtime.tools import Tool, report_progress

__all__ = [
    "Agent",
    "Emit",
    "Environment",
    "EventLog",
    "Gate",
    "GateFailed",
    "Hold",
    "Inbox",
    "Inference",
    "LeakageGate",
    "Model",
    "ModelContext",
    "Observer",
    "Outcome",
    "Participant",
    "Pass",
    "Stop",
    "Tool",
    "report_progress",
]
