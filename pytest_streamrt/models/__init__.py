"""The real models, over the user's own SDK client. Nothing here imports an SDK before a model is used."""

from pytest_streamrt.models.openai import OpenAIChatModel, OpenAIResponsesModel

__all__ = ["OpenAIChatModel", "OpenAIResponsesModel"]
