"""Opens and closes a test's cassette: where it lies, whether it is recorded, and who else records it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_streamrt.errors import CassetteError
from pytest_streamrt.plugin.cassette_use import claim, namesake
from pytest_streamrt.plugin.function import plainly
from pytest_streamrt.plugin.markers import marker_arguments, marker_of
from pytest_streamrt.plugin.options import option
from pytest_streamrt.plugin.state import state_of

if TYPE_CHECKING:
    from pytest_streamrt.cassette import Cassette
    from pytest_streamrt.cassette.redact import Redactor

__all__ = [
    "MARKER_DEFAULTS",
    "cassette_first",
    "cassette_path",
    "cassette_root",
    "close_cassette",
    "is_name",
    "note_failure",
    "open_cassette",
    "redactor_for",
]

_FIXTURE: Final = "stream_cassette"


MARKER_DEFAULTS: Final = {"cassette": None, "timing": "auto", "rechunk": "recorded", "faults": ()}

_LONGEST: Final = 180  # bytes of a file name; most file systems take 255, and a temporary file's is longer


def cassette_first(item: pytest.Item) -> None:
    """Have the test's cassette opened before its other fixtures run, so that they may make requests too."""
    names: list[str] | None = getattr(item, "fixturenames", None)
    if names is None:  # no test function, and so without fixtures
        open_cassette(item, {})
        return
    if _FIXTURE in names:
        names.remove(_FIXTURE)
    names.insert(0, _FIXTURE)


def open_cassette(item: pytest.Item, config: Any) -> Cassette:
    """The test's cassette, open; the same one however often it is asked for. `config` is what `streamrt_config` gave."""
    state = state_of(item)
    if state.cassette is not None:
        return state.cassette
    if item.get_closest_marker("vcr") is not None:
        pytest.fail(
            "this test is marked both vcr and streamrt: only one of them can answer its requests", pytrace=False
        )
    if not isinstance(config, Mapping):
        pytest.fail(f"the fixture streamrt_config gives a dictionary, not {config!r:.200}", pytrace=False)
    from pytest_streamrt.cassette.cassette import check_playing
    from pytest_streamrt.cassette.config import config_from
    from pytest_streamrt.cassette.faults import check_faults
    from pytest_streamrt.cassette.keys import placeholder_keys
    from pytest_streamrt.cassette.use import use_config

    arguments, marked = marker_arguments(item, "streamrt", MARKER_DEFAULTS), marker_of(item, "streamrt")
    if not is_name(arguments["cassette"]):
        pytest.fail(f"{marked}: cassette is a name, such as 'capital', not {arguments['cassette']!r}", pytrace=False)
    plainly(lambda: check_playing(arguments["timing"], arguments["rechunk"]), CassetteError, f"{marked}: ")
    plainly(lambda: check_faults(arguments["faults"]), CassetteError, f"{marked}: ")
    path = cassette_path(item, arguments["cassette"])
    if arguments["cassette"] is None:
        _refuse_namesake(item, path)
    mode = option(item.config, "streamrt_record")
    if arguments["faults"] and mode != "none":
        # Laid over a recording, faults are played and never recorded, be it that the cassette is recorded in this very run.
        if not path.exists():
            pytest.skip(f"its faults are laid over {path}, which is still to be recorded: by the test without faults")
        mode = "none"
    if mode == "none":
        state.open.enter_context(placeholder_keys())
    elif mode != "once" or not path.exists():  # it records
        _claim(item, path)
    read = plainly(lambda: config_from(config, "the fixture streamrt_config"), CassetteError)
    opening = use_config(
        read,
        path,
        record=mode,
        timing=arguments["timing"],
        rechunk=arguments["rechunk"],
        faults=arguments["faults"],
        transcript=state.transcript,
        record_errors=option(item.config, "streamrt_record_errors"),
        verify=False,  # the checks of the test do, with better messages
    )
    state.cassette = plainly(lambda: state.open.enter_context(opening), CassetteError)
    if state.guard is not None:
        state.guard.hosts = read.ignore_hosts
    return state.cassette


def redactor_for(item: pytest.Item, config: Any) -> Redactor:
    """What takes secrets out of what is kept of a test: its cassette's, or one by the same configuration."""
    cassette = state_of(item).cassette
    if cassette is not None:
        return cassette.redactor
    from pytest_streamrt.cassette.config import config_from

    return plainly(lambda: config_from(config, "the fixture streamrt_config"), CassetteError).redactor()


def note_failure(item: pytest.Item, error: BaseException) -> None:
    """The test has failed: what it recorded may be a fragment."""
    cassette = state_of(item).cassette
    if cassette is not None:
        expected = isinstance(error, AssertionError | pytest.fail.Exception)
        cassette.failure = cassette.failure or ("assertion" if expected else "error")


def close_cassette(item: pytest.Item) -> None:
    """Close the test's cassette, and write what was recorded."""
    plainly(state_of(item).open.close, CassetteError)


def cassette_root(item: pytest.Item) -> Path:
    """The folder of the test's cassettes: `cassettes` beside it, or the one that the options give."""
    given = item.config.getoption("streamrt_cassette_dir")
    configured = item.config.getini("streamrt_cassette_dir")
    if given:
        return Path(item.config.invocation_params.dir / given)
    return Path(item.config.rootpath / configured) if configured else item.path.parent / "cassettes"


def cassette_path(item: pytest.Item, name: str | None) -> Path:
    """Where the test's cassette lies: ``cassettes/<module>/<test>.jsonl`` beside the test, or the name given."""
    root = cassette_root(item)
    if name is not None:
        return root / (name if name.endswith(".jsonl") else f"{name}.jsonl")
    return root / item.path.stem / f"{_file_name(_test_name(item))}.jsonl"


def _test_name(item: pytest.Item) -> str:
    """The test's name with its class and parameters, but for anyio's backend: both backends ask the same."""
    name = item.name
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "anyio_backend" in callspec.params:
        ids = callspec.id.split("-")
        backend = callspec.params["anyio_backend"]
        ids = [each for each in ids if each != (backend if isinstance(backend, str) else backend[0])]
        name = getattr(item, "originalname", name) + (f"[{'-'.join(ids)}]" if ids else "")
    owner = getattr(item, "cls", None)
    return name if owner is None else f"{owner.__qualname__}.{name}"


def _file_name(name: str) -> str:
    """The name with what file systems do not like written as ``%2F``, so that no two names become one.

    One that is too long for a file system is cut, and told apart by a hash of the whole.
    """
    safe = re.sub(r"[^\w.\[\]-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    if len(safe.encode()) <= _LONGEST:
        return safe
    cut = safe.encode()[:_LONGEST].decode(errors="ignore")
    return f"{cut}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def is_name(name: object) -> bool:
    """Whether a cassette may be called so, or has no name of its own."""
    return name is None or (isinstance(name, str) and bool(name.strip()) and "\0" not in name and name[-1] != "/")


def _whole_name(item: pytest.Item) -> str:
    return f"{item.nodeid.removesuffix(item.name)}{_test_name(item)}"  # both backends of anyio are one


def _refuse_namesake(item: pytest.Item, path: Path) -> None:
    """In one folder of cassettes, modules of one name in several folders of tests would share theirs, and nobody said so."""
    other = namesake(item.config, path, _whole_name(item))
    if other is not None:
        pytest.fail(
            f"{path} is the cassette of {other}, too: the modules have one name, and --streamrt-cassette-dir puts the cassettes of "
            "all folders into one. Rename one of the modules, or give this test a cassette of its own: "
            "@pytest.mark.streamrt(cassette='…'); the same one for both, where they are to share it",
            pytrace=False,
        )


def _claim(item: pytest.Item, path: Path) -> None:
    """One cassette is recorded by one test in a run; two would overwrite each other."""
    test = _whole_name(item)
    owner = claim(item.config, path, test)
    if owner is not None:
        pytest.fail(
            f"the cassette {path} is being recorded by {owner} in this run already, and {test} would overwrite it. "
            "Give each test a cassette of its own, or record one of them alone",
            pytrace=False,
        )
