"""What having the plugin installed costs every user: next to nothing until a test asks for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("openai", "anthropic", "pydantic", "httpx", "httpx2", "respx", "syrupy", "trio", "click")


def modules_after(code):
    """The names of the modules that are loaded in a fresh interpreter after that code."""
    source = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("code", ["import pytest_streamrt", "import pytest_streamrt.plugin"])
def test_the_import_loads_nothing_heavy(code):
    loaded = modules_after(code)

    assert not set(HEAVY) & set(loaded)
    ours = [name for name in loaded if name.startswith("pytest_streamrt.") and "plugin" not in name]
    assert ours == ["pytest_streamrt.script"]


def test_a_run_of_pytest_that_does_not_use_it_loads_nothing_heavy(project, monkeypatch):
    project.write("""
        import sys

        def test_what_is_loaded():
            heavy = {"openai", "anthropic", "pydantic", "httpx", "httpx2", "respx", "syrupy", "click"}
            assert not heavy & set(sys.modules)
            assert "pytest_streamrt.plugin" in sys.modules
            assert "pytest_streamrt.transcript" not in sys.modules
    """)

    # Other plugins of this environment import much: only pytest's own and ours are loaded.
    (project.path / "pytest.ini").write_text("[pytest]")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = project.run("-p", "pytest_streamrt.plugin")

    result.assert_outcomes(passed=1)


def test_every_public_name_can_be_had():
    import pytest_streamrt

    for name in pytest_streamrt.__all__:
        assert getattr(pytest_streamrt, name) is not None
    assert set(pytest_streamrt.__all__) <= set(dir(pytest_streamrt))
    with pytest.raises(AttributeError, match="has no attribute 'no_such_thing'"):
        _ = pytest_streamrt.no_such_thing


def test_script_is_the_function_whatever_was_imported_first():
    loaded = modules_after(
        "import pytest_streamrt.script.parts\n"
        "import pytest_streamrt.fake\n"
        "from pytest_streamrt import script\n"
        "assert script('a').text == 'a'\n"
        "assert script(script.tool_call('t', {})).parts[0].name == 't'"
    )
    assert "pytest_streamrt.script.build" in loaded


def test_the_runtime_works_without_pytest():
    code = """
import sys
sys.modules["pytest"] = None  # as if it were not installed
import anyio
from pytest_streamrt import Agent, Environment, FakeModel, Transcript, script
async def main():
    transcript = Transcript()
    async with Environment(agent := Agent("agent", FakeModel(script("Hello"))), transcript=transcript):
        assert (await agent.infer("Hi")).text == "Hello"
    transcript.expect("agent").text("Hello").completed().nothing_more()
anyio.run(main)
"""
    assert "_pytest" not in modules_after(code)
