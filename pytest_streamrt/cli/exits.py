"""How every command ends: its exit codes, and what of the project's errors is said before it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from pytest_streamrt.errors import CassetteMiss, StreamrtError

__all__ = ["EXIT_CODES", "explained"]

EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 failed, as where a package that it needs is not installed (it says which); 2 wrong use."
)

_PACKAGES: Final = {
    "openai": "the demo talks through the OpenAI client: pip install 'pytest-streamrt[cli,openai]'",
    "trio": "--backend trio needs the package trio: pip install trio",
    "yaml": "vcr's cassettes are YAML, and reading it needs PyYAML: pip install 'pytest-streamrt[cli]'",
}


@contextmanager
def explained() -> Iterator[None]:
    """What the project raises in the block, or a package that is not installed, ends the command with 1 and a message."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = str(error.name)
        message = _PACKAGES.get(name, f"the package {name} is not installed: pip install {name}")
        raise click.ClickException(message) from None
    except (StreamrtError, CassetteMiss) as error:
        raise click.ClickException(str(error)) from None
