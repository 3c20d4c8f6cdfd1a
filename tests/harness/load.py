"""An open-loop load driver: requests are sent when their time has come, whatever became of the ones before.

Small on purpose (asyncio streams and a pool of kept connections), so that it holds some hundreds of requests a second
beside a whole cluster on two cores. Each request's fate is kept.
"""

import asyncio
import json
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Fate:
    due: float
    sent: float = 0.0
    ended: float = 0.0
    status: int = 0
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.ended > 0 and self.status != 200

    def __str__(self) -> str:
        return f"{self.status or self.error} after {(self.ended - self.sent) * 1000:.0f} ms from {self.headers}"


Kept = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Load:
    """Runs in a thread of its own from `start` to `stop`; times are those of `time.monotonic`."""

    def __init__(self, base_url: str, path: str, body: dict, headers: dict[str, str], rate: float, timeout: float = 15):
        url = urlsplit(base_url)
        self.host, self.port = url.hostname or "127.0.0.1", url.port or 80
        payload = json.dumps(body).encode()
        head = [f"POST {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Content-Type: application/json", f"Content-Length: {len(payload)}"]
        head += [f"{k}: {v}" for k, v in headers.items()]
        self.request = ("\r\n".join(head) + "\r\n\r\n").encode() + payload
        self.rate, self.timeout = rate, timeout
        self.fates: list[Fate] = []
        self._kept: list[Kept] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._drive()), daemon=True)

    def start(self) -> "Load":
        self._thread.start()
        return self

    def stop(self) -> list[Fate]:
        """No new requests; those under way are waited for."""
        self._stop.set()
        self._thread.join(self.timeout + 20)
        if self._thread.is_alive():
            raise AssertionError("the load driver did not end")
        return self.fates

    def failures(self) -> list[Fate]:
        return [f for f in self.fates if f.failed]

    def lateness(self) -> float:
        """How late a request was sent at worst: whether the driver itself kept its rate."""
        return max((f.sent - f.due for f in self.fates), default=0.0)

    async def _drive(self) -> None:
        running: set[asyncio.Task[None]] = set()
        begin, number = time.monotonic(), 0
        while not self._stop.is_set():
            now = time.monotonic()
            while begin + number / self.rate <= now:
                fate = Fate(due=begin + number / self.rate)
                self.fates.append(fate)
                task = asyncio.create_task(self._one(fate))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
        if running:
            await asyncio.wait(running)
        for _, writer in self._kept:
            writer.close()

    async def _one(self, fate: Fate) -> None:
        fate.sent = time.monotonic()
        connection: Kept | None = None
        try:
            async with asyncio.timeout(self.timeout):
                connection = self._take() or await asyncio.open_connection(self.host, self.port)
                keep = await self._exchange(fate, *connection)
                if keep:
                    self._kept.append(connection)
                    connection = None
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
            fate.status, fate.error = 0, f"{type(error).__name__}: {error}"
        finally:
            fate.ended = time.monotonic()
            if connection:
                connection[1].close()

    def _take(self) -> Kept | None:
        while self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None

    async def _exchange(self, fate: Fate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        fate.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        if fate.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                await reader.readexactly(size + 2)
            await reader.readuntil(b"\r\n")
        elif "content-length" in fate.headers:
            await reader.readexactly(int(fate.headers["content-length"]))
        else:
            await reader.read(-1)
            fate.status = status
            return False
        fate.status = status
        return fate.headers.get("connection", "").lower() != "close"
