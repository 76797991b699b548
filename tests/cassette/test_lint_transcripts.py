"""Transcripts kept as text: a secret is found in them that the model has said in several deltas."""

from __future__ import annotations

import json
import re
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_streamrt import reasoning, script, tool_call
from pytest_streamrt.cassette.lint import PERSONAL, lint
from pytest_streamrt.cassette.redact import Redactor
from pytest_streamrt.events import TextDelta, ToolCallDelta, from_json, to_json
from pytest_streamrt.report import snapshot_text
from tests.strategies import cut_text, examples, sizes
from tests.transcript.scenes import say

KEY = "sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3"
VARIABLE = "Zx81'qwe\"rty\\55-é"


class Careless(Redactor):
    """Takes nothing out: a snapshot as it was written before its secrets were known."""

    def pieces(self, pieces):
        return list(pieces)

    def text(self, text):
        return text


def redactor():
    return Redactor(environment={"A_TOKEN": VARIABLE}, patterns=[PERSONAL])


def written(tmp_path, transcript):
    path = tmp_path / "test_it.transcript"
    path.write_text(snapshot_text(transcript, Careless(environment={})), encoding="utf-8")
    return path


def said(text):
    return "".join(re.findall(r'  text="(.*?)"(?:  choice=\d)?$', text, re.MULTILINE))


@pytest.mark.anyio
@pytest.mark.virtual_time
@pytest.mark.parametrize(("secret", "what"), [(KEY, "sk-"), (VARIABLE, "A_TOKEN"), ("ada@engine.org", "e-mail")])
async def test_a_secret_that_is_cut_over_deltas(secret, what, tmp_path):
    transcript = await say(script("it is ", *cut_text(secret, [3]), " or not", every=0.5))
    path = written(tmp_path, transcript)
    before = path.read_text(encoding="utf-8").splitlines()

    found = lint(path, redactor())

    assert len(found.leaks) == 3  # in the drawing, in the deltas, and in the item
    assert all(what in leak.what for leak in found.leaks)
    assert [before[leak.line - 1].split()[-2:][0] for leak in found.leaks[:2]] == ["text.delta", "text.delta"]
    after = found.data.decode().splitlines()
    assert [len(line.encode()) for line in after if "text.delta" in line] == [
        len(line.encode()) for line in before if "text.delta" in line
    ]
    assert said(found.data.decode()).startswith("it is [redacted]")
    assert said(found.data.decode()).endswith(" or not")
    path.write_bytes(found.data)
    assert lint(path, redactor()).leaks == []


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_in_reasoning_and_in_a_call(tmp_path):
    call = tool_call("t", {"k": KEY}, pieces=cut_text(f'{{"k":"{KEY}"}}', [7]))
    path = written(tmp_path, await say(script(reasoning(*cut_text(KEY, [5])), call, every=0.5)))

    found = lint(path, redactor())

    assert b"[redacted]" in found.data
    for lane in (
        r'reasoning\.delta  text="(.*)"',
        r'arguments="(.*)"',
        r"reasoning\.delta '(.*)'",
        r"tool_call\.delta '(.*)'",
    ):
        joined = "".join(re.findall(lane, found.data.decode()))
        assert joined
        assert "Qx7" not in joined
        assert "Bc3" not in joined
    path.write_bytes(found.data)
    assert lint(path, redactor()).leaks == []


def test_calls_and_answers_that_come_interleaved_are_told_apart(tmp_path):
    lines = ["Events:"]
    for one, other in zip(cut_text(KEY, [4]), cut_text("nothing of any interest here", [4]), strict=False):
        lines += [
            f'bot  tool_call.delta  call=1  arguments="{one}"',
            f'bot  tool_call.delta  call=2  arguments="{other}"',
        ]
        lines += [f'bot #2  text.delta  text="{one}"', f'bot #2  text.delta  text="{other}"  choice=1']
    path = tmp_path / "a.transcript"
    path.write_text("\n".join(lines))

    found = lint(path, redactor())

    assert [leak.line for leak in found.leaks] == [2, 4]
    assert KEY[-4:].encode() not in found.data
    assert found.data.count(b'"noth"') == 2


@given(pieces=sizes, before=st.sampled_from(["", "a", '"', "\\", "é ", "\n"]))
@examples(50)
def test_however_it_is_cut(pieces, before, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "cut.transcript"
    deltas = cut_text(f"{before}{VARIABLE} {before}", pieces)
    lines = [f"{n}.5  bot  text.delta  text={json.dumps(each, ensure_ascii=False)}" for n, each in enumerate(deltas)]
    path.write_text("\n".join(["Events:", *lines, ""]), encoding="utf-8")

    found = lint(path, redactor())

    left = "".join(json.loads(line.partition("text=")[2]) for line in found.data.decode().splitlines()[1:])
    assert re.fullmatch(r"\[redacted\]\**", left.removeprefix(before).removesuffix(f" {before}"))
    path.write_bytes(found.data)
    assert lint(path, redactor()).leaks == []


@given(secret=st.sampled_from([KEY, VARIABLE, "ada@engine.org"]), sizes=sizes, other=sizes)
@examples(30)
def test_one_in_a_transcript_that_is_json_lines(tmp_path_factory, secret, sizes, other):
    path = tmp_path_factory.mktemp("lint") / "transcript.jsonl"
    pairs = zip_longest(cut_text(f"it is {secret} or not", sizes), cut_text("nothing " * 9, other))
    events = []
    for one, another in pairs:
        events += [TextDelta(source="a", inference="1", text=one)] * bool(one)
        events += [TextDelta(source="b", inference="2", text=another)] * bool(another)
        events += [ToolCallDelta(source="b", id="c", arguments=one)] * bool(one)
    path.write_bytes(to_json(events))

    found = lint(path, redactor())

    assert len(found.leaks) == 2
    left = from_json(found.data)
    for whose, name in (([("text.delta", "a")], "text"), ([("tool_call.delta", "b")], "arguments")):
        said = "".join(getattr(event, name) for event in left if (event.type, event.source) in whose)
        assert said.startswith("it is [redacted]")
        assert said.endswith(" or not")
    assert "".join(event.text for event in left if event.source == "b" and event.type == "text.delta") == "nothing " * 9
    path.write_bytes(found.data)
    assert lint(path, redactor()).leaks == []


def test_what_an_ellipsis_has_left_of_one(tmp_path):
    path = tmp_path / "test_it.transcript"
    path.write_text(f"bot  a  0.5  signal 'it is {VARIABLE[:14]}…\nbot  b  0.6  signal 'fine'\n", encoding="utf-8")

    found = lint(path, redactor())

    assert [leak.line for leak in found.leaks] == [1]
    assert found.data.decode() == "bot  a  0.5  signal 'it is [redacted]…\nbot  b  0.6  signal 'fine'\n"
