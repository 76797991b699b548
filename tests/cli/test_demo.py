"""The command `streamrt`, run for real: the demo, its output, and wrong use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_streamrt import CassetteError, __version__
from pytest_streamrt.cli import demo


def streamrt(*arguments):
    """Run the command in a process of its own."""
    code = "from pytest_streamrt.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def output():
    result = streamrt("demo")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_the_demo_shows_the_reviewer_stopping_the_planner(output):
    planner = next(line for line in output.splitlines() if line.startswith("planner"))
    reviewer = next(line for line in output.splitlines() if line.startswith("reviewer"))

    assert planner.rstrip().endswith("!")
    assert reviewer.rstrip().endswith("|")
    assert reviewer.index("^") >= planner.index("!")
    assert "inference.aborted by 'reviewer', reason 'it drops the table'" in output
    assert "Use a staged rollout instead." in output


def test_the_demo_shows_the_partial_text_and_what_was_never_waited_for(output):
    assert "    3. Run drop table\n" in output
    assert "4. Rename" not in output
    assert "55 deltas were said; 119 more were recorded and never waited for." in output


def test_the_demo_is_the_same_on_every_run_and_on_both_backends(output):
    assert streamrt("demo", "--backend=asyncio").stdout == output
    assert streamrt("demo", "--backend=trio").stdout == output


@pytest.mark.parametrize("arguments", [["demo", "--no-such-option"], ["no-such-command"], ["demo", "--backend=curio"]])
def test_wrong_use_is_explained_and_exits_with_2(arguments):
    result = streamrt(*arguments)

    assert result.returncode == 2
    assert "Usage: " in result.stderr
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_help_and_version():
    shown = " ".join(streamrt("--help").stdout.split())
    assert "demo Show a reviewer stopping a planner in mid-answer." in shown
    assert "1 failed, as where a package that it needs is not" in streamrt("demo", "--help").stdout
    assert streamrt("--version").stdout == f"streamrt, version {__version__}\n"


def test_a_missing_or_damaged_recording_is_an_error_without_a_traceback(tmp_path, monkeypatch):
    code = (
        "import os; from pathlib import Path; from pytest_streamrt.cli import demo, main; "
        "demo.cassette = lambda: Path(os.environ['RECORDING']); main()"
    )
    damaged = tmp_path / "demo.jsonl"
    damaged.write_bytes(demo.cassette().read_bytes()[:5_000])

    for path in (damaged, tmp_path / "nowhere.jsonl"):
        monkeypatch.setenv("RECORDING", str(path))
        result = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert str(path) in result.stderr
        assert "Traceback" not in result.stderr


def test_a_missing_package_is_named_with_what_to_install():
    for package, what in (("click", "pytest-streamrt[cli]"), ("openai", "pytest-streamrt[cli,openai]")):
        code = f"import sys; sys.modules[{package!r}] = None; from pytest_streamrt.cli import main; main()"
        result = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=False)
        assert result.returncode == 1
        assert what in result.stderr
        assert "Traceback" not in result.stderr


def test_a_backend_that_is_not_installed_is_an_error_without_a_traceback():
    code = "import sys; sys.modules['trio'] = None; from pytest_streamrt.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--backend=trio"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert result.stderr == "Error: --backend trio needs the package trio: pip install trio\n"


def test_the_recording_is_found_in_a_package_or_a_checkout(monkeypatch, tmp_path):
    assert demo.cassette().name == "demo.jsonl"
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "demo.py"))
    with pytest.raises(CassetteError, match="the demo's cassette is missing"):
        demo.cassette()
