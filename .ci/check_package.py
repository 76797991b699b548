"""Is everything in the wheel and the sdist that belongs there, and nothing else? Run with the wheel installed, and only it."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from importlib.metadata import distribution

wheel, sdist = sorted(sys.argv[1:], key=lambda name: name.endswith(".tar.gz"))

names = zipfile.ZipFile(wheel).namelist()
pages = [
    f"pytest_streamrt/report/page/{name}" for name in ("page.html", "page.css", "main.js", "index.html", "index.js")
]
for needed in (
    "pytest_streamrt/py.typed",
    "pytest_streamrt/cli/demo.jsonl",
    "pytest_streamrt/plugin/__init__.py",
    *pages,
):
    assert needed in names, f"the wheel lacks {needed}"
stray = [name for name in names if not name.startswith(("pytest_streamrt/", "pytest_streamrt-"))]
assert not stray, f"the wheel has {stray}"

with tarfile.open(sdist) as archive:
    roots = {name.split("/")[1] for name in archive.getnames() if "/" in name}
for needed in (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "tests",
    "docs",
    "cassettes",
    "pytest_streamrt",
):
    assert needed in roots, f"the sdist lacks {needed}"

# The page is made of files in the package: it must be possible to make one from what was installed.
from pytest_streamrt.report.html import index_page  # noqa: E402 - what was installed is what is asked

assert "default-src 'none'" in index_page([], summary="")

points = {(point.group, point.name, point.value) for point in distribution("pytest-streamrt").entry_points}
assert points == {
    ("pytest11", "streamrt", "pytest_streamrt.plugin"),
    ("console_scripts", "streamrt", "pytest_streamrt.cli:main"),
}, points
print(f"{len(names)} files in the wheel")
