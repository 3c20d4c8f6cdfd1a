"""Limits of requests and of money that hold over all nodes, also while they change."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import money, waiting
from harness.clients import Clients, chat, wait_for
from harness.cluster import Cluster
from harness.money import USD

ONE_NODE, BURST = "sk-test-limit-one-node", "sk-test-limit-burst"
FIVE = [{"unit": "requests", "limit": 5, "window": "1m"}]


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    overrides = {
        "cluster": {"founders": [f"node-{i}" for i in range(1, 6)]},
        "governance": {"keys": [money.key("one-node", ONE_NODE, limits=FIVE), money.key("burst", BURST, limits=FIVE)]},
    }
    running = Cluster(tmp_path_factory.mktemp("five"), count=5, overrides=overrides).start()
    try:
        money.active(running.nodes)
        yield running
    finally:
        running.stop()


def a_fresh_minute(seconds_left: float = 15) -> None:
    """Windows are those of the wall clock; a test needs a part of one for itself."""
    left = 60 - time.time() % 60
    if left < seconds_left:
        end = time.time() + left + 0.1
        waiting.until("the next minute", lambda: time.time() >= end, 61)


def test_five_a_minute_on_one_of_five_nodes(five: Cluster) -> None:
    """Four fifths of the limit are other nodes' shares: they come when they are needed, and no sixth does."""
    a_fresh_minute()
    minutes = []
    for _ in range(2):
        clients = Clients([five.nodes[0].http], ONE_NODE, count=1, most=8, pause=0)
        outcomes = clients.start().join(20)
        minutes.append(dict(outcomes))
        refused = clients.last[429, "rate_limit_exceeded"]
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert int(refused.headers["retry-after-ms"]) <= 60_000
        last = clients.last[200, ""]
        assert last.headers["x-ratelimit-limit-requests"] == "5"
        assert outcomes[200, ""] == 5, minutes
        a_fresh_minute(60)
    print(minutes)


def test_a_burst_of_ten_over_all_nodes(five: Cluster) -> None:
    a_fresh_minute()
    five.provider.faults({"match": {}, "do": {"latency_ms": 200}})
    clients = Clients([n.http for n in five.nodes], BURST, count=10, most=10).start()
    outcomes = clients.join(20)
    print(dict(outcomes))
    assert outcomes[200, ""] == 5
    assert outcomes[429, "rate_limit_exceeded"] == 5


def test_a_limit_that_changes_under_load(tmp_path: Path) -> None:
    """Raised and lowered at one node: in force everywhere within a second, and never more than the larger is spent."""
    overrides = {"cluster": {"founders": ["node-1", "node-2", "node-3"]}}
    cluster = Cluster(tmp_path, overrides=overrides).start()
    try:
        money.active(cluster.nodes)
        first, *others = cluster.nodes
        answer = first.api("POST", "/api/keys", {"id": "moving", "models": ["demo/*"], "budgets": [{"limit_usd": "0.05", "window": "1d"}]})
        assert answer.status_code == 201, answer.text
        value = answer.json()["key"]
        urls = [n.http for n in cluster.nodes]
        body = chat(words=60, max_tokens=64)
        for node in cluster.nodes:
            waiting.until(f"{node.id} knows the key", lambda node=node: Clients([node.http], value, body, count=1, most=1).start().join(10)[200, ""], 5)
        clients = Clients(urls, value, body, count=30, patience=None, pause=0.02).start()
        wait_for("the first limit", clients, lambda: clients.outcomes[429, "budget_exceeded"] > 100, 60)
        assert money.billed(cluster) <= 0.05 * USD

        raised = time.monotonic()
        assert first.api("PATCH", "/api/keys/moving", {"budgets": [{"limit_usd": "5.00", "window": "1d"}]}).status_code == 200
        for node in others:
            waiting.until(f"{node.id} has the raised limit", lambda node=node: node.budget("moving")["limit"] == 5 * USD, 2, every=0.02)
        print(f"raised everywhere after {time.monotonic() - raised:.3f} s")
        assert time.monotonic() - raised < 1
        wait_for("more than the old limit", clients, lambda: money.billed(cluster) > 0.1 * USD, 30)

        lowered = time.monotonic()
        assert first.api("PATCH", "/api/keys/moving", {"budgets": [{"limit_usd": "0.06", "window": "1d"}]}).status_code == 200
        for node in others:
            waiting.until(f"{node.id} has the lowered limit", lambda node=node: node.budget("moving")["limit"] == 0.06 * USD, 2, every=0.02)
        assert time.monotonic() - lowered < 1
        # What is under way may still end; then nothing is granted anywhere.
        time.sleep(max(0.0, lowered + 1 - time.monotonic()))
        before = clients.answered
        bill = money.billed(cluster)
        refusals = clients.outcomes[429, "budget_exceeded"]
        wait_for("refusals", clients, lambda: clients.outcomes[429, "budget_exceeded"] > refusals + 200, 30)
        print(f"lowered: {clients.answered - before} answered after it was in force; billed {bill / USD:.6f} USD in all")
        assert clients.answered - before <= 30, "what was in flight at most"
        assert money.billed(cluster) <= 5 * USD
        clients.stop()
    finally:
        cluster.stop()
