"""The events of the Responses API by which an item is told, written by hand, for the tests of that dialect."""

from __future__ import annotations

from tests.providers.streams import event

CALL = {"type": "function_call", "id": "fc1", "call_id": "c1", "name": "f"}


def text(delta, item="m1"):
    return event("output_text.delta", item_id=item, output_index=0, content_index=0, delta=delta)


def added(item):
    return event("output_item.added", output_index=0, item=item)


def done(item):
    return event("output_item.done", output_index=0, item=item)


def arguments(kind, **more):
    return event(f"function_call_arguments.{kind}", output_index=0, **more)


def message(*parts):
    return {"type": "message", "id": "m1", "role": "assistant", "content": list(parts)}


def output_text(text):
    return {"type": "output_text", "text": text, "annotations": []}
