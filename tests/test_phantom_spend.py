"""100,000 requests with everything that goes wrong: what is recorded is what was billed, but for what has a name."""

import json
import random
import signal
import time
from pathlib import Path

import pytest

from harness import money, waiting
from harness.clients import Clients, chat
from harness.cluster import UNSHAKEN, Cluster
from harness.money import USD

VALUE = "sk-test-phantom-key"
NODES = ["node-1", "node-2", "node-3"]


def flagged(cluster: Cluster) -> int:
    """The sum of all charges that the access logs flag as estimated."""
    total = 0
    for node in cluster.nodes:
        for file in node.folder.glob(f"{node.id}.*.out"):
            for line in file.read_text(errors="replace").splitlines():
                if '"estimated":true' in line:
                    total += json.loads(line)["cost_nano_usd"]
    return total


@pytest.mark.timeout(600)
def test_recorded_and_billed(tmp_path: Path) -> None:
    overrides = {
        "cluster": {"founders": NODES},
        "governance": {"keys": [money.key("payer", VALUE, "1000.00")]},
        "health": UNSHAKEN,
    }
    cluster = Cluster(tmp_path, overrides=overrides)
    config = {"timeouts": {"first_byte": "400ms"}, "retries": 2}
    provider = {"name": "demo", "type": "simulated", "keys": [{"id": "main", "value": "sk-simulated"}], "models": ["echo", "slow"], "allow_private": True}
    cluster.overrides = {**overrides, "providers": [{**provider, **config, "base_url": f"{cluster.provider.url}/v1"}]}
    for node in cluster.nodes:
        cluster.write_config(node)
    cluster.start()
    rows = []
    try:
        money.active(cluster.nodes)
        urls = [n.http for n in cluster.nodes]

        def books() -> tuple[int, int, int]:
            return money.quiet(cluster.nodes, "payer", seconds=60)["spent"], money.billed(cluster), flagged(cluster)

        def phase(name: str, most: int, faults: list[dict], leave=lambda _: None, stream_share: float = 0.5, kills: int = 0) -> tuple[int, int, int]:
            cluster.provider.faults(*faults)
            before = books()
            plain, streamed = chat(words=8, max_tokens=20), chat(words=8, max_tokens=20, stream=True)

            def body(client: int, number: int) -> dict:
                return (streamed if random.Random(f"{client}/{number}").random() < stream_share else plain)(client, number)

            clients = Clients(urls, VALUE, body, count=60, most=most, patience=None, leave=leave, seed=len(rows), timeout=30).start()
            opened = 0
            for kill in range(kills):
                goal = most * (kill + 1) // (kills + 1)
                waiting.until("a part of the load", lambda goal=goal: clients.ended >= goal, 240)
                victim = cluster.nodes[kill % 3]
                opened += victim.status()["ledger"]["open"].get("nano_usd", 0)
                assert victim.process
                victim.process.signal(signal.SIGKILL)
                victim.process.exited_with(10)
                victim.start()
                waiting.until("back", victim.ready, 20)
            outcomes = clients.join(400)
            cluster.provider.faults()
            spent, billed, estimated = (now - then for now, then in zip(books(), before))
            rows.append((name, clients.ended, dict(outcomes), spent, billed, spent - billed, estimated, opened))
            return spent - billed, estimated, opened

        began = time.monotonic()

        def leave(chance: random.Random) -> int | None:
            return chance.randrange(4000) if chance.random() < 0.1 else None

        difference, _, _ = phase("plain and streams", 55_000, [])
        assert difference == 0
        difference, _, _ = phase("errors and retries", 15_000, [{"match": {"share": 0.1}, "do": {"status": 500}}, {"match": {"share": 0.02}, "do": {"status": 429, "retry_after_ms": 1}}])
        assert difference == 0
        difference, estimated, _ = phase("streams left by the client", 10_000, [], leave, stream_share=1.0)
        assert 0 <= difference <= estimated
        difference, estimated, _ = phase("timeouts", 5_000, [{"match": {"share": 0.01}, "do": {"latency_ms": 2000}}])
        assert 0 <= difference <= estimated
        difference, estimated, _ = phase("usage missing", 5_000, [{"match": {"share": 0.2}, "do": {"no_usage": True}}])
        assert 0 <= difference <= estimated
        difference, estimated, opened = phase("nodes killed", 10_000, [], kills=5)
        assert 0 <= difference <= estimated + 2 * opened
        took = time.monotonic() - began
    finally:
        print("\nphase | requests | recorded | billed | difference | flagged as estimated | open at the kills | outcomes (nano-USD)")
        for name, ended, outcomes, spent, billed, difference, estimated, opened in rows:
            print(f"{name} | {ended} | {spent} | {billed} | {difference} | {estimated} | {opened} | {outcomes}")
        cluster.stop()
    print(f"{sum(row[1] for row in rows)} requests in {took:.0f} s, {rows[0][3] / USD:.2f} USD in the first phase")
