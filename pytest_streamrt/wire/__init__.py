"""Bytes and frames: the SSE codec and re-chunking. Standard library only; no async, no clock, no I/O."""

from pytest_streamrt.wire.chunks import Cut, rechunk
from pytest_streamrt.wire.sse import Rules, ServerSentEvent, SSEDecoder, encode_event

__all__ = ["Cut", "Rules", "SSEDecoder", "ServerSentEvent", "encode_event", "rechunk"]
