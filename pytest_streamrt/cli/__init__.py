"""The `streamrt` command. Only the door is here; commands are in `app`, and what they do in modules of their own."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command, or say what has to be installed for it."""
    try:
        from pytest_streamrt.cli.app import streamrt
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("streamrt needs the package click: pip install 'pytest-streamrt[cli]'")
    streamrt()
