"""LangChain's chat models, over the clients of the vendors."""

from collections.abc import Iterator

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_anthropic import chat_models as in_anthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models import base as in_openai

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used


class Langchain(Adapter):
    honours_should_retry = True

    def model(self, at: At) -> BaseChatModel:
        raise NotImplementedError

    def plain(self, at: At, prompt: str) -> str:
        return self.model(at).invoke(prompt).text

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        last = None
        for chunk in self.model(at).stream(prompt):
            last = chunk
            yield chunk.text
        assert last is not None and last.chunk_position == "last", "a stream that breaks off must raise"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": p}} for n, (d, p) in TOOLS.items()]
        first, *rest = self.model(at).bind_tools(tools).stream(prompt)
        whole = sum(rest, first)
        assert len({c["id"] for c in whole.tool_calls}) == len(whole.tool_calls) and not whole.invalid_tool_calls
        return [Call(name=c["name"], arguments=c["args"]) for c in whole.tool_calls]

    def structured(self, at: At, prompt: str) -> Note:
        return self.model(at).with_structured_output(Note).invoke(prompt)

    def usage(self, at: At, prompt: str) -> Used:
        return used(self.model(at).invoke(prompt))

    def stream_usage(self, at: At, prompt: str) -> Used:
        first, *rest = self.model(at).stream(prompt)
        return used(sum(rest, first))


class LangchainOpenAi(Langchain):
    provider = "openai"
    # Subclasses of the vendor's and of LangChain's own.
    failures = {
        "401": Failure(in_openai.OpenAIAuthenticationError, 401),
        "404": Failure(in_openai.OpenAIModelNotFoundError, 404),
        "429": Failure(in_openai.OpenAIRateLimitError, 429),
        "budget": Failure(in_openai.OpenAIRateLimitError, 429),
        "cut": Failure(openai.APIError),
        "mid-stream": Failure(openai.APIError),
        "second": Failure(in_openai.OpenAIAPIError, 502),
        "second, overloaded": Failure(in_openai.OpenAIAPIError, 503),
        "timeout": Failure(in_openai.OpenAIAPIError, 504),
    }

    def model(self, at: At, **more: object) -> BaseChatModel:
        return ChatOpenAI(model=at.model, base_url=f"{at.gateway}/v1", api_key=at.key, max_retries=at.retries, timeout=PATIENCE, **more)

    def stream_usage(self, at: At, prompt: str) -> Used:
        # At an address of one's own it does not ask for usage unless told to.
        first, *rest = self.model(at, stream_usage=True).stream(prompt)
        return used(sum(rest, first))


class LangchainAnthropic(Langchain):
    provider = "anthropic"
    failures = {
        "401": Failure(in_anthropic.AnthropicAuthenticationError, 401),
        "404": Failure(in_anthropic.AnthropicModelNotFoundError, 404),
        "429": Failure(in_anthropic.AnthropicRateLimitError, 429),
        "budget": Failure(in_anthropic.AnthropicRateLimitError, 429),
        "cut": Failure(anthropic.APIStatusError, 200),
        "mid-stream": Failure(anthropic.APIStatusError, 200),
        "second": Failure(in_anthropic.AnthropicAPIError, 502),
        "second, overloaded": Failure(in_anthropic.AnthropicAPIError, 503),
        "timeout": Failure(in_anthropic.AnthropicAPIError, 504),
    }

    def model(self, at: At) -> BaseChatModel:
        return ChatAnthropic(
            model=at.model, base_url=f"{at.gateway}/anthropic", api_key=at.key, max_retries=at.retries, timeout=PATIENCE, max_tokens=1_000
        )


def used(message) -> Used:
    usage = message.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    return Used(usage["input_tokens"], usage["output_tokens"])
