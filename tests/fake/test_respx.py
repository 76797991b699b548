"""The fake provider as a route of respx, over httpx and over httpx2."""

from __future__ import annotations

import httpx
import httpx2
import openai
import pytest
import respx

from pytest_streamrt import ProviderMiss, disconnect, script

pytestmark = [
    pytest.mark.anyio,
    # The SDKs leave generators of their own behind at the provider's last event, and trio warns of them.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <async_generator object"),
]

URL = "https://api.openai.com/v1/chat/completions"
EACH = pytest.mark.parametrize(
    ("using", "library"),
    [("httpcore", httpx), ("httpcore2", httpx2), ("httpx", httpx)],
    ids=["httpcore", "httpcore2", "httpx"],
)


async def ask(**options):
    async with openai.AsyncOpenAI(**options) as client:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@EACH
@pytest.mark.virtual_time
async def test_it_answers_as_a_route_among_others(using, library, fake_provider, transcript, virtual_clock):
    fake_provider.enqueue(script("Hel", "lo", every=0.5))
    with respx.mock(using=using) as router:
        fake_provider.mount(router)
        other = router.get("https://example.com/").respond(text="routed")
        async with library.AsyncClient(verify=False) as client:
            assert (await client.get("https://example.com/")).text == "routed"
            assert await ask(http_client=client) == "Hello"

        assert other.called
        assert router["fake_provider"].call_count == 1
    assert virtual_clock.now == 1
    assert fake_provider.calls[0].json["model"] == "m"
    transcript.expect("openai.chat").text("Hello", at=1).completed().nothing_more()


@EACH
def test_sync_clients_too(using, library, fake_provider, transcript):
    fake_provider.enqueue(script("Hel", "lo"), script("wor", disconnect()), script("ld"))
    with respx.mock(using=using) as router:
        fake_provider.mount(router)
        with library.Client(verify=False) as client:
            assert "Hel" in client.post(URL, json={"stream": True}).text
            with pytest.raises(library.RemoteProtocolError, match="incomplete chunked read"):
                client.post(URL, json={"stream": True})
            assert client.post(URL).json()["choices"][0]["message"]["content"] == "ld"

    assert transcript.text("openai.chat#2") == "wor"


@EACH
async def test_what_is_left_over_is_for_the_router_and_a_miss_is_a_miss(using, library, fake_provider):
    with respx.mock(using=using, assert_all_called=False) as router:
        fake_provider.mount(router)
        async with library.AsyncClient(verify=False) as client:
            with pytest.raises(AssertionError, match="not mocked"):
                await client.get("https://example.com/")
            with pytest.raises(ProviderMiss):
                await client.post(URL, json={"stream": True})

    fake_provider.reset()


def test_what_the_router_does_not_see_does_not_get_out(fake_provider):
    fake_provider.enqueue(script("a"), script("b"))
    with respx.mock(using="httpcore", assert_all_called=False) as router:
        fake_provider.mount(router)
        assert "a" in httpx2.post(URL).text
    assert "b" in httpx.post(URL).text


@pytest.mark.virtual_time
@pytest.mark.respx(using="httpcore2")
async def test_with_the_fixture_of_respx(respx_mock, fake_provider):
    fake_provider.mount(respx_mock)
    fake_provider.enqueue(script("Hello"))

    assert await ask() == "Hello"


@pytest.mark.virtual_time
async def test_a_router_that_was_started_before_anybody_knew_httpx2(monkeypatch, fake_provider):
    from respx.mocks import Mocker

    with monkeypatch.context() as patched:
        patched.setattr(
            Mocker, "registry", {name: each for name, each in Mocker.registry.items() if name != "httpcore2"}
        )
        router = respx.mock(using="httpcore2")
        router.start()
    fake_provider.enqueue(script("Hello"))
    try:
        fake_provider.mount(router)

        assert await ask() == "Hello"
    finally:
        router.stop()


def test_what_is_no_router_is_refused(fake_provider):
    with pytest.raises(
        TypeError, match="fake_provider.mount takes a router of respx, such as its fixture respx_mock, not 1"
    ):
        fake_provider.mount(1)
