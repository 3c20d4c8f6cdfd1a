"""The openai client: chat completions and responses."""

import json
from collections.abc import Iterator

import openai
from openai import OpenAI

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used, one_a_gateway


@one_a_gateway
def client(at: At) -> OpenAI:
    return OpenAI(base_url=f"{at.gateway}/v1", api_key=at.key, max_retries=at.retries, timeout=PATIENCE)


class OpenAiAdapter(Adapter):
    provider = "openai"
    honours_should_retry = True
    failures = {
        "401": Failure(openai.AuthenticationError, 401),
        "404": Failure(openai.NotFoundError, 404),
        "429": Failure(openai.RateLimitError, 429),
        "budget": Failure(openai.RateLimitError, 429),
        # An error in a stream has no status of its own.
        "cut": Failure(openai.APIError),
        "mid-stream": Failure(openai.APIError),
        "second": Failure(openai.InternalServerError, 502),
        "second, overloaded": Failure(openai.InternalServerError, 503),
        "timeout": Failure(openai.InternalServerError, 504),
    }


class Chat(OpenAiAdapter):
    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).chat.completions.create(model=at.model, messages=user(prompt))
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content or ""

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        finish = None
        for chunk in client(at).chat.completions.create(model=at.model, messages=user(prompt), stream=True):
            assert chunk.usage is None, "it was not asked for"
            if chunk.choices:
                finish = chunk.choices[0].finish_reason or finish
                yield chunk.choices[0].delta.content or ""
        assert finish == "stop", "a stream that breaks off must raise"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": p}} for n, (d, p) in TOOLS.items()]
        with client(at).chat.completions.stream(model=at.model, messages=user(prompt), tools=tools) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls or []
        assert len({c.id for c in calls}) == len(calls)
        return [Call(name=c.function.name, arguments=json.loads(c.function.arguments)) for c in calls]

    def structured(self, at: At, prompt: str) -> Note:
        answer = client(at).chat.completions.parse(model=at.model, messages=user(prompt), response_format=Note)
        return answer.choices[0].message.parsed

    def usage(self, at: At, prompt: str) -> Used:
        return used(client(at).chat.completions.create(model=at.model, messages=user(prompt)).usage)

    def stream_usage(self, at: At, prompt: str) -> Used:
        options = {"include_usage": True}
        *_, last = client(at).chat.completions.create(model=at.model, messages=user(prompt), stream=True, stream_options=options)
        assert last.choices == []
        return used(last.usage)


class Responses(OpenAiAdapter):
    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).responses.create(model=at.model, input=prompt)
        assert answer.status == "completed"
        return answer.output_text

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        kind = None
        for event in client(at).responses.create(model=at.model, input=prompt, stream=True):
            kind = event.type
            if kind == "response.output_text.delta":
                yield event.delta
        assert kind == "response.completed", f"the stream ends with {kind}"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"type": "function", "name": n, "description": d, "parameters": p, "strict": False} for n, (d, p) in TOOLS.items()]
        with client(at).responses.stream(model=at.model, input=prompt, tools=tools) as stream:
            for _ in stream:
                pass
            answer = stream.get_final_response()
        calls = [item for item in answer.output if item.type == "function_call"]
        assert len({c.call_id for c in calls}) == len(calls)
        return [Call(name=c.name, arguments=json.loads(c.arguments)) for c in calls]

    def structured(self, at: At, prompt: str) -> Note:
        return client(at).responses.parse(model=at.model, input=prompt, text_format=Note).output_parsed

    def usage(self, at: At, prompt: str) -> Used:
        usage = client(at).responses.create(model=at.model, input=prompt).usage
        return Used(usage.input_tokens, usage.output_tokens)

    def stream_usage(self, at: At, prompt: str) -> Used:
        *_, last = client(at).responses.create(model=at.model, input=prompt, stream=True)
        return Used(last.response.usage.input_tokens, last.response.usage.output_tokens)


def user(prompt: str) -> list:
    return [{"role": "user", "content": prompt}]


def used(usage) -> Used:
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    return Used(usage.prompt_tokens, usage.completion_tokens)
