"""The anthropic client."""

from collections.abc import Iterator

import anthropic

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used, one_a_gateway

TOKENS = 1_000


@one_a_gateway
def client(at: At) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=f"{at.gateway}/anthropic", api_key=at.key, max_retries=at.retries, timeout=PATIENCE)


class Anthropic(Adapter):
    provider = "anthropic"
    honours_should_retry = True
    failures = {
        "401": Failure(anthropic.AuthenticationError, 401),
        "404": Failure(anthropic.NotFoundError, 404),
        "429": Failure(anthropic.RateLimitError, 429),
        "budget": Failure(anthropic.RateLimitError, 429),
        # The status is the stream's, which had begun well.
        "cut": Failure(anthropic.APIStatusError, 200),
        "mid-stream": Failure(anthropic.APIStatusError, 200),
        "second": Failure(anthropic.InternalServerError, 502),
        "second, overloaded": Failure(anthropic.ServiceUnavailableError, 503),
        "timeout": Failure(anthropic.GatewayTimeoutError, 504),
    }

    def _ask(self, at: At, prompt: str, **more: object) -> dict:
        return {"model": at.model, "max_tokens": TOKENS, "messages": [{"role": "user", "content": prompt}], **more}

    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).messages.create(**self._ask(at, prompt))
        assert answer.stop_reason == "end_turn"
        return "".join(block.text for block in answer.content if block.type == "text")

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        with client(at).messages.stream(**self._ask(at, prompt)) as stream:
            yield from stream.text_stream
            assert stream.get_final_message().stop_reason == "end_turn", "a stream that breaks off must raise"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"name": n, "description": d, "input_schema": p} for n, (d, p) in TOOLS.items()]
        with client(at).messages.stream(**self._ask(at, prompt, tools=tools)) as stream:
            answer = stream.get_final_message()
        assert answer.stop_reason == "tool_use"
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert len({c.id for c in calls}) == len(calls)
        return [Call(name=c.name, arguments=c.input) for c in calls]

    def structured(self, at: At, prompt: str) -> Note:
        return client(at).messages.parse(**self._ask(at, prompt), output_format=Note).parsed_output

    def usage(self, at: At, prompt: str) -> Used:
        usage = client(at).messages.create(**self._ask(at, prompt)).usage
        return Used(usage.input_tokens, usage.output_tokens)

    def stream_usage(self, at: At, prompt: str) -> Used:
        with client(at).messages.stream(**self._ask(at, prompt)) as stream:
            usage = stream.get_final_message().usage
        return Used(usage.input_tokens, usage.output_tokens)
