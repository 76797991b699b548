"""The reference is whole: whatever option, marker, fixture, event, command or page there is has its place in it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from pytest_streamrt import plugin
from pytest_streamrt.cli.app import streamrt
from pytest_streamrt.events.types import AnyEvent, Event
from pytest_streamrt.plugin.options import _OPTIONS

DOCS = Path(__file__).parents[2] / "docs"


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("each", _OPTIONS, ids=lambda each: each.name)
def test_every_option_and_its_twin_are_in_the_reference(each):
    assert f"`{each.flag}" in page("reference/pytest.md")
    assert f"`{each.name}`" in page("reference/pytest.md")


@pytest.mark.parametrize("name", plugin.__all__)
def test_every_fixture_is_in_the_reference_and_explains_itself(name):
    assert f"`{name}`" in page("reference/pytest.md")
    assert len(getattr(plugin, name).__doc__) > 40


def test_every_marker_is_in_the_reference(pytestconfig):
    ours = [
        line.partition(":")[0] for line in pytestconfig.getini("markers") if "streamrt" in line or "virtual" in line
    ]
    names = {name.partition("(")[0].strip() for name in ours}

    assert {"streamrt", "virtual_time", "real_time"} <= names
    assert [name for name in names if f"@pytest.mark.{name}" not in page("reference/pytest.md")] == []


@pytest.mark.parametrize("cls", get_args(AnyEvent), ids=lambda cls: cls.__name__)
def test_every_event_is_in_the_reference_with_its_fields(cls):
    line = next((each for each in page("reference/events.md").splitlines() if f"`{cls.__name__}`" in each), None)
    own = {field.name for field in fields(cls)} - {field.name for field in fields(Event)}

    assert line is not None
    assert [name for name in own if f"`{name}`" not in line] == []


@pytest.mark.parametrize("name", streamrt.list_commands(None))
def test_every_command_is_in_the_reference_with_its_options(name):
    text = page("reference/command.md")
    command = streamrt.get_command(None, name)
    options = [[*each.opts, *each.secondary_opts] for each in command.params if each.param_type_name == "option"]

    assert f"streamrt {name}" in text
    section = text.partition(f"streamrt {name}")[2].partition("\n## ")[0]
    shared = "\n".join(line for line in text.splitlines() if "--filter-" in line)
    assert [names for names in options if not any(name in section + shared for name in names)] == []
    assert command.help


def test_every_page_is_in_the_table_of_contents():
    index = page("index.md")
    pages = [
        path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts
    ]

    assert [name for name in pages if name != "index" and f"\n{name}\n" not in index] == []
