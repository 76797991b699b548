"""The user's own endpoint, tested in process: what it streams, and whether it stops when the user goes away."""

from pytest_streamrt.edge.transport import StreamingASGITransport

__all__ = ["StreamingASGITransport"]
