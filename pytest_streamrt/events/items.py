"""The durable lane: the items of produced context. An item is finished, replayable, and outlives the events it came from.

Whatever may stand in a model's context is defined here; what merely happens is an event, in `types`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FunctionCall", "FunctionCallOutput", "Item", "Message", "ModelMessage", "Reasoning"]


@dataclass(frozen=True)
class Message:
    """What somebody other than the model said: the user, the developer or the system."""

    text: str
    role: Literal["user", "developer", "system"] = "user"
    type: Literal["message"] = "message"


@dataclass(frozen=True)
class ModelMessage:
    """What the model said. A refusal is kept apart from the text, as providers do."""

    text: str
    refusal: str = ""
    choice: int = 0
    type: Literal["model_message"] = "model_message"


@dataclass(frozen=True)
class Reasoning:
    """What the model thought: its reasoning as text, its summary of it, or only the provider's encrypted form.

    `signature` is that by which the provider knows the text again when it is sent back.
    """

    text: str = ""
    summary: str = ""
    encrypted: str | None = None
    choice: int = 0
    signature: str | None = None
    type: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True)
class FunctionCall:
    """A tool the model wants called. `arguments` is JSON text, exactly as the model wrote it."""

    id: str
    name: str
    arguments: str
    choice: int = 0
    type: Literal["function_call"] = "function_call"


@dataclass(frozen=True)
class FunctionCallOutput:
    """What the tool answered to the call of that id."""

    id: str
    output: str
    type: Literal["function_call_output"] = "function_call_output"


Item = Message | ModelMessage | Reasoning | FunctionCall | FunctionCallOutput
"""Any item."""
