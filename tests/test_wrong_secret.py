"""A node that does not know the secret never becomes a peer; both sides say so, and the cluster goes on."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, Cluster, Node


@pytest.fixture(scope="module")
def cluster(logs: Path) -> Iterator[Cluster]:
    running = Cluster(logs).start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["secret", "name"])
def intruder(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Node]:
    """Knows the cluster's addresses, but not its secret; or knows the secret, and means another cluster."""
    wrong = {"secret": "not the secret of this cluster, but long enough as well"} if request.param == "secret" else {"name": "another"}
    node = cluster.another(f"intruder-{request.param}", cluster=wrong)
    node.start()
    try:
        waiting.until("the intruder's admin port", node.status, 20)
        yield node
    finally:
        assert node.process
        node.process.kill()


def warnings(log: str, *words: str) -> list[str]:
    grave = (line for line in log.splitlines() if "WARN" in line or "ERROR" in line)
    return [line for line in grave if any(word in line.lower() for word in words)]


def test_both_logs_say_why(cluster: Cluster, intruder: Node) -> None:
    words = ("secret", "certificate", "cluster name", "another cluster")
    waiting.until("a line in the intruder's log", lambda: warnings(intruder.log(), *words), 20)
    waiting.until("a line in a member's log", lambda: any(warnings(n.log(), *words) for n in cluster.nodes), 20)


def test_it_is_in_nobodys_status(cluster: Cluster, intruder: Node) -> None:
    waiting.until("a refusal", lambda: any(n.status()["link"]["refused"] for n in cluster.nodes), 20)
    # It has been refused and tries again and again: for fifteen rounds of gossip it must not get in.
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for node in cluster.nodes:
            assert set(node.states()) == {"node-1", "node-2", "node-3"}, node.id
        assert set(intruder.states()) <= {intruder.id}
        time.sleep(0.1)


def test_the_cluster_is_unharmed(cluster: Cluster, intruder: Node, http: httpx.Client, unique: str) -> None:
    assert cluster.wait_ready(10) < 10
    before = sum(n.cache_entries() for n in cluster.nodes)

    def ask(node: int) -> str:
        answer = http.post(
            f"{cluster.nodes[node].http}/v1/chat/completions",
            json={"model": "demo/echo", "messages": [{"role": "user", "content": unique}]},
            headers={"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": unique},
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["x-peerway-cache"]

    assert ask(0) == "miss"
    waiting.until("both copies", lambda: sum(n.cache_entries() for n in cluster.nodes) >= before + 2, 5)
    assert [ask(1), ask(2)] == ["hit-direct"] * 2
