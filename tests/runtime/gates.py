"""Gates that tests are made of, and what comes through them."""

from __future__ import annotations

from pytest_streamrt.events import (
    ItemCompleted,
    ModelMessage,
    TextDelta,
)
from pytest_streamrt.runtime.gate import Gate, Hold, Pass
from pytest_streamrt.runtime.gate_chain import GateChain


class Rule(Gate):
    """A gate that decides by a function, and remembers what it was asked."""

    def __init__(self, rule, name="Rule", flush=None):
        self.rule = rule
        self.name = name
        self.flushed = flush
        self.asked = []

    def check(self, event):
        self.asked.append(event)
        return self.rule(event)

    def flush(self, end):
        return super().flush(end) if self.flushed is None else self.flushed(end)

    def fresh(self):
        return self


class Sentences(Gate):
    """Lets text go on by the sentence."""

    def check(self, event):
        return Hold if event.type == "text.delta" and not event.text.endswith(".") else Pass


def through(gates, *events, end="completed"):
    chain = GateChain(gates)
    return [out for event in events for out in chain.take(event)] + chain.flush(end)


def said(*pieces):
    return [*map(TextDelta, pieces), ItemCompleted(ModelMessage("".join(pieces)))]


def only_text(verdict):
    return lambda event: verdict if event.type == "text.delta" else Pass
