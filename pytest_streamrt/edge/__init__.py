"""The user's own endpoint: what it streams, whether a browser gets it as it is made, and whether it stops when the user goes."""

from pytest_streamrt.edge.ag_ui import ag_ui
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
from pytest_streamrt.edge.decoding import Protocol
from pytest_streamrt.edge.partial import growing_json, read_partial
from pytest_streamrt.edge.sse_json import sse_json
from pytest_streamrt.edge.streams import StreamCheck, assert_streams
from pytest_streamrt.edge.transport import StreamingASGITransport
from pytest_streamrt.edge.vercel_ui import vercel_ui

__all__ = [
    "CHECKS",
    "Arrived",
    "Problem",
    "Protocol",
    "StreamCheck",
    "StreamingASGITransport",
    "ag_ui",
    "assert_streams",
    "check_end",
    "check_first_byte",
    "check_frames",
    "check_headers",
    "check_ids",
    "check_keep_alive",
    "check_resumed",
    "growing_json",
    "read_partial",
    "sse_json",
    "vercel_ui",
]
