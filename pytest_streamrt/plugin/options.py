"""The options, each with its twin in the configuration file; the command line wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pytest

__all__ = ["add_options", "check_options", "option"]


@dataclass(frozen=True)
class _Option:
    """One option. Its name is that of its configuration twin; the flag has hyphens."""

    name: str
    metavar: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    is_number: bool = False
    most: int = 1_000_000  # more seconds than a system waits for

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


_OPTIONS: Final = (
    _Option(
        "streamrt_record",
        "MODE",
        "none",
        "what to record: none (default: play only), once (where there is no cassette yet), new_episodes (requests that are "
        "unknown), all (everything, in place of what is there of the same request), rewrite (everything anew)",
        choices=("none", "once", "new_episodes", "all", "rewrite"),
    ),
    _Option(
        "streamrt_cassette_dir",
        "DIR",
        "",
        "where cassettes are, instead of the folder `cassettes` beside each test file",
    ),
    _Option(
        "streamrt_clock",
        "WHICH",
        "marked",
        "which tests run on virtual time: marked (default: those with the marker virtual_time or the fixture "
        "virtual_clock), virtual (all async tests but those marked real_time), real (none)",
        choices=("marked", "virtual", "real"),
    ),
    _Option(
        "streamrt_watchdog",
        "SECONDS",
        "10",
        "real seconds that virtual time waits for a worker thread or a socket before the test fails (default: 10)",
        is_number=True,
    ),
    _Option(
        "streamrt_settle_time",
        "SECONDS",
        "0.005",
        "real seconds that a socket must be quiet before virtual time jumps (default: 0.005)",
        is_number=True,
    ),
    _Option(
        "streamrt_spin_limit",
        "N",
        "100000",
        "how many iterations of the event loop may pass before virtual time moves (default: 100000)",
        is_number=True,
        most=1_000_000_000,
    ),
    _Option(
        "streamrt_report",
        "WHEN",
        "off",
        "write a page with the timeline of each test that has a transcript, and an index of them: off (default), on, "
        "retain-on-failure (of failing tests only)",
        choices=("off", "on", "retain-on-failure"),
    ),
    _Option(
        "streamrt_output",
        "DIR",
        "streamrt-report",
        "the folder for what --streamrt-report writes (default: streamrt-report)",
    ),
)


_SWITCHES: Final = (
    (
        "streamrt_record_errors",
        "let a recording in which a request got nothing but an error take the place of a complete cassette",
    ),
    (
        "streamrt_unused",
        "after the run, list the cassettes that no test uses, and fail if there are any",
    ),
    (
        "streamrt_block_network",
        "block every connection that leaves this machine, and say which client made it; what is being recorded may",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare them all."""
    group = parser.getgroup("streamrt", "streaming agents (pytest-streamrt)")
    for each in _OPTIONS:
        group.addoption(each.flag, metavar=each.metavar, choices=each.choices or None, help=each.help)
        parser.addini(each.name, f"default for {each.flag}", default=each.default)
    for name, help in _SWITCHES:
        flag = "--" + name.replace("_", "-")
        group.addoption(flag, action="store_true", default=None, help=help)
        parser.addini(name, f"default for {flag}", type="bool", default=False)
    group.addoption(
        "--streamrt-real-time",
        action="store_true",
        help="run everything on real time: short for --streamrt-clock=real",
    )


def check_options(config: pytest.Config) -> None:
    """Refuse values that make no sense, before anything runs."""
    for each in _OPTIONS:
        given = config.getoption(each.name)
        value, where = (config.getini(each.name), f"{each.name} = ") if given is None else (given, f"{each.flag}=")
        if not isinstance(value, str):  # a list, in pyproject.toml
            raise pytest.UsageError(f"{where}{value!r}: it is one value, in quotation marks")
        if each.choices and value not in each.choices:
            raise pytest.UsageError(f"{where}{value!r}: choose from {', '.join(each.choices)}")
        if each.is_number and not _is_positive(value, each.most):
            raise pytest.UsageError(f"{where}{value!r}: it is a number above 0, and {each.most:,} at most")
    for name, _ in _SWITCHES:
        try:
            config.getini(name)
        except (ValueError, TypeError, pytest.UsageError) as error:
            raise pytest.UsageError(f"{name}: it is true or false ({error})") from None


def option(config: pytest.Config, name: str) -> Any:
    """The value of that option: from the command line, else from the configuration, else its default."""
    if name == "streamrt_clock" and config.getoption("streamrt_real_time"):
        return "real"
    value = config.getoption(name)
    return config.getini(name) if value is None else value


def _is_positive(value: str, most: int) -> bool:
    try:
        return 0 < float(value) <= most
    except ValueError:
        return False
