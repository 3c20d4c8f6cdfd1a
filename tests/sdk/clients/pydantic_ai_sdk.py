"""pydantic-ai, over the openai client. It knows only async, so every cell has an event loop of its own."""

import asyncio
from collections.abc import Iterator

from openai import APIError, AsyncOpenAI
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from ..contract import PATIENCE, Adapter, At, Call, Failure, Note, Used


class PydanticAi(Adapter):
    provider = "openai"
    honours_should_retry = True
    failures = {
        "401": Failure(ModelHTTPError, 401),
        "404": Failure(ModelHTTPError, 404),
        "429": Failure(ModelHTTPError, 429),
        "budget": Failure(ModelHTTPError, 429),
        # In a stream the openai client's own classes come through.
        "cut": Failure(APIError),
        "mid-stream": Failure(APIError),
        "second": Failure(ModelHTTPError, 502),
        "second, overloaded": Failure(ModelHTTPError, 503),
        "timeout": Failure(ModelHTTPError, 504),
    }

    def agent(self, at: At, **more: object) -> Agent:
        client = AsyncOpenAI(base_url=f"{at.gateway}/v1", api_key=at.key, max_retries=at.retries, timeout=PATIENCE)
        return Agent(OpenAIChatModel(at.model, provider=OpenAIProvider(openai_client=client)), **more)

    def plain(self, at: At, prompt: str) -> str:
        return asyncio.run(self.agent(at).run(prompt)).output

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        pieces, failure = [], None

        async def run() -> None:
            async with self.agent(at).run_stream(prompt) as answer:
                async for piece in answer.stream_text(delta=True, debounce_by=None):
                    pieces.append(piece)

        try:
            asyncio.run(run())
        except Exception as error:
            failure = error
        yield from pieces
        if failure:
            raise failure

    def tools(self, at: At, prompt: str) -> list[Call]:
        calls: list[Call] = []
        agent = self.agent(at)

        @agent.tool_plain
        async def weather(city: str) -> str:
            """The weather in a city"""
            calls.append(Call(name="weather", arguments={"city": city}))
            return "sunny"

        @agent.tool_plain
        async def clock(zone: str) -> str:
            """The time in a zone"""
            calls.append(Call(name="clock", arguments={"zone": zone}))
            return "noon"

        async def run() -> None:
            async with agent.run_stream(prompt) as answer:
                assert (await answer.get_output()).startswith("echo: "), "the results were sent back and answered"

        asyncio.run(run())
        return calls

    def structured(self, at: At, prompt: str) -> Note:
        return asyncio.run(self.agent(at, output_type=Note).run(prompt)).output

    def usage(self, at: At, prompt: str) -> Used:
        return used(asyncio.run(self.agent(at).run(prompt)))

    def stream_usage(self, at: At, prompt: str) -> Used:
        async def run() -> Used:
            async with self.agent(at).run_stream(prompt) as answer:
                await answer.get_output()
                return used(answer)

        return asyncio.run(run())


def used(result) -> Used:
    usage = result.usage() if callable(result.usage) else result.usage
    return Used(usage.input_tokens, usage.output_tokens)
