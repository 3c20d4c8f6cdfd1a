"""The litellm client library: one function, and a way to a gateway for each prefix of the model's name."""

import json
from collections.abc import Iterator
from typing import ClassVar

import litellm
from litellm.exceptions import MidStreamFallbackError

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used

litellm.suppress_debug_info = True


class Litellm(Adapter):
    prefix: ClassVar[str]
    base: ClassVar[str] = ""
    failures = {
        "401": Failure(litellm.AuthenticationError, 401),
        "404": Failure(litellm.NotFoundError, 404),
        "429": Failure(litellm.RateLimitError, 429),
        "budget": Failure(litellm.RateLimitError, 429),
        "cut": Failure(MidStreamFallbackError, 500),
        "mid-stream": Failure(MidStreamFallbackError, 500),
        "second": Failure(litellm.BadGatewayError, 502),
        "second, overloaded": Failure(litellm.ServiceUnavailableError, 503),
        "timeout": Failure(litellm.Timeout, 504),
    }

    def ask(self, at: At, prompt: str, **more: object):
        return litellm.completion(
            model=self.prefix + at.model,
            api_base=at.gateway + self.base,
            api_key=at.key,
            messages=[{"role": "user", "content": prompt}],
            timeout=PATIENCE,
            max_retries=at.retries,
            num_retries=0,
            **more,
        )

    def plain(self, at: At, prompt: str) -> str:
        choice = self.ask(at, prompt).choices[0]
        assert choice.finish_reason == "stop"
        return choice.message.content

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        for chunk in self.ask(at, prompt, stream=True):
            yield chunk.choices[0].delta.content or ""

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": p}} for n, (d, p) in TOOLS.items()]
        whole = litellm.stream_chunk_builder(list(self.ask(at, prompt, stream=True, tools=tools)))
        choice = whole.choices[0]
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls
        assert len({c.id for c in calls}) == len(calls)
        return [Call(name=c.function.name, arguments=json.loads(c.function.arguments)) for c in calls]

    def structured(self, at: At, prompt: str) -> Note:
        return Note.model_validate_json(self.ask(at, prompt, response_format=Note).choices[0].message.content)

    def usage(self, at: At, prompt: str) -> Used:
        return used(self.ask(at, prompt).usage)

    def stream_usage(self, at: At, prompt: str) -> Used:
        *_, last = self.ask(at, prompt, stream=True, stream_options={"include_usage": True})
        return used(last.usage)


class OpenAi(Litellm):
    provider = "openai"
    prefix = "openai/"
    base = "/v1"


class Proxy(Litellm):
    provider = "openai"
    prefix = "litellm_proxy/"


class Anthropic(Litellm):
    provider = "anthropic"
    failures = {**Litellm.failures, "second, overloaded": Failure(litellm.InternalServerError, 500)}
    prefix = "anthropic/"
    base = "/anthropic"


class Gemini(Litellm):
    provider = "gemini"
    # Of this prefix's streams it begins to read the answer, and so sees its status, only when it is iterated over.
    failures = {
        **Litellm.failures,
        "mid-stream, overloaded": Failure(MidStreamFallbackError, 503),
        "second": Failure(MidStreamFallbackError, 500),
        "second, overloaded": Failure(MidStreamFallbackError, 503),
        # "The model is overloaded" it reads as something else than "Overloaded".
        "mid-stream, gemini": Failure(MidStreamFallbackError, 500),
        "second, gemini": Failure(MidStreamFallbackError, 500),
    }
    prefix = "gemini/"
    base = "/genai"


def used(usage) -> Used:
    return Used(usage.prompt_tokens, usage.completion_tokens)
