"""What somebody who meets the plugin for the first time gets wrong, and what it says of that."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(("mark", "plugin"), [("anyio", "anyio"), ("asyncio", "pytest-asyncio")])
def test_a_marked_test_whose_runner_is_not_loaded_is_told_so(mark, plugin, project):
    project.ini(f"markers =\n    {mark}")
    project.write(f"""
        import pytest

        @pytest.mark.{mark}
        @pytest.mark.virtual_time
        async def test_it():
            pass
    """)

    result = project.run("-p", f"no:{mark}", "-W", "ignore::pytest.PytestConfigWarning")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*marked {mark}, and nothing runs it: the plugin of {plugin} is not loaded. Leave out -p no:{mark}*"]
    )


def test_a_client_made_before_the_fake_provider_finds_a_key_and_none_stays_behind(project):
    project.write("""
        import os

        import openai
        import pytest
        from pytest_streamrt import script

        @pytest.fixture
        def client():
            return openai.OpenAI()

        def test_the_client_comes_first(client, fake_provider):
            fake_provider.enqueue(script("Hello"))
            answer = client.chat.completions.create(model="m", messages=[])
            assert answer.choices[0].message.content == "Hello"

        @pytest.mark.streamrt(timing="fast")
        def test_a_cassette_that_cannot_be_opened():
            pass

        def test_afterwards():
            assert "OPENAI_API_KEY" not in os.environ
    """)

    result = project.run()

    result.assert_outcomes(passed=2, errors=1)


def test_a_client_that_is_made_on_import_without_a_key_is_told_what_to_do(project):
    project.write("import openai\n\nCLIENT = openai.AsyncOpenAI()", name="chat")
    project.write("""
        import chat

        def test_it(fake_provider):
            pass
    """)

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["Likely: a client is made while its module is imported*", "*os.environ.setdefault(*"])

    (project.path / "conftest.py").write_text('import os\n\nos.environ.setdefault("OPENAI_API_KEY", "none")\n')
    project.run().assert_outcomes(passed=1)


def test_an_edited_prompt_is_told_of_both_ways_to_record_it(project):
    test = """
        import httpx2
        import pytest

        @pytest.mark.streamrt
        def test_ask():
            with pytest.raises(httpx2.ConnectError):
                httpx2.post("http://127.0.0.1:9/v1", json={"say": "WORD"})
    """
    project.write(test.replace("WORD", "hello"))
    project.record()
    project.write(test.replace("WORD", "good bye"))

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*body.say: recorded 'hello', now 'good bye'",
            "If the request is right, record the cassette anew: *--streamrt-record=rewrite*add this: *=new_episodes",
        ]
    )


ENDPOINT = """
    import httpx2
    import pytest
    from openai import AsyncOpenAI
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

    async def chat(request):
        client = AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)  # nobody listens there
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        return StreamingResponse((f"data: {chunk}" async for chunk in stream), media_type="text/event-stream")

    async def broken(request):
        raise ValueError("of the app's own")

    app = Starlette(routes=[Route("/chat", chat), Route("/broken", broken)])
"""


def test_an_app_whose_provider_nothing_stands_in_for_is_told_what_would(project):
    project.write(f"""{ENDPOINT}
    async def test_it(asgi_client):
        async with asgi_client(app) as browser:
            await browser.get("/chat")
    """)

    result = project.run()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "the app asked a real server, and failed: POST http://127.0.0.1:9/v1/chat/completions",
            "APIConnectionError: Connection error. - ConnectError: *",
            "The call was made at test_mine.py:* in chat",
            "*fake_provider.enqueue(script(…))*@pytest.mark.streamrt*",
        ]
    )
    assert len(result.outlines) < 25


def test_what_else_fails_beside_an_app_keeps_its_own_traceback(project):
    project.write(f"""{ENDPOINT}
    async def test_the_app(asgi_client):
        async with asgi_client(app) as browser:
            await browser.get("/broken")

    async def test_the_test_itself(asgi_client):
        async with httpx2.AsyncClient() as client:
            await client.get("http://127.0.0.1:9/v1/models")

    async def test_that_it_fails(asgi_client):
        import openai

        with pytest.raises(openai.APIConnectionError):
            async with asgi_client(app) as browser:
                await browser.get("/chat")
    """)

    result = project.run()

    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(['*raise ValueError("of the app\'s own")', "E *ConnectError: *"])
    result.stdout.no_fnmatch_line("*asked a real server*")


def test_wrong_use_is_shown_where_it_is_and_not_in_our_insides(project):
    project.write("""
        import openai
        import pytest
        from pytest_streamrt import Agent, FakeModel, OpenAIChatModel, hidden, script

        def bot(model=None):
            return Agent("bot", model or FakeModel(script("a")))

        def test_environment_in_a_sync_test(environment):
            environment()

        def test_no_script(fake_provider):
            fake_provider.enqueue("a")

        def test_no_time():
            script("a", every="0.1")

        def test_no_model():
            bot(script("a"))

        def test_not_called(transcript):
            transcript.assert_no_leak(hidden=[hidden.system_prompt], visible="bot")

        def test_a_step_that_there_is_not(transcript):
            transcript.mark("now")
            list(transcript.record(iter(["a"]), source="agent"))
            transcript.expect("agent").txt("a")

        def test_no_such_source(transcript):
            transcript.metrics("nobody")

        def test_no_stream(transcript):
            transcript.record(None, source="agent")

        def test_no_dialect(transcript):
            transcript.record(iter("a"), source="agent", decode="openai")

        def test_no_frame(transcript):
            transcript.marbles(frame="1")

        def test_no_laws(transcript):
            transcript.assert_lawful(skip=8)

        def test_no_function(fake_provider):
            fake_provider.respond(script("a"))

        @pytest.mark.anyio
        class TestAsync:
            async def test_no_number(self, fake_provider):
                await fake_provider.emitted("1")

            async def test_in_no_room(self):
                await bot().infer("Hi")

            async def test_two_of_one_name(self, environment):
                async with environment(bot(), bot()):
                    pass

            async def test_a_sync_client(self, environment):
                agent = bot(OpenAIChatModel(openai.OpenAI(api_key="none is needed"), "m"))
                async with environment(agent):
                    await agent.infer("Hi")
    """)

    result = project.run("-p", "no:trio", "-k", "not trio")

    result.assert_outcomes(failed=16)
    shown = result.stdout.str()
    assert "an environment needs a running event loop: make the test `async def`, with @pytest.mark.anyio" in shown
    for inside in ("runtime", "fake", "script", "transcript", "models", "plugin"):
        assert f"/pytest_streamrt/{inside}/" not in shown
