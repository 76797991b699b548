"""The fixture `fake_provider` under every runner, and what it says about a test that used it wrongly."""

from __future__ import annotations

SCRIPTS = """
    import httpx2, openai, pytest
    from pytest_streamrt import script, stall

    def ask():
        stream = openai.OpenAI(max_retries=0).chat.completions.create(model="m", messages=[], stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)
"""


def test_failures_are_told(project):
    project.write(
        SCRIPTS
        + """
    def test_left_over(fake_provider):
        fake_provider.enqueue(script("a"), script("b"))
        ask()

    def test_swallowed(fake_provider):
        try:
            ask()
        except BaseException:
            pass

    def test_raised(fake_provider):
        ask()

    @pytest.mark.streamrt(rechunk="words")
    def test_bad_cut(fake_provider):
        pass

    @pytest.mark.streamrt(faults=["any"])
    def test_faults_of_a_recording(fake_provider):
        pass

    @pytest.fixture(scope="session")
    def streamrt_config():
        return {"ignore_hosts": ["127.*"]}

    def test_hosts_that_are_let_through(fake_provider):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get("http://127.0.0.1:9/")

    @pytest.mark.virtual_time
    def test_it_stalls(fake_provider):
        fake_provider.enqueue(script("a", stall()))
        with pytest.raises(openai.APITimeoutError):
            try:
                ask()
            except Exception as error:
                raise openai.APITimeoutError(request=None) from error
    """
    )

    result = project.run("-p", "no:randomly")

    result.assert_outcomes(passed=2, failed=3, errors=2)
    result.stdout.re_match_lines_random(
        [
            r"fake_provider was asked 1 time; 1 of its scripts was never played: 'b'\. .*",
            r"fake_provider has no script for POST https://api\.openai\.com/v1/chat/completions: it was asked 1 time .*",
            r"@pytest\.mark\.streamrt: faults are laid over a recording, and fake_provider plays scripts.*",
            r'@pytest\.mark\.streamrt: rechunk: cut "recorded", "whole", "event", "byte" or by an integer seed.*',
        ]
    )
    assert "_provider.py" not in result.stdout.str()  # no traceback of ours


def test_under_pytest_asyncio_in_a_sync_test_and_behind_a_test_client(project):
    project.ini("asyncio_mode = auto")
    project.write(
        SCRIPTS
        + """
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    async def chat(request):
        async def said():
            stream = await openai.AsyncOpenAI().chat.completions.create(model="m", messages=[], stream=True)
            async for chunk in stream:
                yield chunk.choices[0].delta.content or ""
        return StreamingResponse(said())

    APP = Starlette(routes=[Route("/chat", chat)])

    @pytest.mark.virtual_time
    async def test_async(fake_provider, transcript, virtual_clock):
        fake_provider.enqueue(script("Hel", "lo", every=0.5))
        stream = await openai.AsyncOpenAI().chat.completions.create(model="m", messages=[], stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello"
        transcript.expect("openai.chat").text("Hello", at=1).completed().nothing_more()

    @pytest.mark.virtual_time
    @pytest.mark.streamrt(rechunk="byte")
    def test_sync(fake_provider, transcript):
        fake_provider.enqueue(script("Hel", "lo", every=0.5))
        assert ask() == "Hello"
        transcript.expect("openai.chat").text("Hello", at=1).completed().nothing_more()

    @pytest.mark.virtual_time
    def test_behind_a_test_client(fake_provider, transcript, virtual_clock):
        fake_provider.enqueue(script("Hel", "lo", every=0.5))
        with TestClient(APP) as client:
            assert client.get("/chat").text == "Hello"
        assert virtual_clock.now == 1
        transcript.expect("openai.chat").text("Hello", at=1).completed().nothing_more()
    """
    )

    project.run().assert_outcomes(passed=3)
