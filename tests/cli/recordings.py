"""Files for the commands to read: small cassettes in OpenAI Chat's dialect, and transcripts; and the commands, in process."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pytest_streamrt.cli.app import streamrt
from tests.cassette.written import answered, cassette


@pytest.fixture
def run():
    """Run a command; gives its result, with `exit_code`, `stdout` and `stderr`."""

    def run(*arguments, **options):
        return CliRunner().invoke(streamrt, [str(each) for each in arguments], catch_exceptions=False, **options)

    return run


def frame(content=None, *, finish=None, **extra):
    """A frame of a stream."""
    choice = {"index": 0, "delta": {"content": content} if content is not None else {}, "finish_reason": finish}
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **extra}
    return f"data: {json.dumps(chunk)}\n\n"


def chat(folder, *words, extra=None, request=None, **options):
    """A cassette in which a model says these words, and ends."""
    folder.mkdir(exist_ok=True)
    frames = [frame(word, **(extra or {})) for word in words]
    body = json.dumps(request or {"model": "m", "stream": True}, separators=(",", ":"))
    return cassette(folder, answered(*frames, frame(finish="stop"), "data: [DONE]\n\n", **options), body=body)
