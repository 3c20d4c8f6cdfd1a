"""Cohere's client for its second API."""

import json
from collections.abc import Iterator

import cohere
from cohere.core.api_error import ApiError

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Told, Used, one_a_gateway


@one_a_gateway
def client(at: At) -> cohere.ClientV2:
    return cohere.ClientV2(base_url=f"{at.gateway}/cohere", api_key=at.key, timeout=PATIENCE, max_retries=at.retries)


class Cohere(Adapter):
    provider = "cohere"
    failures = {
        "401": Failure(cohere.UnauthorizedError, 401),
        "404": Failure(cohere.NotFoundError, 404),
        "429": Failure(cohere.TooManyRequestsError, 429),
        "budget": Failure(cohere.TooManyRequestsError, 429),
        # The dialect has no error event: the last event says that the answer has failed.
        "cut": Failure(Told),
        "mid-stream": Failure(Told),
        "second": Failure(ApiError, 502),
        "second, overloaded": Failure(cohere.ServiceUnavailableError, 503),
        "timeout": Failure(cohere.GatewayTimeoutError, 504),
    }

    def _ask(self, at: At, prompt: str, **more: object) -> dict:
        return {"model": at.model, "messages": [{"role": "user", "content": prompt}], **more}

    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).chat(**self._ask(at, prompt))
        assert answer.finish_reason == "COMPLETE"
        return "".join(part.text for part in answer.message.content)

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        finish = None
        for event in client(at).chat_stream(**self._ask(at, prompt)):
            if event.type == "content-delta":
                yield event.delta.message.content.text
            if event.type == "message-end":
                finish = event.delta.finish_reason
                if finish == "ERROR":
                    raise Told(event.delta.error)
        assert finish == "COMPLETE", "a stream that breaks off must say so"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": p}} for n, (d, p) in TOOLS.items()]
        names: list[str] = []
        arguments: list[str] = []
        for event in client(at).chat_stream(**self._ask(at, prompt, tools=tools)):
            if event.type == "tool-call-start":
                call = event.delta.message.tool_calls.function
                names.append(call.name)
                arguments.append(call.arguments or "")
            if event.type == "tool-call-delta":
                arguments[-1] += event.delta.message.tool_calls.function.arguments
            if event.type == "message-end":
                assert event.delta.finish_reason == "TOOL_CALL"
        return [Call(name=name, arguments=json.loads(text)) for name, text in zip(names, arguments, strict=True)]

    def structured(self, at: At, prompt: str) -> Note:
        form = {"type": "json_object", "json_schema": Note.model_json_schema()}
        return Note.model_validate_json(client(at).chat(**self._ask(at, prompt, response_format=form)).message.content[0].text)

    def usage(self, at: At, prompt: str) -> Used:
        return used(client(at).chat(**self._ask(at, prompt)).usage)

    def stream_usage(self, at: At, prompt: str) -> Used:
        *_, last = client(at).chat_stream(**self._ask(at, prompt))
        return used(last.delta.usage)


def used(usage: cohere.Usage) -> Used:
    return Used(int(usage.tokens.input_tokens), int(usage.tokens.output_tokens))
