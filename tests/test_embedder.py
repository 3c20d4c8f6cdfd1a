"""An embedder that asks a provider: candidates are found by its vectors, and its failures are misses and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, Cluster

KEPT = "What should I do if I lose my passport while travelling abroad?"
SAME = "What should I do if I lose my passport while traveling abroad"
OTHER = "How do I renew my library card?"
DOWN = {"match": {"path": "/v1/embeddings"}, "do": {"status": 503}}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    embedder = {"type": "openai", "provider": "demo", "model": "embedding", "dimensions": 256, "deadline": "20s"}
    cluster = Cluster(tmp_path, count=1, overrides={"cache": {"semantic": {"embedder": embedder}}}).start()
    yield cluster
    cluster.stop()


def ask(http: httpx.Client, cluster: Cluster, text: str) -> str:
    answer = http.post(
        f"{cluster.nodes[0].http}/v1/chat/completions",
        json={"model": "demo/echo", "messages": [{"role": "user", "content": text}]},
        headers={"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": "faq"},
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["x-peerway-cache"]


def learned(cluster: Cluster) -> float:
    return sum(node.metric("peerway_cache_learned_total") for node in cluster.nodes)


def vectors_asked_for(cluster: Cluster) -> int:
    return sum("embeddings" in request["path"] for request in cluster.provider.requests(1000))


def test_candidates_are_found_by_a_providers_vectors(http: httpx.Client, cluster: Cluster) -> None:
    assert ask(http, cluster, KEPT) == "miss"
    waiting.until("the answer to be learned", lambda: learned(cluster) >= 1, 60, every=0.02)
    assert vectors_asked_for(cluster) == 1, "the vector of a text is asked for once"
    assert ask(http, cluster, SAME) == "hit-semantic"
    assert vectors_asked_for(cluster) == 2
    told = cluster.nodes[0].api("POST", "/api/cache/explain", {"first": KEPT, "second": SAME}).json()
    assert told["hit"] and told["cosine"] > 0.8
    assert vectors_asked_for(cluster) == 2, "what is known is not asked for again"


def test_a_provider_that_fails_is_a_miss(http: httpx.Client, cluster: Cluster) -> None:
    cluster.provider.faults(DOWN)
    for text in (KEPT, SAME, OTHER):
        assert ask(http, cluster, text) == "miss"
    node = cluster.nodes[0]
    waiting.until("the failures to be counted", lambda: node.metric("peerway_cache_semantic_failures_total") >= 3, 20)
    answer = node.api("POST", "/api/cache/explain", {"first": KEPT, "second": SAME})
    assert answer.status_code >= 500 and "503" in answer.text and "openai:demo/embedding/256" in answer.text

    cluster.provider.faults()
    waiting.until("the provider to be asked again", lambda: node.api("POST", "/api/cache/explain", {"first": KEPT, "second": SAME}).status_code == 200, 60)
