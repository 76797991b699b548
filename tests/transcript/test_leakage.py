"""`assert_no_leak`: what it finds, in which disguise, and where; what it leaves alone; how it tells; when it refuses."""

from __future__ import annotations

import json

import pytest

from pytest_streamrt import (
    Agent,
    Environment,
    FakeModel,
    LeakageGate,
    ModelContext,
    Transcript,
    TranscriptError,
    hidden,
    reasoning,
    script,
    tool_call,
    virtual_time,
)
from pytest_streamrt.events import Message
from pytest_streamrt.providers import encode
from tests.transcript.scenes import CHAT, JSON, RESPONSES, STREAM, say

pytestmark = pytest.mark.anyio

CANARY = "canary-7f3a91bc"
PLAN = "First I drop the table users, then I hope that nobody looks at the backups for a week."


async def leaks_of(*parts, secret=CANARY, **options):
    transcript = await say(script(*parts))
    try:
        transcript.assert_no_leak(hidden=[secret], visible="bot", **options)
    except AssertionError as error:
        return str(error)
    return ""


async def test_a_secret_is_found_however_it_is_cut():
    assert await leaks_of(*f"The key is {CANARY}, keep it.")


async def test_a_text_without_it_passes():
    assert not await leaks_of("The key is canary-7f3a91b", "d.")


@pytest.mark.parametrize(
    "disguised",
    [
        "CANARY-7F3A91BC",
        "c a n a r y - 7 f 3 a\n9 1 b c",
        "ca\u200bna\u00adry-7f\u20603a91bc\ufe0f",
        "".join(chr(ord(character) + 0xFEE0) for character in CANARY),
        "".join(chr(ord(c) - ord("a") + 0x1D41A) if c.isalpha() else c for c in CANARY),
    ],
    ids=["case", "white space", "invisible", "full width", "mathematical"],
)
async def test_a_disguised_secret_is_found_when_asked(disguised):
    assert not await leaks_of("It is ", *disguised)
    assert await leaks_of("It is ", *disguised, normalise=True)


async def test_a_letter_with_an_accent_is_another_letter():
    assert not await leaks_of("one café au lait", secret="cafe", normalise=True)
    assert await leaks_of("one cafe\u0301 au lait", secret="CAFÉ", normalise=True)


async def test_the_message_says_what_where_and_when():
    with virtual_time():
        message = await leaks_of("The key is ", "canary-7f", "3a91bc", ", keep it.", "x", secret=CANARY)

    assert CANARY not in message
    assert message.startswith(
        "something hidden was shown\n\n"
        "the secret [can…, 15 characters] was shown by 'bot', at t=0 s\n"
        "  where: text of 'bot', characters 11 to 26, in piece 2 to 3 (seq 4 to 5)\n"
        "  there: The key is »[can…, 15 characters]«, keep it.x\n"
    )
    assert "LeakageGate(hide=" in message


async def test_another_secret_in_the_context_is_masked_too():
    transcript = await say(script("alpha-000-secret and beta-111-secret"))
    with pytest.raises(AssertionError) as caught:
        transcript.assert_no_leak(hidden=["alpha-000-secret", "beta-111-secret"], visible="bot")

    assert "secret and" not in str(caught.value)
    assert "shown, 2 times" in str(caught.value)


async def test_a_quote_of_the_reasoning_is_found():
    transcript = await say(script(reasoning(PLAN), "My plan: ", *PLAN[10:70], "."))
    with pytest.raises(AssertionError, match="a quote of 60 characters from reasoning of 'bot' was shown by 'bot'"):
        transcript.assert_no_leak(hidden=[hidden.reasoning()], visible="bot")


@pytest.mark.parametrize(("length", "found"), [(39, False), (40, True)])
async def test_a_quote_counts_from_min_quote_on(length, found):
    transcript = await say(script(reasoning(PLAN), "#", *PLAN[3 : 3 + length], "#"))
    if found:
        with pytest.raises(AssertionError, match="a quote of 40 characters"):
            transcript.assert_no_leak(hidden=[hidden.reasoning("bot")], visible="bot")
    else:
        transcript.assert_no_leak(hidden=[hidden.reasoning("bot")], visible="bot")


async def test_the_reasoning_itself_is_no_leak_of_itself_but_its_text_elsewhere_is():
    transcript = Transcript()
    await say(script(reasoning(PLAN), "Done."), name="thinker", transcript=transcript)
    await say(script(reasoning(PLAN), "Done."), name="window", transcript=transcript)
    transcript.assert_no_leak(hidden=[hidden.reasoning("thinker")], visible="thinker")
    with pytest.raises(AssertionError, match="where: reasoning of 'window'"):
        transcript.assert_no_leak(hidden=[hidden.reasoning("thinker")], visible="window")


async def test_what_a_gate_kept_back_was_not_shown_and_is_still_known():
    bot = Agent("bot", FakeModel(script(reasoning(PLAN), "Hello")))
    transcript = Transcript()
    async with Environment(bot, transcript=transcript, gates=[LeakageGate(hide_reasoning=True)]):
        await bot.infer("hi")

    assert "reasoning.delta" not in {event.type for event in transcript.events}
    transcript.assert_no_leak(hidden=[hidden.reasoning()], visible="bot")


async def test_what_tools_were_asked_and_answered_is_hidden_too():
    def lookup(name: str) -> dict[str, str]:
        """Look somebody up."""
        return {"name": name, "note": "owes the casino twelve thousand, pays on Fridays"}

    context = ModelContext([Message("You are Ada, who never ever speaks about other people's debts.", role="system")])
    first = script(tool_call("lookup", {"name": "Grigori Yefimovich Rasputin, of Pokrovskoye"}))
    said = {
        "debts": "owes the casino twelve thousand, pays on Fridays",
        "name": "Grigori Yefimovich Rasputin, of Pokrovskoye",
        "prompt": "who never ever speaks about other people's debts",
        "nothing": "There is nothing that I could tell you about this.",
    }
    found = {}
    for about, text in said.items():
        bot = Agent("bot", FakeModel(first, script("I know: ", text)), context=context.copy(), tools=[lookup])
        transcript = Transcript()
        async with Environment(bot, transcript=transcript):
            outcome = await bot.infer("Tell me.")
        found[about] = [
            name
            for name, selection in [
                ("results", hidden.tool_results()), ("calls", hidden.tool_calls()), ("prompt", hidden.system_prompt())
            ]
            if leaks(transcript, selection, outcome.text)
        ]  # fmt: skip

    assert found == {"debts": ["results"], "name": ["results", "calls"], "prompt": ["prompt"], "nothing": []}


def leaks(transcript, selection, text):
    try:
        transcript.assert_no_leak(hidden=[selection], visible=text)
    except AssertionError as error:
        assert "a quote of" in str(error)
        return True
    return False


REQUESTS = {
    "openai.responses": (
        RESPONSES,
        {
            "instructions": PLAN,
            "input": [{"role": "developer", "content": [{"type": "input_text", "text": PLAN.upper()}]},
                      {"type": "function_call_output", "call_id": "c", "output": PLAN[::-1]}],
        },
    ),
    "openai.chat": (
        CHAT,
        {
            "messages": [{"role": "system", "content": PLAN}, {"role": "developer", "content": PLAN.upper()},
                         {"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "c", "content": PLAN[::-1]}],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("dialect", REQUESTS)
async def test_requests_tell_what_models_were_instructed_and_what_tools_answered(dialect):
    request, body = REQUESTS[dialect]
    transcript = Transcript()
    exchange = transcript.begin_exchange(*request, json.dumps(body).encode())
    exchange.opened(200, STREAM)
    exchange.closed("complete")

    for text in (PLAN, PLAN.upper()):
        assert leaks(transcript, hidden.system_prompt(dialect), text)
    assert leaks(transcript, hidden.tool_results(), PLAN[::-1])
    assert not leaks(transcript, hidden.tool_results(), PLAN)


async def test_a_request_that_is_no_json_holds_nothing():
    transcript = Transcript()
    exchange = transcript.begin_exchange(*RESPONSES, b"\xff not JSON")
    exchange.opened(200, JSON)
    exchange.closed("complete")

    transcript.assert_no_leak(hidden=[hidden.system_prompt()], visible="some text", allow_empty=True)


async def test_a_secret_in_any_lane_is_found():
    parts = [
        script(reasoning(CANARY)),
        script(tool_call("look", {"for": CANARY})),
        script(tool_call(CANARY, {})),
        script(tool_call("look", json.dumps({"for": CANARY}).replace("c", "\\u0063"))),
    ]
    for part in parts:
        with pytest.raises(AssertionError, match="was shown by 'bot'"):
            (await say(part)).assert_no_leak(hidden=[CANARY], visible=["bot"])


async def test_a_secret_is_found_in_what_no_dialect_could_map():
    transcript = Transcript()
    exchange = transcript.begin_exchange(*RESPONSES)
    exchange.opened(200, STREAM)
    for piece in ("canary-", "7f3a91bc"):
        data = json.dumps({"type": "response.dream.delta", "dream": [{"of": piece}]})
        exchange.chunk(f"event: response.dream.delta\ndata: {data}\n\n".encode())
    for chunk in encode(script("Hello"), "openai.responses"):
        exchange.chunk(chunk)
    exchange.closed("complete")

    with pytest.raises(AssertionError, match="where: provider's event of 'openai.responses', characters 0 to 15"):
        transcript.assert_no_leak(hidden=[CANARY], visible="openai.responses")


async def test_interleaved_inferences_are_texts_of_their_own():
    transcript = Transcript()
    bot = Agent("bot", FakeModel(script("canary-", "end", every=2), script("7f3a91bc", every=3)))
    with virtual_time():
        async with Environment(bot, transcript=transcript):
            first, second = bot.infer("one"), bot.infer("two")
            await first
            await second

    transcript.assert_no_leak(hidden=[CANARY], visible="bot")


async def test_a_row_of_hyphens_is_no_quote():
    table = "| a | b |\n" + "-" * 60 + "\n"
    transcript = await say(script(reasoning(f"{PLAN}\n{table}"), "The table:\n", table))

    transcript.assert_no_leak(hidden=[hidden.reasoning()], visible="bot")


@pytest.mark.parametrize(
    ("hide", "visible", "why"),
    [
        ([], "bot", "hidden is empty"),
        ([hidden.tool_calls()], "bot", r"hidden.tool_calls\(\) selects nothing"),
        (
            [hidden.reasoning()],
            "bot",
            "has 5 characters, and quotes count from min_quote=40 on; min_quote=5 would find all of it",
        ),
        ([hidden.text("bot")], "bot", r"hidden.text\('bot'\) and visible are the same"),
        ([CANARY], " ", None),
        ([CANARY], "", "nothing is visible"),
    ],
)
async def test_a_check_that_could_not_fail_fails(hide, visible, why):
    transcript = await say(script(*([] if hide == [hidden.text("bot")] else [reasoning("Hmm, ")]), PLAN))
    if why is None or visible == "":
        transcript = Transcript()
    if why is None:
        transcript.assert_no_leak(hidden=hide, visible=visible)
        return
    with pytest.raises(AssertionError, match=f"this check could not fail: .*{why}.*allow_empty=True"):
        transcript.assert_no_leak(hidden=hide, visible=visible)
    transcript.assert_no_leak(hidden=hide, visible=visible, allow_empty=True)


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"hidden": [CANARY], "visible": "browzer"}, AssertionError, "visible='browzer' is no source .* which has: bot"),
        ({"hidden": [hidden.reasoning("brain")], "visible": "bot"}, AssertionError, r"hidden.reasoning\('brain'\) is of no source"),
        ({"hidden": CANARY, "visible": "bot"}, TypeError, "hidden is a list"),
        ({"hidden": [7], "visible": "bot"}, TypeError, "hidden holds strings"),
        ({"hidden": [""], "visible": "bot"}, ValueError, "everywhere"),
        ({"hidden": ["\u200b "], "visible": "bot", "normalise": True}, ValueError, "everywhere"),
        ({"hidden": [CANARY], "visible": "bot", "min_quote": 0}, ValueError, "min_quote is a whole number from 1 on, not 0"),
    ],
)  # fmt: skip
async def test_a_wrong_use_is_told(options, error, what):
    transcript = await say(script("Hello"))
    with pytest.raises(error, match=what):
        transcript.assert_no_leak(**options)


async def test_leaks_can_be_read():
    transcript = await say(script("It is ", CANARY))
    with pytest.raises(AssertionError):
        transcript.assert_no_leak(hidden=[CANARY], visible="bot")

    (leak,) = transcript.leaks
    assert (leak.source, leak.lane, leak.start, leak.end, leak.delta) == ("bot", "text", 6, 21, 2)
    assert [event.text for event in leak.events] == [CANARY]


async def test_many_leaks_are_told_in_short():
    transcript = await say(script(*[f"{CANARY} "] * 25))
    with pytest.raises(AssertionError, match="25 times") as caught:
        transcript.assert_no_leak(hidden=[CANARY], visible="bot")

    assert "… and 15 more" in str(caught.value)
    assert len(transcript.leaks) == 25


async def test_a_source_that_is_not_there_is_told():
    with pytest.raises(TranscriptError):
        Transcript().text("bot")
