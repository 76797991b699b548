"""The whole matrix in one command: ``nox``. On whatever CPythons are at hand; one that is missing is skipped, and said so.

``nox -s tests`` runs everything on each CPython, ``nox -s clients`` with older and other clients, ``nox -s runners`` under other ways to run
async tests, ``nox -s checks`` what reads the code, ``nox -s docs``, ``nox -s package``, ``nox -s benchmarks``. ``.ci/run`` does the part of it
that fits a quarter of an hour, in a clean clone.
"""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["checks", "tests", "clients", "runners", "docs", "package"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OLDEST = PYTHONS[0]
PARALLEL = ("-n", "auto", "-p", "no:cacheprovider")

CLIENTS = {
    "openai 2, over httpx": ("openai>=2,<3",),
    "openai 3, over httpx2": ("openai>=3,<4", "httpx2"),
    "anthropic 2": ("openai>=3,<4", "anthropic>=2,<3", "httpx2"),
}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Every test."""
    session.install("-e", ".[dev]")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python=OLDEST)
@nox.parametrize("client", list(CLIENTS), ids=list(CLIENTS))
def clients(session: nox.Session, client: str) -> None:
    """Recorded streams, models, the demo and what the SDK reads, through that client alone: the tests of ``.ci/openai2.ini``."""
    session.install("-e", ".", *CLIENTS[client], "-r", ".ci/client_requirements.txt")
    session.run("pytest", "-q", *PARALLEL, "-c", ".ci/openai2.ini", "--rootdir=.")


@nox.session(python=OLDEST)
@nox.parametrize("order", ["random", "one by one", "reversed by xdist"])
def runners(session: nox.Session, order: str) -> None:
    """What runs tests of users: anyio's plugin on asyncio and trio, pytest-asyncio, unittest, with xdist and without."""
    session.install("-e", ".[dev]")
    how = {
        "random": ("-p", "randomly"),
        "one by one": ("-p", "no:randomly", "-p", "no:xdist"),
        "reversed by xdist": ("-n", "3"),
    }
    session.run("pytest", "-q", *how[order], "tests/plugin", "tests/report/test_report_option.py", *session.posargs)


@nox.session(python=OLDEST)
def checks(session: nox.Session) -> None:
    """What reads the code and does not run it."""
    session.install("-e", ".[dev]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("pyright", "--warnings")
    session.run("lint-imports")


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """The manual; a warning is an error."""
    session.install("-e", ".[dev]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", str(Path(session.create_tmp()) / "docs"))


@nox.session(python=PYTHONS, reuse_venv=False)  # else it would look at the wheel of the last run
def package(session: nox.Session) -> None:
    """The wheel, built, and installed into an environment that has nothing else."""
    built = Path(session.create_tmp()) / "dist"
    session.install("build")
    session.run("python", "-m", "build", "--quiet", "--outdir", str(built), ".")
    session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "build", "pyproject_hooks", "packaging")
    session.install(*map(str, built.glob("*.whl")))
    session.run("python", ".ci/check_package.py", *map(str, sorted(built.iterdir())))


@nox.session(python=OLDEST)
def benchmarks(session: nox.Session) -> None:
    """The budgets, and what a user would take instead, as one table."""
    peers = ("vcrpy", "pytest-recording", "respx", "agent-replay-py", "autogen-core", "looptime")
    session.install("-e", ".[dev]", *peers)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
