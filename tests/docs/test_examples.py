"""Every example in the README and the documentation, executed: tests by pytest, in a process of their own, the rest as it is.

A block of Python whose first line is ``# name.py`` is a file, and belongs to the other files of the same page. Blocks of
one name are the parts of one file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_streamrt import script
from pytest_streamrt.providers import encode
from tests.loopback import Answer
from tests.userproject import LEFT_OUT

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.py)\n")

INI = f"""
[pytest]
addopts = -p no:cacheprovider -p no:randomly {LEFT_OUT} --strict-markers
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error
    # the OpenAI client leaves generators of its own behind at [DONE], and trio warns of them
    ignore:Exception ignored in. <async_generator object
"""


def blocks(page):
    """The page's blocks of Python: files by name, and the rest in order."""
    files, rest = {}, []
    for source in BLOCK.findall(page.read_text(encoding="utf-8")):
        name = FILE.match(source)
        if name:
            files[name[1]] = f"{files.get(name[1], '')}\n{source}"
        else:
            rest.append(source)
    return files, rest


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)[1]], ids=name_of)
def test_a_page_s_code_runs(page, tmp_path):
    for source in blocks(page)[1]:
        subprocess.run([sys.executable, "-W", "error", "-c", source], cwd=tmp_path, check=True)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)[0]], ids=name_of)
def test_a_page_s_tests_pass(page, project, server, monkeypatch):
    files, _ = blocks(page)
    for name, source in files.items():
        (project.path / name).write_text(source, encoding="utf-8")
    (project.path / "pytest.ini").write_text(INI, encoding="utf-8")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    for dialect in ("openai.responses", "openai.chat"):
        asks = f"client.{dialect.removeprefix('openai.')}."
        if any(asks in source and "fake_provider" not in source for source in files.values()):  # a fake needs no server
            server.enqueue(Answer(encode(script("The capital of France ", "is Paris."), dialect)))

    said = "".join(files.values())
    plugins = ["-p", "respx"] if "respx" in said else []
    recorded = project.record(*plugins, *(["--snapshot-update"] if "transcript_snapshot" in said else []))
    played = project.run(*plugins)

    for result in (recorded, played):
        outcomes = result.parseoutcomes()
        assert set(outcomes) <= {"passed", "warnings"}, result.stdout.str()
        assert outcomes["passed"] >= 1
    assert server.answers == []


def test_the_readme_shows_what_the_demo_prints():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"streamrt demo\n```\n\n```text\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    code = "from pytest_streamrt.cli import main; main()"

    printed = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True, check=True).stdout

    assert printed == shown[1]


def test_the_two_commands_of_the_readme_are_there_for_ci_to_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    commands = re.findall(r"^python3 -m venv .*$", readme, re.MULTILINE)

    assert len(commands) == 2
    assert commands[0].endswith("streamrt demo")
    assert "pytest" in commands[1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_within_the_project_leads_nowhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_public_name_is_explained():
    import pytest_streamrt

    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert [name for name in pytest_streamrt.__all__ if name not in text and not name.startswith("__")] == []


def test_nothing_of_this_machine_is_in_what_is_shipped():
    shipped = [
        path
        for folder in ("pytest_streamrt", "cassettes", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".md", ".py", ".jsonl", ".yaml") and not {"__pycache__", "_build"} & set(path.parts)
    ]
    shipped += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml")]
    home = re.compile(rf"{re.escape(str(Path.home()))}/|/tmp/\w")

    assert len(shipped) > 100
    assert [str(path) for path in shipped if home.search(path.read_text(encoding="utf-8"))] == []
