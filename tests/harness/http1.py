"""HTTP/1.1 by hand over asyncio streams: thousands of requests a second from one thread, and a client that can leave
after any byte."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Left(Exception):
    """The client went away, as it was told to."""


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    keep: bool = True

    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code in the OpenAI form; empty for an answer."""
        if self.status < 400:
            return ""
        try:
            return str(self.json()["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return self.headers.get("x-peerway-error", "")


@dataclass
class Pool:
    """Kept connections to one server."""

    base_url: str
    kept: list[Connection] = field(default_factory=list)

    def __post_init__(self) -> None:
        url = urlsplit(self.base_url)
        self.host, self.port = url.hostname or "127.0.0.1", url.port or 80

    async def take(self) -> Connection:
        while self.kept:
            reader, writer = self.kept.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self.host, self.port)

    def request(self, path: str, body: Mapping, headers: Mapping[str, str]) -> bytes:
        payload = json.dumps(body).encode()
        head = [f"POST {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Content-Type: application/json", f"Content-Length: {len(payload)}"]
        head += [f"{k}: {v}" for k, v in headers.items()]
        return ("\r\n".join(head) + "\r\n\r\n").encode() + payload

    async def send(self, request: bytes, leave_after: int | None = None, into: Answer | None = None) -> Answer:
        """One exchange. With `leave_after` the client closes the connection after so many bytes of the answer's body.
        `into` is filled as far as the answer came, also when it broke off."""
        answer = into or Answer()
        connection = await self.take()
        try:
            await exchange(*connection, request, answer, leave_after)
        except BaseException:
            connection[1].transport.abort()
            raise
        if answer.keep:
            self.kept.append(connection)
        else:
            connection[1].close()
        return answer

    def close(self) -> None:
        for _, writer in self.kept:
            writer.close()
        self.kept.clear()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, answer: Answer, leave_after: int | None) -> None:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
    answer.status, answer.headers = int(head[0].split(" ", 2)[1]), headers
    left = leave_after if leave_after is not None else 1 << 40
    if left == 0:
        raise Left
    body = bytearray()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(min(size, left - len(body)))
            if len(body) >= left:
                raise Left
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    elif "content-length" in headers:
        size = int(headers["content-length"])
        body += await reader.readexactly(min(size, left))
        if size >= left:
            raise Left
    else:
        body += await reader.read(-1)
        answer.keep = False
    answer.body = bytes(body)
    answer.keep = answer.keep and headers.get("connection", "").lower() != "close"
