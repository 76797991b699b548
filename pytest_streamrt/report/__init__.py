"""What people read: transcripts in failure reports and in snapshots."""

from pytest_streamrt.report.text import failure_section, message_cleaner, snapshot_text

__all__ = ["failure_section", "message_cleaner", "snapshot_text"]
