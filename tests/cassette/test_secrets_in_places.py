"""Secrets that deltas of one place spell out while other strings of the same name stand between: none of them reaches the disk."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt.cassette.redact import PLACEHOLDER, Redactor
from tests.strategies import cut_text

KEY = "sk-proj-Qx7Zk1Wm4Rt8Yp2Ls5Vn9Bc3"  # known to nobody, but for its looks
SECRETS = [KEY, "Zx81-qwerty-55-plain", "pässwörd-12345é"]
OTHER = "nothing of any interest here, at all, whatever it may be that is said"


def clean(frames, **environment):
    """The frames without secrets, cut as they were."""
    found, _ = Redactor(environment=environment).chunks([frame.encode() for frame in frames])
    assert [len(chunk) for chunk in found] == [len(frame.encode()) for frame in frames]
    return [chunk.decode() for chunk in found]


def framed(event):
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def loaded(frames):
    return [json.loads(frame.replace("\ndata:", "\n").removeprefix("data:")) for frame in frames]


def assert_hidden(said, secret):
    assert len(said) >= len(secret)  # bytes, of those beyond ASCII
    assert set(said) <= set(f"{PLACEHOLDER}*")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before", [0, 70])
def test_a_delta_beside_all_that_was_said_so_far(secret, before):
    frames, so_far = [], ""
    for piece in [*["and "] * before, *cut_text(secret, [3])]:
        so_far += piece
        frames.append(framed({"choices": [{"index": 0, "message": {"content": so_far}, "delta": {"content": piece}}]}))

    left = [event["choices"][0]["delta"]["content"] for event in loaded(clean(frames, A_TOKEN=secret))]

    assert left[:before] == ["and "] * before
    assert_hidden("".join(left[before:]), secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_an_event_in_several_lines_of_data(secret):
    frames = []
    for a, b in zip(cut_text(secret, [5]), cut_text(OTHER, [5]), strict=False):
        for number, text in enumerate((a, b)):
            head = f'data: {{"type": "delta", "index": {number},\n'
            frames.append(f'{head}data: "delta": {{"text": {json.dumps(text, ensure_ascii=False)}}}}}\n\n')

    events = loaded(clean(frames, A_TOKEN=secret))

    assert_hidden("".join(event["delta"]["text"] for event in events if event["index"] == 0), secret)
    assert OTHER.startswith("".join(event["delta"]["text"] for event in events if event["index"] == 1))


@pytest.mark.parametrize("secret", SECRETS)
def test_answers_that_come_together_or_alone_each_with_a_number_of_its_own_event(secret):
    frames = []
    for number, (a, b) in enumerate(zip(cut_text(secret, [3]), cut_text(OTHER, [3]), strict=False)):
        one, other = ({"index": n, "delta": {"content": text}} for n, text in enumerate((a, b)))
        together = [[one, other]] if number % 3 else [[other], [one]]
        frames += [framed({"chunk_index": len(frames) + n, "choices": each}) for n, each in enumerate(together)]

    choices = [choice for event in loaded(clean(frames, A_TOKEN=secret)) for choice in event["choices"]]

    assert_hidden("".join(choice["delta"]["content"] for choice in choices if choice["index"] == 0), secret)
    assert OTHER.startswith("".join(choice["delta"]["content"] for choice in choices if choice["index"] == 1))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", ["run_id", "choice_index"])
@pytest.mark.parametrize("first", [True, False])
def test_what_tells_them_apart_stands_beside_them(secret, name, first):
    frames = []
    for step, (a, b) in enumerate(zip(cut_text(secret, [3]), cut_text(OTHER, [3]), strict=False)):
        for number, text in enumerate((a, b)):
            mark = {"metadata": {name: number if "index" in name else f"run-{number}", "step": step}}
            said = {"message": {"text": text}}
            frames.append(framed({**mark, **said} if first else {**said, **mark}))

    events = loaded(clean(frames, A_TOKEN=secret))

    said = {
        number: "".join(
            event["message"]["text"] for event in events if event["metadata"][name] in (number, f"run-{number}")
        )
        for number in (0, 1)
    }
    assert_hidden(said[0], secret)
    assert OTHER.startswith(said[1])


@pytest.mark.parametrize("secret", SECRETS)
def test_thoughts_between_the_parts_of_a_text(secret):
    frames = []
    for a, b in zip(cut_text(secret, [4]), cut_text(OTHER, [4]), strict=False):
        parts = ({"text": a}, {"text": b, "thought": True})
        frames += [framed({"candidates": [{"content": {"parts": [part]}, "index": 0}]}) for part in parts]

    parts = [event["candidates"][0]["content"]["parts"][0] for event in loaded(clean(frames, A_TOKEN=secret))]

    assert_hidden("".join(part["text"] for part in parts if "thought" not in part), secret)
    assert OTHER.startswith("".join(part["text"] for part in parts if "thought" in part))


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("together", [1, 2, 1000])  # tokens in an event
@pytest.mark.parametrize("answers", [1, 2])
def test_the_tokens_of_a_text_beside_others(secret, together, answers):
    tokens = []
    for piece in cut_text(secret, [2]):
        one = {"token": piece, "logprob": -0.1, "bytes": list(piece.encode())}
        other = {"token": "other", "logprob": -3.0, "bytes": [9]}
        tokens.append({**one, "top_logprobs": [one, other]})
    frames = []
    for first in range(0, len(tokens), together):
        for index in range(answers):
            content = tokens[first : first + together] if index == 0 else [{"token": "x", "bytes": [120]}]
            frames.append(framed({"choices": [{"index": index, "delta": {}, "logprobs": {"content": content}}]}))

    choices = [choice for event in loaded(clean(frames, A_TOKEN=secret)) for choice in event["choices"]]

    left = [token for choice in choices if choice["index"] == 0 for token in choice["logprobs"]["content"]]
    for which in (left, [token["top_logprobs"][0] for token in left]):
        assert_hidden("".join(token["token"] for token in which), secret)
        assert {number for token in which for number in token["bytes"]} <= {1, 11, 111}
    assert {token["top_logprobs"][1]["token"] for token in left} == {"other"}


def test_a_private_key_ends_with_its_string():
    begin, end = "-----BEGIN RSA PRIVATE KEY-----\nMIIE", "Qx7Z\n-----END RSA PRIVATE KEY-----"
    frames = [
        framed({"type": "delta", "index": n, "delta": {"type": "text", "text": text}})
        for n, text in enumerate((begin, end))
    ]

    left = loaded(clean(frames))

    assert [event["type"] for event in left] == ["delta", "delta"]
    assert [event["delta"]["type"] for event in left] == ["text", "text"]
    assert_hidden("".join(event["delta"]["text"] for event in left), begin + end)


@pytest.mark.parametrize("written", ["%5C", "\\\\", "\\u005c", "\\u005C"])
@pytest.mark.parametrize("letter", "bfnrtux")
def test_a_backslash_before_any_letter(written, letter):
    left = "".join(
        clean([f'data: {{"text": "it is pass-4711{written}{letter}12345."}}\n\n'], A_TOKEN=f"pass-4711\\{letter}12345")
    )

    assert json.loads(left.removeprefix("data: "))["text"].startswith(f"it is {PLACEHOLDER}")
    assert "12345" not in left


@pytest.mark.parametrize("before", [300, 500, 560, 600, 640, 680])
def test_a_letter_in_each_long_event_of_a_long_stream(before):
    secret = "sk-proj-" + "Qx7Zk1Wm4Rt8" * 10
    pieces = ["it is ", *["."] * before, " ", *secret, " ", *["."] * 100]
    frames = [framed({"text": piece, "n": n, "others": ["x" * 2900]}) for n, piece in enumerate(pieces)]

    said = "".join(event["text"] for event in loaded(clean(frames)))

    assert said.startswith(f"it is {'.' * before} ")
    assert_hidden(said.removeprefix(f"it is {'.' * before} ")[: len(secret)], secret)


def token(piece):
    """An event with a token and its bytes."""
    content = [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}]
    return framed({"choices": [{"index": 0, "delta": {"content": piece}, "logprobs": {"content": content}}]})


def assert_json(stream):
    for line in stream.decode(errors="replace").split("\n\n")[:-1]:
        json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("secret", SECRETS)
def test_the_bytes_of_tokens_in_a_stream_that_is_cut_off_anywhere(secret):
    whole = "".join(map(token, cut_text(secret, [2]))).encode()
    redactor = Redactor(environment={"A_TOKEN": secret})
    last = whole.rindex(b"data: ", 0, -3)

    for end in range(last, len(whole)):
        (left,), _ = redactor.chunks([whole[:end]], whole=False)

        assert len(left) == end
        assert_json(left)


@pytest.mark.parametrize("inside", [10, 40, 60, 70, 90])
def test_the_bytes_of_tokens_in_a_long_stream_where_what_is_looked_at_begins(inside):
    secret, begins = SECRETS[0], 1_048_576
    other = framed({"text": "x" * 88}).encode()
    before = other * ((begins - inside) // len(other) - 1)
    before += framed({"text": "x" * (begins - inside - len(before) - len(framed({"text": ""})))}).encode()
    whole = before + "".join(map(token, secret)).encode() + other * 4_000

    left, _ = Redactor(environment={"A_TOKEN": secret}).chunks([whole[at : at + 16] for at in range(0, len(whole), 16)])

    assert len(before) == begins - inside
    after = b"".join(left)[len(before) :]
    assert_json(after)
    events = loaded(after.decode().split("\n\n")[: len(secret)])
    assert_hidden("".join(event["choices"][0]["delta"]["content"] for event in events), secret)
