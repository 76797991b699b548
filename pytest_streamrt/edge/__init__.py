"""The user's own endpoint: what it streams, whether a browser gets it as it is made, and whether it stops when the user goes."""

from pytest_streamrt.edge.arrived import Arrived, Problem
from pytest_streamrt.edge.checks import (
    CHECKS,
    check_end,
    check_first_byte,
    check_frames,
    check_headers,
    check_ids,
    check_keep_alive,
    check_resumed,
)
from pytest_streamrt.edge.streams import StreamCheck, assert_streams
from pytest_streamrt.edge.transport import StreamingASGITransport

__all__ = [
    "CHECKS",
    "Arrived",
    "Problem",
    "StreamCheck",
    "StreamingASGITransport",
    "assert_streams",
    "check_end",
    "check_first_byte",
    "check_frames",
    "check_headers",
    "check_ids",
    "check_keep_alive",
    "check_resumed",
]
