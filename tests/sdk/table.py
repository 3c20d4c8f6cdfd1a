"""The SDKs, the providers, and which cell is not applicable and why."""

import functools
import importlib
from dataclasses import dataclass

from .contract import Adapter

PROVIDERS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-2.5-flash",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
}
"""Named in `peerway.yaml` by the dialect that they speak, with a model for which SDKs and gateway know what it can do."""

@dataclass(frozen=True)
class Sdk:
    name: str
    module: str
    adapter: str

    @property
    def id(self) -> str:
        """For names of tests and folders."""
        return self.name.rstrip("/").replace("/", "-").replace(" ", "-")

    def load(self) -> Adapter:
        return _load(self)


@functools.cache
def _load(sdk: Sdk) -> Adapter:
    return getattr(importlib.import_module(f"sdk.clients.{sdk.module}"), sdk.adapter)()


SDKS = (
    Sdk("openai", "openai_sdk", "Chat"),
    Sdk("openai responses", "openai_sdk", "Responses"),
    Sdk("anthropic", "anthropic_sdk", "Anthropic"),
    Sdk("google-genai", "google_genai", "Genai"),
    Sdk("langchain-openai", "langchain", "LangchainOpenAi"),
    Sdk("langchain-anthropic", "langchain", "LangchainAnthropic"),
    Sdk("llama-index", "llama_index_sdk", "LlamaIndex"),
    Sdk("litellm openai/", "litellm_sdk", "OpenAi"),
    Sdk("litellm litellm_proxy/", "litellm_sdk", "Proxy"),
    Sdk("litellm anthropic/", "litellm_sdk", "Anthropic"),
    Sdk("litellm gemini/", "litellm_sdk", "Gemini"),
    Sdk("pydantic-ai", "pydantic_ai_sdk", "PydanticAi"),
    Sdk("boto3", "bedrock", "Boto3"),
    Sdk("cohere", "cohere_sdk", "Cohere"),
)

_PROMPTED = "for models that it does not know to take a schema, litellm writes it into the prompt and asks for any JSON"
NOT_APPLICABLE: dict[tuple[str, str, str], str] = {
    ("litellm gemini/", "openai", "structured"): _PROMPTED,
    ("litellm gemini/", "cohere", "structured"): _PROMPTED,
}
"""By SDK, provider (`*`: all) and case."""


def not_applicable(sdk: str, provider: str, case: str) -> str | None:
    return NOT_APPLICABLE.get((sdk, provider, case)) or NOT_APPLICABLE.get((sdk, "*", case))
