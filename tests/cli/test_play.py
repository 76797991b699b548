"""`streamrt play`: what was said, in the terminal, as it came."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pytest_streamrt.cli import play
from pytest_streamrt.events import to_json
from tests.cli.recordings import chat, run
from tests.report.scenes import room

__all__ = ["run"]


@pytest.fixture
def slept(monkeypatch):
    """How long the command has waited, piece by piece, in seconds."""
    slept = []
    monkeypatch.setattr(play.time, "sleep", slept.append)
    return slept


def test_it_waits_as_long_as_was_waited(run, tmp_path, slept):
    result = run("play", chat(tmp_path, "Hel", "lo\nthere", first=0.5, every=0.25))

    assert result.stdout == (
        "openai.chat │ Hello\n"
        "            │ there\n"
        "openai.chat │ | 1.500 s: complete (stop)\n"
    )  # fmt: skip
    assert slept == pytest.approx([0.75, 0.25, 0.5])


@pytest.mark.parametrize(
    ("options", "waits"),
    [(["--speed", "10"], [0.075, 0.025, 0.05]), (["--instant"], []), (["--longest-wait", "0.3"], [0.3, 0.25, 0.3])],
)
def test_time_can_be_scaled_skipped_and_cut(options, waits, run, tmp_path, slept):
    run("play", *options, chat(tmp_path, "Hel", "lo", first=0.5, every=0.25))

    assert slept == pytest.approx(waits)


def test_a_room_is_played_with_a_line_for_whoever_speaks(run, tmp_path, slept):
    path = tmp_path / "room.jsonl"
    path.write_bytes(to_json(room().events))

    shown = run("play", path).stdout

    assert "stopped by reviewer: risky" in shown
    assert "tool.result" in shown
    assert all("│" in line for line in shown.splitlines())


def test_secrets_that_deltas_cut_are_not_played(run, tmp_path, monkeypatch, slept):
    secret = "sk-live-0123456789-ABCDEF"
    path = chat(tmp_path, "the key is sk-live-0123", "456789-ABCDEF, see")
    monkeypatch.setenv("MY_API_KEY", secret)

    assert "0123456789" not in run("play", path).stdout.replace("\n", "")
    assert "456789" not in run("play", path).stdout


def test_control_c_stops_it_without_a_traceback(tmp_path):
    path = chat(tmp_path, "Hel", "lo", every=3_600)
    # Whoever runs the tests may have Ctrl-C ignored, as a shell does for what it runs in the background: that is inherited.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heeds}; from pytest_streamrt.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "play", "--longest-wait", "3600", str(path)]
    path.write_text(path.read_text().replace('"at": 3600.1', '"at": 0.2'))  # the first word comes at once
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.read(len("openai.chat")) == "openai.chat"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()

    assert process.returncode == 1
    assert out.endswith("(stopped)\n")
    assert err == ""
