"""A participant that notes what it hears, for the tests of the room."""

from __future__ import annotations

from pytest_streamrt import Participant


class Recorder(Participant):
    """Notes every handler that is called, in order."""

    def __init__(self, name):
        super().__init__(name)
        self.heard = []

    async def on_joined(self):
        self.heard.append("joined")

    async def on_left(self):
        self.heard.append("left")

    async def on_participant_joined(self, participant):
        self.heard.append(("joined", participant.name))

    async def on_participant_left(self, participant):
        self.heard.append(("left", participant.name))

    async def on_participant_error(self, source, error):
        self.heard.append(("error", source.name, error))

    async def on_internal_event(self, event):
        if event.type == "signal":
            self.heard.append(("internal", event.name))

    async def on_external_event(self, source, event):
        if event.type in ("signal", "text.delta"):
            self.heard.append((source.name, getattr(event, "name", None) or event.text))

    async def on_external_message(self, source, item):
        self.heard.append((source.name, "was asked", item.text))

    async def on_external_model_message(self, source, item):
        self.heard.append((source.name, "said", item.text))
