"""A judge over the real binary: a doubt that it confirms is a hit at any node, `explain` tells that it would be asked without
asking it, and its answer is known afterwards."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from test_semantic import Asker

from harness.cluster import Cluster

KEPT = "My puppy keeps chewing the furniture. How do I stop it?"
DOUBTED = "How can I get my young dog to quit gnawing on chairs and tables?"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    judge = {"model": "demo/slow", "deadline": "30s"}
    cluster = Cluster(tmp_path, overrides={"cache": {"semantic": {"judge": judge}}}).start()
    yield cluster
    cluster.stop()


@pytest.fixture
def asker(http: httpx.Client, cluster: Cluster, unique: str) -> Asker:
    return Asker(http, cluster, unique)


def judged(cluster: Cluster) -> int:
    return sum('"model":"slow"' in request["body"] for request in cluster.provider.requests(1000))


def test_a_judge_decides_what_the_guard_doubts(asker: Asker) -> None:
    cluster = asker.cluster
    cluster.provider.faults({"match": {"model": "slow"}, "do": {"text": "yes"}})
    told = asker.explain(0, KEPT, DOUBTED)
    assert (told["hit"], told["guard"], told["reason"]) == (False, "doubts", "doubt")
    assert told["confirm"] == [{"by": "judge", "threshold": 1.0, "sure": None}]
    assert asker.explain(0, "flights from Paris to Rome", "flights from Rome to Paris")["confirm"] == []
    assert judged(cluster) == 0, "an explanation costs nothing"

    def again() -> httpx.Response:
        return asker.ask(0, KEPT, cache_no_read="true")

    again()
    for _ in range(3):
        answer = asker.judged(1, DOUBTED, again=again)
        assert (answer.headers["x-peerway-cache"], answer.headers["x-peerway-cache-guard"]) == ("hit-semantic", "judge")
    assert judged(cluster) == 1, "the same doubt is not asked about twice at one node"
    node = cluster.nodes[1]
    assert node.api("GET", "/api/cache").json()["semantic"]["confirmations"]["judge"]["remembered"] == 2
    assert node.metric("peerway_cache_confirmations_total") >= 3

    # What contradicts is not asked about, and what the judge refuses is no hit.
    asker.ask(0, "flights from Paris to Rome", within="b")
    back = asker.judged(1, "flights from Rome to Paris", again=lambda: asker.ask(0, "flights from Paris to Rome", within="b", cache_no_read="true"), within="b")
    assert back.headers["x-peerway-cache-guard"] == "direction"
    assert judged(cluster) == 1
    cluster.provider.faults({"match": {"model": "slow"}, "do": {"text": "no"}})
    refused = asker.judged(2, DOUBTED, again=again)
    assert (refused.headers["x-peerway-cache"], refused.headers["x-peerway-cache-guard"]) == ("miss", "judge")
