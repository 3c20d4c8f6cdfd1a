"""Look-ups by meaning with their vectors in Qdrant: shared by all nodes, apart by tenant, and never in a request's way."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, OTHER_KEY, Cluster
from harness.qdrant import Qdrant

LOST = "What should I do if I lose my passport while travelling abroad?"
SAME = "What should I do if I lose my passport while traveling abroad"


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    server = Qdrant("qdrant-key")
    yield server
    server.stop()


@pytest.fixture
def nodes(tmp_path: Path, qdrant: Qdrant) -> Iterator[Cluster]:
    vectors = {"type": "qdrant", "url": qdrant.url, "api_key": qdrant.api_key, "collection": "prompts", "deadline": "2s"}
    cluster = Cluster(tmp_path, overrides={"cache": {"semantic": {"vectors": vectors}}}).start()
    for node in cluster.nodes:
        waiting.until(f"{node.id} uses Qdrant", lambda node=node: database(node)["up"], 30)
    yield cluster
    cluster.stop()


def database(node) -> dict:
    return node.api("GET", "/api/cache").json()["vector_database"]


def ask(http: httpx.Client, cluster: Cluster, node: int, text: str, key: str = KEY, **more: str) -> httpx.Response:
    answer = http.post(
        f"{cluster.nodes[node].http}/v1/chat/completions",
        json={"model": "demo/echo", "messages": [{"role": "user", "content": text}]},
        headers={"Authorization": f"Bearer {key}", "x-peerway-cache-key": "qdrant", **more},
    )
    assert answer.status_code == 200, answer.text
    return answer


def kind(*asked, **more: str) -> str:
    return ask(*asked, **more).headers["x-peerway-cache"]


def test_what_one_node_learned_the_others_find_in_qdrant(http: httpx.Client, nodes: Cluster, qdrant: Qdrant) -> None:
    [(name, info)] = qdrant.collections().items()
    assert name.startswith("prompts_static_minilm_l6_v2_160_") and name.endswith("_160")
    assert info.config.params.vectors.size == 160 and info.config.params.vectors.distance == "Cosine"
    assert qdrant.indexes[name] == {"namespace", "context", "expires_ms"}

    first = ask(http, nodes, 0, LOST)
    assert first.headers["x-peerway-cache"] == "miss"
    waiting.until("Qdrant has it", lambda: len(qdrant.points()) == 1, 20)
    payload = qdrant.points()[0].payload
    assert payload["text"] == LOST and payload["id"] == first.headers["x-peerway-cache-id"]
    assert payload["expires_ms"] > time.time() * 1000
    for node in (1, 2):
        again = ask(http, nodes, node, SAME)
        assert again.headers["x-peerway-cache"] == "hit-semantic"
        assert again.headers["x-peerway-cache-id"] == first.headers["x-peerway-cache-id"]
    assert kind(http, nodes, 1, SAME, OTHER_KEY) == "miss", "another key's"
    waiting.until("Qdrant has that key's too", lambda: len({point.payload["namespace"] for point in qdrant.points()}) == 2, 20)

    purged = nodes.nodes[2].api("DELETE", "/api/cache?all=true")
    assert purged.status_code == 200, purged.text
    waiting.until("Qdrant has nothing", lambda: qdrant.points() == [], 20)
    assert kind(http, nodes, 0, SAME) == "miss"


def test_without_qdrant_requests_go_on_and_it_is_used_again_by_itself(http: httpx.Client, nodes: Cluster, qdrant: Qdrant) -> None:
    ask(http, nodes, 0, LOST)
    waiting.until("Qdrant has it", lambda: len(qdrant.points()) == 1, 20)
    qdrant.stop()
    for number in range(12):
        assert kind(http, nodes, number % 3, f"A question of its own, number {number}, about the weather in spring") == "miss"
    assert kind(http, nodes, 1, LOST) == "hit-direct"
    for node in nodes.nodes:
        waiting.until(f"{node.id} knows", lambda node=node: not database(node)["up"], 10)
        assert database(node)["last_failure"]
    qdrant.start()
    for node in nodes.nodes:
        waiting.until(f"{node.id} uses Qdrant", lambda node=node: database(node)["up"], 30)
    unkept = {"x-peerway-cache-no-store": "true"}
    for node in range(3):
        waiting.until("a hit by meaning", lambda node=node: kind(http, nodes, node, SAME, **unkept) == "hit-semantic", 20)
