"""What went over the wire, chunk by chunk, with its times and its end: recorded, kept and played back."""

from pytest_streamrt.cassette.cassette import Cassette, RecordMode, Timing
from pytest_streamrt.cassette.config import RecordedRequest, RecordedResponse
from pytest_streamrt.cassette.interaction import Interaction, RecordedChunk
from pytest_streamrt.cassette.loading import load_cassette
from pytest_streamrt.cassette.scripts import scripts_of
from pytest_streamrt.cassette.transport import CassetteTransport
from pytest_streamrt.cassette.use import CassetteOptions, use_cassette

__all__ = [
    "Cassette",
    "CassetteOptions",
    "CassetteTransport",
    "Interaction",
    "RecordMode",
    "RecordedChunk",
    "RecordedRequest",
    "RecordedResponse",
    "Timing",
    "load_cassette",
    "scripts_of",
    "use_cassette",
]
