"""Transcript snapshots through syrupy: one readable file for each. Imported only where the fixture is asked for."""

from __future__ import annotations

from typing import Any

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from pytest_streamrt.report.text import snapshot_text
from pytest_streamrt.transcript.log import Transcript

__all__ = ["TranscriptSnapshotExtension"]


class TranscriptSnapshotExtension(SingleFileSnapshotExtension):
    """Keeps a transcript as text, in ``__snapshots__/<module>/<test>.transcript``."""

    _write_mode = WriteMode.TEXT
    file_extension = "transcript"

    def serialize(self, data: Any, **_: Any) -> str:
        """The transcript as `snapshot_text` writes it.

        Raises:
            TypeError: it is no transcript.
        """
        if not isinstance(data, Transcript):
            msg = f"transcript_snapshot keeps transcripts, not {type(data).__name__}: assert transcript == transcript_snapshot"
            raise TypeError(msg)
        return snapshot_text(data)
