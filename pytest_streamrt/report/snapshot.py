"""Transcript snapshots through syrupy: one readable file for each. Imported only where the fixture is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.report.difference import difference_of_events
from pytest_streamrt.report.text import EVENTS, snapshot_text
from pytest_streamrt.transcript.log import Transcript

__all__ = ["TranscriptSnapshotExtension"]

_DAMAGED: Final = "The snapshot is damaged: it is no text in UTF-8. Write it anew: pytest --snapshot-update"


class TranscriptSnapshotExtension(SingleFileSnapshotExtension):
    """Keeps a transcript as text, in ``__snapshots__/<module>/<test>.transcript``.

    Attributes:
        redactor: what takes secrets out; by default, one that knows those of the environment. A subclass may have its own.
    """

    _write_mode = WriteMode.TEXT
    file_extension = "transcript"
    redactor: ClassVar[Redactor | None] = None

    def serialize(self, data: Any, **_: Any) -> str:
        """The transcript as `snapshot_text` writes it.

        Raises:
            TypeError: it is no transcript.
        """
        if not isinstance(data, Transcript):
            msg = f"transcript_snapshot keeps transcripts, not {type(data).__name__}: assert transcript == transcript_snapshot"
            raise TypeError(msg)
        return snapshot_text(data, self.redactor)

    def read_snapshot_data_from_location(self, **where: Any) -> Any:
        """What is kept, or None; what is no text is told by `diff_lines`, and goes with the next update."""
        try:
            return super().read_snapshot_data_from_location(**where)
        except UnicodeDecodeError:
            return _DAMAGED

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """What differs, event by event: what the snapshot has is marked ``-``, what has come ``+``."""
        if not snapshot_data:
            yield "There is no snapshot yet. Write it: pytest --snapshot-update"
            return
        if snapshot_data == _DAMAGED:
            yield _DAMAGED
            return
        yield from difference_of_events(_events(serialized_data), _events(snapshot_data))
        yield "If that is as it should be: pytest --snapshot-update"


def _events(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[lines.index(EVENTS) + 1 :] if EVENTS in lines else lines
