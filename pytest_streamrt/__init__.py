"""Deterministic tests for streaming agents.

The public names are listed here and loaded when they are first used: this package is imported at every start of pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_streamrt.script import script

if TYPE_CHECKING:
    from pytest_streamrt.cassette import Cassette, CassetteTransport, use_cassette
    from pytest_streamrt.clock import VirtualClock, no_task_leaks, virtual_time
    from pytest_streamrt.edge import StreamingASGITransport, assert_streams
    from pytest_streamrt.errors import (
        CassetteError,
        CassetteMiss,
        ClockError,
        InferenceFailed,
        LeftBehind,
        NetworkBlocked,
        NotReplayable,
        ProviderMiss,
        ScriptError,
        StreamError,
        StreamrtError,
        StreamrtWarning,
        TranscriptError,
        VirtualTimeStuck,
        WouldDeadlock,
    )
    from pytest_streamrt.events import Signal, fold
    from pytest_streamrt.fake import FakeModel, FakeProvider, fake_provider_context
    from pytest_streamrt.models import OpenAIChatModel, OpenAIResponsesModel
    from pytest_streamrt.runtime import (
        Agent,
        Emit,
        Environment,
        Gate,
        Hold,
        Inbox,
        Inference,
        LeakageGate,
        ModelContext,
        Observer,
        Outcome,
        Participant,
        Pass,
        Stop,
        Tool,
        report_progress,
    )
    from pytest_streamrt.script.build import Script
    from pytest_streamrt.script.faults import corrupt, duplicate, http, misbehave, truncate
    from pytest_streamrt.script.parts import (
        choice,
        citation,
        disconnect,
        error,
        finish,
        interleave,
        pause,
        reasoning,
        refusal,
        stall,
        status,
        tool_call,
        usage,
    )
    from pytest_streamrt.transcript import Transcript, hidden

__version__ = "0.1.0"

_HOMES = {
    "cassette": ("Cassette", "CassetteTransport", "use_cassette"),
    "clock": ("VirtualClock", "no_task_leaks", "virtual_time"),
    "edge": ("StreamingASGITransport", "assert_streams"),
    "errors": (
        "CassetteError",
        "CassetteMiss",
        "ClockError",
        "InferenceFailed",
        "LeftBehind",
        "NetworkBlocked",
        "NotReplayable",
        "ProviderMiss",
        "ScriptError",
        "StreamError",
        "StreamrtError",
        "StreamrtWarning",
        "TranscriptError",
        "VirtualTimeStuck",
        "WouldDeadlock",
    ),
    "events": ("Signal", "fold"),
    "fake": ("FakeModel", "FakeProvider", "fake_provider_context"),
    "models": ("OpenAIChatModel", "OpenAIResponsesModel"),
    "runtime": (
        "Agent",
        "Emit",
        "Environment",
        "Gate",
        "Hold",
        "Inbox",
        "Inference",
        "LeakageGate",
        "ModelContext",
        "Observer",
        "Outcome",
        "Participant",
        "Pass",
        "Stop",
        "Tool",
        "report_progress",
    ),
    "script.build": ("Script",),
    "script.faults": ("corrupt", "duplicate", "http", "misbehave", "truncate"),
    "script.parts": (
        "choice",
        "citation",
        "disconnect",
        "error",
        "finish",
        "interleave",
        "pause",
        "reasoning",
        "refusal",
        "stall",
        "status",
        "tool_call",
        "usage",
    ),
    "transcript": ("Transcript", "hidden"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Agent",
    "Cassette",
    "CassetteError",
    "CassetteMiss",
    "CassetteTransport",
    "ClockError",
    "Emit",
    "Environment",
    "FakeModel",
    "FakeProvider",
    "Gate",
    "Hold",
    "Inbox",
    "Inference",
    "InferenceFailed",
    "LeakageGate",
    "LeftBehind",
    "ModelContext",
    "NetworkBlocked",
    "NotReplayable",
    "Observer",
    "OpenAIChatModel",
    "OpenAIResponsesModel",
    "Outcome",
    "Participant",
    "Pass",
    "ProviderMiss",
    "Script",
    "ScriptError",
    "Signal",
    "Stop",
    "StreamError",
    "StreamingASGITransport",
    "StreamrtError",
    "StreamrtWarning",
    "Tool",
    "Transcript",
    "TranscriptError",
    "VirtualClock",
    "VirtualTimeStuck",
    "WouldDeadlock",
    "__version__",
    "assert_streams",
    "choice",
    "citation",
    "corrupt",
    "disconnect",
    "duplicate",
    "error",
    "fake_provider_context",
    "finish",
    "fold",
    "hidden",
    "http",
    "interleave",
    "misbehave",
    "no_task_leaks",
    "pause",
    "reasoning",
    "refusal",
    "report_progress",
    "script",
    "stall",
    "status",
    "tool_call",
    "truncate",
    "usage",
    "use_cassette",
    "virtual_time",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        from pytest_streamrt.wording import did_you_mean

        __tracebackhide__ = True
        hint = "" if name.startswith("_") else did_you_mean(name, __all__)
        msg = f"module {__name__!r} has no attribute {name!r}.{hint}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
