"""Server-sent events, strictly: a client that reads them this way finds what a lenient one forgives."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class Event:
    data: str
    at: float
    """Seconds since the request was sent."""

    @property
    def done(self) -> bool:
        return self.data == "[DONE]"

    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Stream:
    response: httpx.Response
    events: list[Event]
    rest: str
    """What stood behind the last blank line: empty in a stream that ended well."""

    @property
    def chunks(self) -> list[dict]:
        return [e.json() for e in self.events if not e.done]

    @property
    def content(self) -> str:
        return "".join(
            choice.get("delta", {}).get("content") or "" for chunk in self.chunks for choice in chunk.get("choices", [])
        )

    @property
    def errors(self) -> list[dict]:
        return [c["error"] for c in self.chunks if c.get("error")]

    @property
    def ended_with_done(self) -> bool:
        return bool(self.events) and self.events[-1].done

    def assert_whole(self) -> None:
        assert self.response.status_code == 200, self.response.status_code
        assert self.response.headers["content-type"].startswith("text/event-stream"), self.response.headers
        assert self.rest == "", f"bytes behind the last event: {self.rest!r}"
        assert self.ended_with_done, [e.data for e in self.events[-3:]]
        assert sum(e.done for e in self.events) == 1
        assert not self.errors, self.errors
        reasons = [c["choices"][0].get("finish_reason") for c in self.chunks if c.get("choices")]
        assert reasons and reasons[-1], f"no finish_reason: {reasons}"


def read(client: httpx.Client, url: str, body: dict, headers: dict[str, str]) -> Stream:
    """Sends the request and reads the whole stream; a stream that ends badly is returned as far as it came."""
    started = time.monotonic()
    events: list[Event] = []
    buffer = ""
    with client.stream("POST", url, json=body, headers=headers) as response:
        try:
            for piece in response.iter_text():
                buffer += piece.replace("\r\n", "\n")
                while "\n\n" in buffer:
                    block, buffer = buffer.split("\n\n", 1)
                    data = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
                    if data:
                        events.append(Event("\n".join(data), time.monotonic() - started))
        except httpx.RemoteProtocolError:
            pass
    return Stream(response, events, buffer)
