"""Is everything in the wheel and the sdist that belongs there, and nothing else? Run with the wheel installed, and only it."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from importlib.metadata import distribution

wheel, sdist = sorted(sys.argv[1:], key=lambda name: name.endswith(".tar.gz"))

names = zipfile.ZipFile(wheel).namelist()
for needed in ("pytest_streamrt/py.typed", "pytest_streamrt/cli/demo.jsonl", "pytest_streamrt/plugin/__init__.py"):
    assert needed in names, f"the wheel lacks {needed}"
stray = [name for name in names if not name.startswith(("pytest_streamrt/", "pytest_streamrt-"))]
assert not stray, f"the wheel has {stray}"

with tarfile.open(sdist) as archive:
    roots = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    sources = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
lacking = [name for name in sources if name.startswith("pytest_streamrt/") and name not in names]
assert not lacking, f"the wheel lacks {lacking}"
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
