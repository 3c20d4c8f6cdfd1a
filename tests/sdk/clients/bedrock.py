"""boto3's bedrock-runtime: Converse, signed with Signature Version 4 by a key whose id is the virtual key."""

import json
from collections.abc import Iterator

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from ..contract import PATIENCE, TOOLS, Adapter, At, Call, Failure, Note, Used, one_a_gateway


@one_a_gateway
def client(at: At):
    config = Config(retries={"total_max_attempts": 1 + at.retries}, read_timeout=PATIENCE, proxies={})
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=f"{at.gateway}/bedrock",
        region_name="us-east-1",
        aws_access_key_id=at.key,
        aws_secret_access_key="not looked at",
        config=config,
    )


class Boto3(Adapter):
    provider = "bedrock"

    def __init__(self) -> None:
        # boto3 makes its exception classes from the service's description.
        known = client(At("http://127.0.0.1:1", "no key", "")).exceptions
        self.failures = {
            "401": Failure(known.AccessDeniedException, 401),
            "404": Failure(known.ResourceNotFoundException, 404),
            "429": Failure(known.ThrottlingException, 429),
            "budget": Failure(known.ServiceQuotaExceededException, 429),
            "cut": Failure(EventStreamError, "modelStreamErrorException"),
            "mid-stream": Failure(EventStreamError, "modelStreamErrorException"),
            "mid-stream, overloaded": Failure(EventStreamError, "serviceUnavailableException"),
            "second": Failure(known.InternalServerException, 502),
            "second, overloaded": Failure(known.ServiceUnavailableException, 503),
            "timeout": Failure(known.ModelTimeoutException, 504),
        }

    def status(self, error: ClientError) -> int | str | None:
        if isinstance(error, EventStreamError):
            return error.response["Error"]["Code"]
        return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def _ask(self, at: At, prompt: str, **more: object) -> dict:
        return {"modelId": at.model, "messages": [{"role": "user", "content": [{"text": prompt}]}], **more}

    def plain(self, at: At, prompt: str) -> str:
        answer = client(at).converse(**self._ask(at, prompt))
        assert answer["stopReason"] == "end_turn"
        return "".join(block["text"] for block in answer["output"]["message"]["content"])

    def _events(self, at: At, prompt: str, **more: object) -> Iterator[dict]:
        yield from client(at).converse_stream(**self._ask(at, prompt, **more))["stream"]

    def stream(self, at: At, prompt: str) -> Iterator[str]:
        stop = None
        for event in self._events(at, prompt):
            stop = event.get("messageStop", {}).get("stopReason", stop)
            yield event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        assert stop == "end_turn", "a stream that breaks off must raise"

    def tools(self, at: At, prompt: str) -> list[Call]:
        tools = [{"toolSpec": {"name": n, "description": d, "inputSchema": {"json": p}}} for n, (d, p) in TOOLS.items()]
        return [Call(name=name, arguments=arguments) for name, arguments in self._calls(at, prompt, {"tools": tools})]

    def _calls(self, at: At, prompt: str, config: dict) -> list[tuple[str, dict]]:
        names: dict[int, str] = {}
        inputs: dict[int, str] = {}
        for event in self._events(at, prompt, toolConfig=config):
            if start := event.get("contentBlockStart"):
                names[start["contentBlockIndex"]] = start["start"]["toolUse"]["name"]
            if delta := event.get("contentBlockDelta"):
                index = delta["contentBlockIndex"]
                inputs[index] = inputs.get(index, "") + delta["delta"].get("toolUse", {}).get("input", "")
            if stop := event.get("messageStop"):
                assert stop["stopReason"] == "tool_use"
        return [(name, json.loads(inputs[index])) for index, name in sorted(names.items())]

    def structured(self, at: At, prompt: str) -> Note:
        spec = {"name": "Note", "description": "A note", "inputSchema": {"json": Note.model_json_schema()}}
        config = {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": "Note"}}}
        answer = client(at).converse(**self._ask(at, prompt, toolConfig=config))
        return Note(**answer["output"]["message"]["content"][0]["toolUse"]["input"])

    def usage(self, at: At, prompt: str) -> Used:
        return used(client(at).converse(**self._ask(at, prompt))["usage"])

    def stream_usage(self, at: At, prompt: str) -> Used:
        *_, last = self._events(at, prompt)
        return used(last["metadata"]["usage"])


def used(usage: dict) -> Used:
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    return Used(usage["inputTokens"], usage["outputTokens"])
