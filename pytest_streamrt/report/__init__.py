"""What people read: transcripts in failure reports and in snapshots."""

from pytest_streamrt.report.text import failure_section, snapshot_text

__all__ = ["failure_section", "snapshot_text"]
