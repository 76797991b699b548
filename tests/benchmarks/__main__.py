"""All benchmarks, one after the other, as one table: ``python -m tests.benchmarks [name …]``."""
# ruff: noqa: T201 - it prints

from __future__ import annotations

import importlib
import pkgutil
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import tests.benchmarks
from tests.benchmarks.table import Row, table

PACKAGES = (
    "pytest-streamrt", "pytest", "anyio", "trio", "pydantic", "openai", "httpx2", "httpx", "vcrpy", "pytest-recording",
    "respx", "agent-replay-py", "autogen-core", "looptime",
)  # fmt: skip


def main(wanted: list[str]) -> int:
    """Run those asked for, or all, and print what they say."""
    names = sorted(module.name for module in pkgutil.iter_modules(tests.benchmarks.__path__))
    unknown = set(wanted) - set(names)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        if name.startswith("_") or (wanted and name not in wanted):
            continue
        try:
            module = importlib.import_module(f"tests.benchmarks.{name}")
        except ImportError as error:
            rows.append(Row(name, note=f"cannot run: {error.msg}"))
            continue
        if hasattr(module, "rows"):
            print(f"{name} …", file=sys.stderr)
            rows.extend(module.rows())
    print("\n".join([*table(rows), "", machine(), "", versions()]))
    return 0


def machine() -> str:
    """What it ran on, as far as anybody else may care."""
    return (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}, {platform.machine()}."
    )


def versions() -> str:
    """The packages that are measured, and what they are measured against."""
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES) + "."


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
