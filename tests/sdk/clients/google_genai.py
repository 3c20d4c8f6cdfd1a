"""The google-genai client."""

from collections.abc import Iterator

from google import genai
from google.genai import errors, types

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used, one_a_gateway


@one_a_gateway
def client(at: At) -> genai.Client:
    return genai.Client(api_key=at.key, http_options=types.HttpOptions(base_url=f"{at.gateway}/genai", timeout=PATIENCE * 1000))


class Genai(Adapter):
    provider = "gemini"
    failures = {
        "401": Failure(errors.ClientError, 401),
        "404": Failure(errors.ClientError, 404),
        "429": Failure(errors.ClientError, 429),
        "budget": Failure(errors.ClientError, 429),
        "cut": Failure(errors.ServerError, 502),
        "mid-stream": Failure(errors.ServerError, 502),
        "mid-stream, overloaded": Failure(errors.ServerError, 503),
        "second": Failure(errors.ServerError, 502),
        "second, overloaded": Failure(errors.ServerError, 503),
        "timeout": Failure(errors.ServerError, 504),
    }

    def status(self, error: BaseException) -> int | str | None:
        return error.code

    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).models.generate_content(model=at.model, contents=prompt)
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        return answer.text

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        finish = None
        for chunk in client(at).models.generate_content_stream(model=at.model, contents=prompt):
            finish = (chunk.candidates and chunk.candidates[0].finish_reason) or finish
            yield chunk.text or ""
        assert finish == types.FinishReason.STOP, "a stream that breaks off must raise"

    def tools(self, at: At, prompt: str) -> list[Call]:
        declarations = [types.FunctionDeclaration(name=n, description=d, parameters_json_schema=p) for n, (d, p) in TOOLS.items()]
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=declarations)])
        chunks = client(at).models.generate_content_stream(model=at.model, contents=prompt, config=config)
        return [Call(name=c.name, arguments=c.args) for chunk in chunks for c in chunk.function_calls or []]

    def structured(self, at: At, prompt: str) -> Note:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Note)
        return client(at).models.generate_content(model=at.model, contents=prompt, config=config).parsed

    def usage(self, at: At, prompt: str) -> Used:
        return used(client(at).models.generate_content(model=at.model, contents=prompt))

    def stream_usage(self, at: At, prompt: str) -> Used:
        *_, last = client(at).models.generate_content_stream(model=at.model, contents=prompt)
        return used(last)


def used(answer: types.GenerateContentResponse) -> Used:
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    return Used(usage.prompt_token_count, usage.candidates_token_count)
