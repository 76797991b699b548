"""No command shows a secret of a file that was recorded without knowing of it: not whole, and not a few letters a line."""

from __future__ import annotations

import pytest

from pytest_streamrt.events import InferenceFailure, Mark, Signal, TextDelta, ToolCallDelta, to_json
from tests.cassette.written import answered, cassette
from tests.cli.recordings import chat, frame, run

__all__ = ["run"]

KEY = "sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3"  # known to nobody, but for its looks
SECRETS = [KEY, 'q7/Xz"9-Ωbé密ta+7f3a91bc\\0123', "first-line-4711\nsecond-line-4712\rthird"]
FORMS = ["marbles", "table", "raw", "json", "html"]


@pytest.fixture(params=SECRETS, ids=["key", "odd", "lines"])
def secret(request, monkeypatch):
    if request.param != KEY:
        monkeypatch.setenv("SOME_API_KEY", request.param)
    return request.param


def pieces(secret, size):
    return [secret[at : at + size] for at in range(0, len(secret), size)]


def transcript(folder, secret, size):
    said = [
        *(TextDelta(text=piece) for piece in pieces(f"it is {secret}.", size)),
        *(ToolCallDelta(id="a", arguments=piece) for piece in pieces(f"it is {secret}.", size)),
        Signal(name="told", data={"what": f"it is {secret}"}),
        Mark(name=f"{'x ' * 50}{secret}"),
        InferenceFailure(kind="provider", message=f"{'x ' * 40}{secret}"),
    ]
    path = folder / "transcript.jsonl"
    path.write_bytes(to_json(said))
    return path


def assert_hidden(secret, shown):
    plain = shown.replace("\\n", "\n").replace("\\r", "\r").replace('\\"', '"').replace("\\\\", "\\")
    for text in (shown, plain):
        for start in range(8 if secret == KEY else 0, len(secret) - 7):
            assert secret[start : start + 7] not in text
    assert "redac" in shown or "***" in shown


@pytest.mark.parametrize("size", [7, 9, 1000])
@pytest.mark.parametrize("form", FORMS)
def test_show(run, tmp_path, secret, size, form):
    for path in (chat(tmp_path, *pieces(f"it is {secret}.", size)), transcript(tmp_path, secret, size)):
        assert_hidden(secret, run("show", "--as", form, path).stdout)


@pytest.mark.parametrize("size", [7, 9, 1000])
def test_play(run, tmp_path, secret, size):
    for path in (chat(tmp_path, *pieces(f"it is {secret}.", size)), transcript(tmp_path, secret, size)):
        assert_hidden(secret, run("play", "--instant", path).stdout)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_diff(run, tmp_path, secret, flags):
    told = chat(tmp_path / "a", *pieces(f"it is {secret}.", 7))
    other = chat(tmp_path / "b", "it is nothing at all, or so it seems")

    assert_hidden(secret, run("diff", *flags, told, other).stdout)
    assert_hidden(secret, run("diff", *flags, other, told).stdout)


def test_where_nobody_can_unpack_a_body_the_rest_is_shown(run, tmp_path):
    path = cassette(tmp_path, answered(frame("x"), headers=[["content-encoding", "compress"]]))

    result = run("show", "--as", "raw", path)

    assert result.exit_code == 0
    assert "complete" in result.stdout
