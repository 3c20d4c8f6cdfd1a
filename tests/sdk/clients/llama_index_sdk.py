"""LlamaIndex, with its model for anything that is like OpenAI."""

from collections.abc import Iterator

from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from ..contract import PATIENCE, Adapter, At, Call, Note, Used
from . import openai_sdk


class Weather(BaseModel):
    """The weather in a city"""

    city: str


class Clock(BaseModel):
    """The time in a zone"""

    zone: str


class LlamaIndex(Adapter):
    provider = "openai"
    honours_should_retry = False
    failures = openai_sdk.Chat.failures

    def model(self, at: At, **more: object) -> OpenAILike:
        return OpenAILike(
            model=at.model,
            api_base=f"{at.gateway}/v1",
            api_key=at.key,
            is_chat_model=True,
            is_function_calling_model=True,
            max_retries=at.retries,
            timeout=PATIENCE,
            **more,
        )

    def plain(self, at: At, prompt: str) -> str:
        return self.model(at).chat([ChatMessage(prompt)]).message.content or ""

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        for chunk in self.model(at).stream_chat([ChatMessage(prompt)]):
            yield chunk.delta or ""

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [FunctionTool(lambda **_: None, ToolMetadata(s.__doc__, s.__name__.lower(), s)) for s in (Weather, Clock)]
        model = self.model(at)
        *_, last = model.stream_chat_with_tools(tools, user_msg=prompt, allow_parallel_tool_calls=True)
        return [Call(name=c.tool_name, arguments=c.tool_kwargs) for c in model.get_tool_calls_from_response(last)]

    def structured(self, at: At, prompt: str) -> Note:
        return self.model(at).structured_predict(Note, PromptTemplate("{question}"), question=prompt)

    def usage(self, at: At, prompt: str) -> Used:
        return openai_sdk.used(self.model(at).chat([ChatMessage(prompt)]).raw.usage)

    def stream_usage(self, at: At, prompt: str) -> Used:
        model = self.model(at, additional_kwargs={"stream_options": {"include_usage": True}})
        *_, last = model.stream_chat([ChatMessage(prompt)])
        return openai_sdk.used(last.raw.usage)
