"""The pytest plugin: options, markers and hooks. What a hook does is in the modules beside this one.

This module runs at every start of pytest, in every project that has the plugin installed. It imports pytest and the
standard library, and nothing of the project that imports more; ``tests/plugin/test_startup.py`` holds that.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest

from pytest_streamrt.plugin.cassette_use import begin_use
from pytest_streamrt.plugin.fixtures import (
    asgi_client,
    environment,
    stream_cassette,
    streamrt_config,
    transcript,
    transcript_snapshot,
    virtual_clock,
)
from pytest_streamrt.plugin.markers import warn_of_marks_in_conftests
from pytest_streamrt.plugin.options import add_options, check_options, option
from pytest_streamrt.plugin.providers import fake_provider, keys_first, marker_is_the_providers
from pytest_streamrt.plugin.state import begin_state, state_of

__all__ = [
    "asgi_client",
    "environment",
    "fake_provider",
    "stream_cassette",
    "streamrt_config",
    "transcript",
    "transcript_snapshot",
    "virtual_clock",
]

_VIRTUAL_TIME = (
    'virtual_time(real_io="settle", patch_time=True, leaked_tasks="warn", max_virtual=86400, max_events=100000): run this '
    "test on virtual time: sleeps and timeouts take no real time and are exact to the nanosecond."
)
_REAL_TIME = "real_time: leave this test on real time, where streamrt_clock = virtual puts all others on virtual time."
_STREAMRT = (
    'streamrt(cassette=None, timing="auto", rechunk="recorded", faults=()): answer this test\'s HTTP requests from a cassette, by '
    "default cassettes/<module>/<test>.jsonl beside the test. Record it with --streamrt-record."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, each with its twin in the configuration file."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    check_options(config)
    for marker in (_VIRTUAL_TIME, _REAL_TIME, _STREAMRT):
        config.addinivalue_line("markers", marker)
    if option(config, "streamrt_report") != "off":
        from pytest_streamrt.plugin.report import begin_report

        begin_report(config)
    begin_use(config)


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Say what pytest does not: that marks in a conftest.py mark nothing."""
    warn_of_marks_in_conftests(config)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Open the cassette before fixtures run, so that they may make requests too."""
    begin_state(item)
    if option(item.config, "streamrt_block_network"):
        from pytest_streamrt.plugin.network import guard_network

        guard_network(item)
    if {"fake_provider", "respx_mock"} <= set(getattr(item, "fixturenames", ())):
        from pytest_streamrt.fake.respx_bridge import register_httpcore2

        register_httpcore2()
    keys_first(item)
    if item.get_closest_marker("streamrt") is not None and not marker_is_the_providers(item):
        from pytest_streamrt.plugin.cassettes import cassette_first

        cassette_first(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Run the body as the test asks for, then see whether all that was begun has been finished."""
    from pytest_streamrt.plugin.body import prepared_body
    from pytest_streamrt.plugin.checks import check_test, what_runs_async_tests

    try:
        with prepared_body(item):
            result = yield
    except pytest.fail.Exception as error:
        advice = what_runs_async_tests(item, error)
        if advice is None:
            raise
    else:
        check_test(item)
        return result
    pytest.fail(advice, pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Close the cassette after the fixtures."""
    state = state_of(item)
    try:
        return (yield)
    finally:
        if state.guard is not None:
            from pytest_streamrt.plugin.network import unguard_network

            unguard_network(item)
        if state.cassette is not None:
            from pytest_streamrt.plugin.cassettes import close_cassette

            close_cassette(item)
        state.open.close()  # what is there without a cassette: it could not be opened, or there are keys alone


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Say what mends a module that could not be imported because a client in it wants a key."""
    report = yield
    if report.failed:
        from pytest_streamrt.plugin.checks import add_key_advice

        add_key_advice(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a failing test's report its transcript, and the requests that nothing answered. No secrets in either."""
    if call.excinfo is None:
        report = yield
    else:
        from pytest_streamrt.plugin.insides import insides_hidden

        with insides_hidden(call.excinfo.value):
            report = yield
    state = state_of(item)
    if report.failed:
        from pytest_streamrt.plugin.checks import add_sections

        add_sections(item, report)
    if state.cassette is not None and call.excinfo is not None:
        from pytest_streamrt.plugin.cassettes import note_failure

        note_failure(item, call.excinfo.value)
    if state.cassette is not None or (report.failed and state.transcript_made is not None):
        from pytest_streamrt.plugin.masking import mask

        mask(item, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Why two transcripts are not equal, event by event."""
    if op != "==":
        return None
    log = sys.modules.get("pytest_streamrt.transcript.log")
    if log is None or not isinstance(left, log.Transcript) or not isinstance(right, log.Transcript):
        return None
    from pytest_streamrt.report.difference import explain_difference

    return explain_difference(left, right)
