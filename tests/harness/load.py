"""An open-loop load driver: requests are sent when their time has come, whatever became of the ones before.

Small on purpose (asyncio streams and a pool of kept connections), so that it holds some hundreds of requests a second
beside a whole cluster on two cores. Each request's fate is kept.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .http1 import Answer, Pool


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


class Load:
    """Runs in a thread of its own from `start` to `stop`; times are those of `time.monotonic`."""

    def __init__(self, base_url: str, path: str, body: dict | Callable[[int], dict], headers: dict[str, str], rate: float, timeout: float = 15):
        """`body` is the same for all requests, or made by their number."""
        self.pool = Pool(base_url)
        request = None if callable(body) else self.pool.request(path, body, headers)
        self.request = lambda number: request or self.pool.request(path, body(number), headers)
        self.rate, self.timeout = rate, timeout
        self.fates: list[Fate] = []
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
                task = asyncio.create_task(self._one(fate, self.request(number)))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(max(0.0, begin + number / self.rate - time.monotonic()))
        if running:
            await asyncio.wait(running)
        self.pool.close()

    async def _one(self, fate: Fate, request: bytes) -> None:
        fate.sent = time.monotonic()
        answer = Answer()
        try:
            async with asyncio.timeout(self.timeout):
                await self.pool.send(request, into=answer)
            fate.status = answer.status
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
            fate.error = f"{type(error).__name__}: {error}"
        finally:
            fate.headers = answer.headers
            fate.ended = time.monotonic()
