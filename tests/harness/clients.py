"""Many clients at once, each with one request at a time, on all nodes in turn: what an application does to a budget."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .http1 import Answer, Left, Pool

Body = Callable[[int, int], dict]


def chat(model: str = "demo/echo", words: int = 10, **more) -> Body:
    """The request of a client by its number and the request's: its text is its own, so that no cache answers it."""

    def body(client: int, number: int) -> dict:
        text = f"{client}-{number} " + "word " * words
        return {"model": model, "messages": [{"role": "user", "content": text}], **more}

    return body


@dataclass
class Clients:
    """Runs in a thread of its own from `start` to `stop`, or until every client has had enough."""

    urls: list[str]
    key: str
    body: Body = field(default_factory=chat)
    count: int = 60
    most: int | None = None
    """So many requests in all."""
    patience: int | None = 3
    """A client gives up after so many refusals for the budget in a row; `None`: never."""
    leave: Callable[[random.Random], int | None] = lambda _: None
    """After how many bytes of the answer the client goes away; `None`: it stays."""
    timeout: float = 20
    pause: float = 0.05
    """After a refusal or an error."""
    seed: int = 1
    path: str = "/v1/chat/completions"

    def __post_init__(self) -> None:
        self.outcomes: Counter[tuple[int | str, str]] = Counter()
        """By status and error code; `left` and `error` stand for a status."""
        self.last: dict[tuple[int | str, str], Answer] = {}
        self.started = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> "Clients":
        self._thread.start()
        return self

    def stop(self, seconds: float = 60) -> Counter:
        """No new requests; those under way are waited for."""
        self._stop.set()
        return self.join(seconds)

    def join(self, seconds: float) -> Counter:
        """Until all clients have had enough."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"the clients have not ended after {seconds} s: {self.outcomes}"
        return self.outcomes

    @property
    def answered(self) -> int:
        return self.outcomes[200, ""]

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values())

    async def _run(self) -> None:
        self._pools = [Pool(url) for url in self.urls]
        await asyncio.gather(*(self._client(number) for number in range(self.count)))
        for pool in self._pools:
            pool.close()

    async def _client(self, client: int) -> None:
        chance = random.Random(f"{self.seed}-{client}")
        refusals = number = 0
        headers = {"Authorization": f"Bearer {self.key}"}
        while not self._stop.is_set() and (self.most is None or self.started < self.most):
            self.started += 1
            pool = self._pools[(client + number) % len(self._pools)]
            request = pool.request(self.path, self.body(client, number), headers)
            number += 1
            outcome = await self._one(pool, request, self.leave(chance))
            self.outcomes[outcome] += 1
            if outcome == (429, "budget_exceeded"):
                refusals += 1
                if self.patience is not None and refusals >= self.patience:
                    return
            else:
                refusals = 0
            if outcome[0] not in (200, "left"):
                await asyncio.sleep(self.pause)

    async def _one(self, pool: Pool, request: bytes, leave_after: int | None) -> tuple[int | str, str]:
        try:
            async with asyncio.timeout(self.timeout):
                answer = await pool.send(request, leave_after)
        except Left:
            return "left", ""
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError) as error:
            return "error", type(error).__name__
        outcome = (answer.status, answer.code)
        self.last[outcome] = answer
        return outcome


def wait_for(what: str, clients: Clients, enough: Callable[[], bool], seconds: float) -> None:
    """Until the clients have brought something about; fails when they end before."""
    deadline = time.monotonic() + seconds
    while not enough():
        assert clients._thread.is_alive(), f"{what}: the clients have ended: {clients.outcomes}"
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s: {clients.outcomes}"
        time.sleep(0.02)
