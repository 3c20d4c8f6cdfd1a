"""The openai client for Python: answers, streams, and the exceptions that its users expect."""

import asyncio

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from harness.cluster import Cluster
from harness.demo import Demo

HELLO = [{"role": "user", "content": "Hello, Peerway!"}]


@pytest.fixture
def client(demo: Demo):
    with OpenAI(base_url=f"{demo.front}/v1", api_key=demo.key, max_retries=0, timeout=30) as made:
        yield made


def test_chat(client: OpenAI, demo: Demo) -> None:
    answer = client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert answer.object == "chat.completion"
    assert "Hello, Peerway!" in (answer.choices[0].message.content or "")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    bill = demo.provider.bill()
    assert (bill["prompt_tokens"], bill["completion_tokens"]) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


def test_stream(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="demo/echo", messages=HELLO, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "Hello, Peerway!" in text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({c.id for c in chunks}) == 1
    assert all(c.usage is None for c in chunks), "usage was not asked for"
    assert all(c.choices for c in chunks), "the usage chunk must not reach a client that did not ask for it"


def test_usage_in_the_stream(client: OpenAI, demo: Demo) -> None:
    stream = client.chat.completions.create(
        model="demo/echo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage and usage.completion_tokens > 0
    bill = demo.provider.bill()
    assert (bill["prompt_tokens"], bill["completion_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)


def test_the_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model="demo/echo", messages=HELLO) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert "Hello, Peerway!" in (final.choices[0].message.content or "")


def test_async_client(demo: Demo) -> None:
    async def many() -> list[str]:
        async with AsyncOpenAI(base_url=f"{demo.front}/v1", api_key=demo.key, max_retries=0, timeout=30) as client:

            async def one(i: int) -> str:
                messages = [{"role": "user", "content": f"number {i}."}]
                if i % 2:
                    answer = await client.chat.completions.create(model="demo/echo", messages=messages)
                    return answer.choices[0].message.content or ""
                stream = await client.chat.completions.create(model="demo/echo", messages=messages, stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

            return await asyncio.gather(*(one(i) for i in range(20)))

    answers = asyncio.run(many())
    for i, answer in enumerate(answers):
        assert f"number {i}." in answer, (i, answer)


@pytest.mark.parametrize("base", ["/v1", "/openai/v1", "/openai", "/litellm", "/langchain", ""])
def test_every_base_url_that_people_come_with(demo: Demo, base: str) -> None:
    with OpenAI(base_url=demo.front + base, api_key=demo.key, max_retries=0, timeout=30) as client:
        answer = client.chat.completions.create(model="demo/echo", messages=HELLO)
        assert "Hello" in (answer.choices[0].message.content or "")
        assert "demo/echo" in {m.id for m in client.models.list()}


def test_models(client: OpenAI) -> None:
    listed = {m.id: m for m in client.models.list()}
    assert {"demo/echo", "demo/slow"} <= set(listed)
    assert all(m.object == "model" for m in listed.values())


def test_wrong_key(demo: Demo) -> None:
    with OpenAI(base_url=f"{demo.front}/v1", api_key="sk-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert raised.value.status_code == 401
    assert raised.value.code == "invalid_api_key"
    assert raised.value.request_id
    assert demo.provider.bill()["requests"] == 0


def test_unknown_model(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="demo/nothing-like-it", messages=HELLO)
    assert raised.value.code == "model_not_found"
    assert "demo/echo" in raised.value.message, "says what would work"


def test_model_not_allowed_for_the_key(cluster: Cluster) -> None:
    with OpenAI(base_url=f"{cluster.nodes[0].http}/v1", api_key="sk-test-narrow", max_retries=0) as client:
        assert [m.id for m in client.models.list()] == ["demo/slow"]
        with pytest.raises(openai.PermissionDeniedError) as raised:
            client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert raised.value.code == "model_not_allowed"


def test_malformed_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body={"messages": HELLO}, cast_to=httpx.Response)
    assert raised.value.code == "invalid_request"


def test_a_429_of_the_provider(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"status": 429, "retry_after_ms": 100}})
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert raised.value.status_code == 429
    assert int(raised.value.response.headers["retry-after"]) >= 1
    assert int(raised.value.response.headers["retry-after-ms"]) > 0


def test_a_429_that_passes_is_healed_by_the_clients_own_retry(demo: Demo) -> None:
    demo.provider.faults({"match": {"first": 1}, "do": {"status": 429, "retry_after_ms": 100}})
    with OpenAI(base_url=f"{demo.front}/v1", api_key=demo.key, max_retries=2, timeout=30) as client:
        answer = client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert "Hello" in (answer.choices[0].message.content or "")


def test_a_5xx_that_passes_is_healed_without_the_client_noticing(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {"first": 1}, "do": {"status": 503}})
    raw = client.chat.completions.with_raw_response.create(model="demo/echo", messages=HELLO)
    assert "Hello" in (raw.parse().choices[0].message.content or "")
    assert int(raw.headers["x-peerway-attempts"]) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_5xx_of_the_provider(client: OpenAI, demo: Demo, status: int) -> None:
    demo.provider.faults({"match": {}, "do": {"status": status}})
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert raised.value.status_code == status
    assert raised.value.code == "upstream_error"


def test_a_provider_that_resets_the_connection(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"reset": True}})
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="demo/echo", messages=HELLO)
    assert raised.value.status_code == 502


def test_a_cut_stream_raises_and_never_ends_quietly(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"cut_after_events": 3}})
    seen = []
    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(model="demo/echo", messages=HELLO, stream=True):
            seen.append(chunk)
    assert seen, "what had come before the cut reaches the client"
    assert "upstream_error" in str(raised.value.code)


def test_a_cut_stream_raises_in_the_async_client(demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"cut_after_events": 3}})

    async def run() -> None:
        async with AsyncOpenAI(base_url=f"{demo.front}/v1", api_key=demo.key, max_retries=0, timeout=30) as client:
            async for _ in await client.chat.completions.create(model="demo/echo", messages=HELLO, stream=True):
                pass

    with pytest.raises(openai.APIError):
        asyncio.run(run())


def test_an_error_event_in_the_stream_raises(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"error_event_after": 3}})
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model="demo/echo", messages=HELLO, stream=True):
            pass


def test_a_cut_plain_answer_is_an_error(client: OpenAI, demo: Demo) -> None:
    demo.provider.faults({"match": {}, "do": {"cut_after_events": 1}})
    with pytest.raises(openai.APIError):
        client.chat.completions.create(model="demo/echo", messages=HELLO)


def test_request_ids(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="demo/echo", messages=HELLO)
    assert raw.headers["x-request-id"] == raw.headers["request-id"]
    assert raw.parse()._request_id == raw.headers["x-request-id"]
    own = client.chat.completions.with_raw_response.create(
        model="demo/echo", messages=HELLO, extra_headers={"x-request-id": "the-client-s-own-id"}
    )
    assert own.headers["x-request-id"] == own.headers["request-id"] == "the-client-s-own-id"


def test_the_headers_that_tell_what_happened(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="demo/echo", messages=HELLO)
    assert raw.headers["x-peerway-node"] in {"node-1", "node-2", "node-3"}
    assert raw.headers["x-peerway-provider"] == "demo"
    assert raw.headers["x-peerway-model"] in {"echo", "demo/echo"}
    assert raw.headers["x-peerway-attempts"] == "1"
    assert raw.headers["x-peerway-cache"] == "bypass"
    assert 0 < int(raw.headers["x-peerway-overhead-us"]) < 1_000_000


def test_unknown_fields_reach_the_provider_byte_for_byte(client: OpenAI, demo: Demo) -> None:
    client.chat.completions.create(
        model="demo/echo",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}},
        extra_body={"a_field_of_tomorrow": {"deep": [1, 2.50, None]}},
    )
    body = demo.provider.requests(last=1)[0]["body"]
    assert '"a_field_of_tomorrow":{"deep":[1,2.5,null]}' in body
    assert '"strict":true' in body
    assert '"model":"echo"' in body, "the provider's own name of the model"


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "api-key", "x-peerway-key", "x-bf-vk"])
def test_the_key_in_any_header_that_clients_use(demo: Demo, http: httpx.Client, header: str) -> None:
    answer = http.get(f"{demo.front}/v1/models", headers={header: demo.key})
    assert answer.status_code == 200, answer.text


def test_the_clients_key_never_reaches_the_provider(client: OpenAI, demo: Demo) -> None:
    client.chat.completions.create(model="demo/echo", messages=HELLO, extra_headers={"x-bf-vk": demo.key})
    assert demo.key not in str(demo.provider.requests(last=1))
