"""How an object of an SDK's is held against that SDK's own types."""

from __future__ import annotations

from pydantic import BaseModel


def extras(model, path="object"):
    """Where an object of an SDK's holds a field that its type does not have."""
    found = [f"{path}.{name}" for name in model.model_extra or {}]
    for name in type(model).model_fields:
        value = getattr(model, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                found += extras(each, f"{path}.{name}")
    return found
