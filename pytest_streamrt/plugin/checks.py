"""What is checked when a test's body has passed, and what a failing test's report shows."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from pytest_streamrt.plugin.state import TestState, state_of

__all__ = ["add_key_advice", "add_sections", "check_test", "what_runs_async_tests"]

_SECTION: Final = "streamrt transcript"
_DOUBT: Final = "streamrt cassette"
_MISSES: Final = "streamrt requests without a recording"
_UNANSWERED: Final = "streamrt requests without a script"
_RUNNERS: Final = {"anyio": "anyio", "asyncio": "pytest-asyncio", "trio": "pytest-trio"}  # marks, each with whose it is


def check_test(item: pytest.Item) -> None:
    """Fail the test for what it left undone: unfinished chains, broken laws, misses, what was never played."""
    __tracebackhide__ = True
    state = state_of(item)
    problem = state.guard.attempts[0] if state.guard is not None and state.guard.attempts else _cassette_problem(state)
    if problem is None and state.provider is not None:
        problem = state.provider.problem()
    if problem is None and state.transcript_made is not None:
        unfinished = state.transcript_made.unfinished()
        problem = "\n".join(unfinished) or None
        if problem is None and state.has_environment:
            problem = _lawless(state)
    if problem is not None:
        pytest.fail(problem, pytrace=False)


def what_runs_async_tests(item: pytest.Item, error: BaseException) -> str | None:
    """What to say where nothing runs an async test of ours: pytest's own advice is to install what is installed."""
    if "async def functions are not natively supported" not in str(error) or not state_of(item).used:
        return None
    for mark, whose in _RUNNERS.items():
        if item.get_closest_marker(mark) is not None and not item.config.pluginmanager.has_plugin(mark):
            return (
                f"this test is async and marked {mark}, and nothing runs it: the plugin of {whose} is not loaded. Leave out "
                f"-p no:{mark}, load it with -p {mark} where plugins are not loaded by themselves, or install {whose}"
            )
    return (
        "this test is async, and nothing runs it. Mark it: @pytest.mark.anyio, whose runner comes with this plugin; or "
        "@pytest.mark.asyncio, where pytest-asyncio is installed; or the whole file: pytestmark = pytest.mark.anyio"
    )


def add_key_advice(report: pytest.CollectReport) -> None:
    """Say what mends a module that makes a client while it is imported, without a key: placeholders come with the tests.

    There are none while tests are collected: what is skipped where a key is missing would not be skipped any more.
    """
    if re.search(r"api[ _]?key", str(report.longrepr), re.IGNORECASE):
        advice = (
            "Likely: a client is made while its module is imported, and there is no key then: placeholders for keys are there "
            "while a test runs. Make the client where it is used, or put a key that means nothing into conftest.py:\n"
            '    os.environ.setdefault("OPENAI_API_KEY", "none")'
        )
        report.sections.append(("streamrt", advice))


def add_sections(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put the transcript into the report of a failing test, where there is one, and the requests that were missed.

    What is to be doubted of its cassette is there, too.

    They go into what the report says of the failure, and not to the sections of captured output: so they are in JUnit XML,
    in what pytest-xdist sends, and shown under ``--show-capture=no``, too.
    """
    state = state_of(item)
    for title, source in ((_MISSES, state.cassette), (_UNANSWERED, state.provider)):
        if source is not None and source.misses and source.misses[0] not in str(report.longrepr):
            _add(report, title, "\n\n".join(source.misses))
    if state.cassette is not None and (doubt := state.cassette.doubt()) is not None:
        _add(report, _DOUBT, doubt)
    if state.transcript_made is None or f" {_SECTION} -" in str(report.longrepr):
        return
    from pytest_streamrt.report import failure_section

    section = failure_section(state.transcript_made, state.cassette.redactor if state.cassette is not None else None)
    if section:
        _add(report, _SECTION, section)


def _add(report: pytest.TestReport, title: str, text: str) -> None:
    add: Any = getattr(report.longrepr, "addsection", None)
    if add is not None:
        add(title, text)
    elif isinstance(report.longrepr, str):
        report.longrepr = f"{report.longrepr}\n{f' {title} ':-^80}\n{text}"
    else:
        report.sections.append((title, text))


def _cassette_problem(state: TestState) -> str | None:
    cassette = state.cassette
    if cassette is None:
        return None
    if not cassette.requests:
        from pytest_streamrt.cassette.guard import clients_loaded

        loaded = clients_loaded()
        others = f" ({', '.join(loaded)} {'is' if len(loaded) == 1 else 'are'} loaded here)" if loaded else ""
        return (
            f"this test has a cassette, {cassette.path}, and made no HTTP request that it saw. It sees requests made "
            "through httpx and httpx2; a client of another library (aiohttp, as litellm uses it, or requests) goes round "
            f"it{others}. Which one it is, this says: pytest --streamrt-block-network"
        )
    return cassette.problem()


def _lawless(state: TestState) -> str | None:
    try:
        state.transcript.assert_lawful()
    except AssertionError as error:
        return str(error)
    return None
