"""What the nodes tell of their cache: what hits of each kind saved, to the nano-dollar, what is held and read most, and in the
answers themselves where a node's configuration wants it."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, Cluster
from harness.redis import RedisServer

KEPT = "What should I do if I lose my passport while travelling abroad?"
SAME = "What should I do if I lose my passport while traveling abroad"
SUMS = ("hits", "priced", "prompt_tokens", "completion_tokens", "nano_usd")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes before a Redis; the answers of two of them carry `extra_fields`."""
    assert shutil.which("redis-server"), "the Debian package redis-server is missing"
    folder = tmp_path_factory.mktemp("insight")
    redis = RedisServer(folder).start()
    running = Cluster(folder, overrides={"cache": {"backend": {"type": "redis", "url": f"redis+unix://{redis.socket}"}}})
    try:
        for node in running.nodes[:2]:
            running.write_config(node, {"extra_fields": True})
        running.start()
        uses_redis(running)
        yield running
    finally:
        running.stop()
        redis.kill()


def uses_redis(cluster: Cluster) -> None:
    for node in cluster.nodes:
        waiting.until(f"{node.id} uses Redis", lambda node=node: "backend is in use" in node.log(), 20)


class Asker:
    def __init__(self, http: httpx.Client, cluster: Cluster, unique: str):
        self.http, self.cluster, self.unique = http, cluster, unique

    def ask(self, node: int, text: str, **more: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": self.unique}
        headers |= {f"x-peerway-{name.replace('_', '-')}": value for name, value in more.items()}
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}]}
        answer = self.http.post(f"{self.cluster.nodes[node % 3].http}/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def until(self, kind: str, node: int, text: str, **more: str) -> httpx.Response:
        """On a busy machine a look-up that took too long is a miss."""

        def asked() -> httpx.Response | None:
            answer = self.ask(node, text, cache_no_store="true", **more)
            return answer if answer.headers["x-peerway-cache"] == kind else None

        return waiting.until(f"{kind} at node {node + 1}", asked, 60)

    def saved(self, kind: str, nodes: tuple[int, ...] = (0, 1, 2)) -> dict[str, int]:
        told = [self.cluster.nodes[node].api("GET", "/api/cache").raise_for_status().json()["saved"][kind] for node in nodes]
        return {name: sum(t[name] for t in told) for name in SUMS}


@pytest.fixture
def asker(http: httpx.Client, cluster: Cluster, unique: str) -> Asker:
    return Asker(http, cluster, unique)


def nano_usd(answer: httpx.Response) -> int:
    return int(Decimal(answer.headers["x-peerway-cost-usd"]) * 10**9)


def worth(*answers: httpx.Response) -> dict[str, int]:
    """What so many hits save, each of which was given the answer to one of these misses."""
    usages = [answer.json()["usage"] for answer in answers]
    tokens = {name: sum(usage[name] for usage in usages) for name in ("prompt_tokens", "completion_tokens")}
    return {"hits": len(answers), "priced": len(answers), **tokens, "nano_usd": sum(map(nano_usd, answers))}


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in SUMS}


def test_an_answer_says_how_it_came_where_that_is_wanted_and_is_kept_without_it(asker: Asker) -> None:
    missed = asker.ask(0, KEPT)
    fields = missed.json()["extra_fields"]
    entry = missed.headers["x-peerway-cache-id"]
    assert (fields["provider"], fields["model"]) == ("demo", "echo") and isinstance(fields["latency"], int)
    assert fields["cache_debug"] == {"cache_hit": False, "cache_id": entry}
    direct = asker.until("hit-direct", 1, KEPT)
    assert direct.json()["extra_fields"]["cache_debug"] == {"cache_hit": True, "hit_type": "direct", "cache_id": entry}
    semantic = asker.until("hit-semantic", 1, SAME)
    assert semantic.json()["extra_fields"]["cache_debug"] == {
        "cache_hit": True,
        "hit_type": "semantic",
        "similarity": float(semantic.headers["x-peerway-cache-similarity"]),
        "threshold": 0.85,
        "cache_id": entry,
    }
    # The third node's configuration does not mention it.
    plain = asker.until("hit-direct", 2, KEPT)
    assert "extra_fields" not in plain.json()
    before, _ = missed.text.split(',"extra_fields":')
    assert plain.text == before + "}", "byte for byte what the provider said"
    for answer in (missed, direct, semantic, plain):
        assert int(answer.headers["content-length"]) == len(answer.content)


def test_savings_are_what_asking_again_would_have_cost(asker: Asker) -> None:
    missed = asker.ask(0, KEPT)
    price = nano_usd(missed)
    assert price > 0 and missed.headers["x-peerway-cache"] == "miss"

    before = asker.saved("direct", (1,))
    asker.until("hit-direct", 1, KEPT)
    assert more(before, asker.saved("direct", (1,))) == worth(missed)

    before = asker.saved("semantic")
    asker.until("hit-semantic", 2, SAME)
    assert more(before, asker.saved("semantic")) == worth(missed), "by the answer that was given, not by what was asked"

    before = {kind: asker.saved(kind) for kind in ("coalesced", "total")}
    asker.cluster.provider.faults({"match": {}, "do": {"latency_ms": 2000}})
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: asker.ask(number, "Tell me of ships, all at once."), range(12)))
    asker.cluster.provider.faults()
    kinds = [answer.headers["x-peerway-cache"] for answer in answers]
    asked = next(answer for answer in answers if answer.headers["x-peerway-cache"] == "miss")
    assert kinds.count("hit-coalesced") > 0
    assert more(before["coalesced"], asker.saved("coalesced")) == worth(*[asked] * kinds.count("hit-coalesced"))
    served = len(kinds) - kinds.count("miss")
    assert more(before["total"], asker.saved("total")) == worth(*[asked] * served)

    node = asker.cluster.nodes[1]
    told = node.api("GET", "/api/cache").json()["saved"]
    page = node.metrics()
    for kind in ("direct", "semantic", "coalesced", "backend"):
        assert f'peerway_cache_hits_total{{hit="{kind}"}} {told[kind]["hits"]}\n' in page
        for tokens in ("prompt", "completion"):
            assert f'peerway_cache_saved_tokens_total{{kind="{tokens}",hit="{kind}"}} {told[kind][f"{tokens}_tokens"]}\n' in page
        (cost,) = [line for line in page.splitlines() if line.startswith(f'peerway_cache_saved_cost_usd_total{{hit="{kind}"}} ')]
        assert Decimal(cost.split()[1]) * 10**9 == told[kind]["nano_usd"]
    assert {name: sum(told[kind][name] for kind in told if kind != "total") for name in SUMS} == told["total"]


def test_similarities_are_told_by_the_same_buckets(asker: Asker) -> None:
    asker.ask(0, "flights from Paris to Rome")

    def refused() -> bool:
        answer = asker.ask(0, "flights from Rome to Paris", cache_no_store="true")
        return answer.headers.get("x-peerway-cache-guard") == "direction"

    waiting.until("a contradiction", refused, 60)
    node = asker.cluster.nodes[0]
    told = node.api("GET", "/api/cache").json()["semantic"]["similarity"]
    page = node.metrics()
    total = 0
    for bucket in told:
        total += bucket["count"]
        assert f'peerway_cache_similarity_bucket{{le="{bucket["le"]:g}"}} {total}\n' in page
    assert (told[0]["le"], told[-1]["le"]) == (0, 1) and told[0]["count"] > 0
    assert f"peerway_cache_similarity_count {total}\n" in page


def test_what_is_read_most_and_who_takes_the_memory(asker: Asker) -> None:
    entry = asker.ask(0, KEPT).headers["x-peerway-cache-id"]
    for _ in range(40):
        asker.until("hit-direct", 1, KEPT)
    told = asker.cluster.nodes[1].api("GET", "/api/cache").json()
    (hot,) = [hot for hot in told["hottest"] if hot["id"] == entry]
    assert hot["tenant"] == "key/one" and hot["hits"] >= 20 and hot["bytes"] > 0 and hot["age_s"] <= 300 and 0 < hot["expires_in_s"] <= 300
    assert len(told["hottest"]) <= 20 and [h["hits"] for h in told["hottest"]] == sorted((h["hits"] for h in told["hottest"]), reverse=True)

    def held() -> list[dict]:
        spaces = (n.api("GET", "/api/cache").json()["namespaces"] for n in asker.cluster.nodes)
        mine = [space for node in spaces for space in node if space["namespace"] == hot["namespace"]]
        assert sum(space["entries"] for space in mine) == 2, mine
        assert sum(space["vectors"] for space in mine) == 2, mine
        return mine

    mine = waiting.until("owner and replica of the entry and of its vector", held, 20)
    assert all(space["tenant"] == "key/one" for space in mine)
    assert all((space["bytes"] > 0) == (space["entries"] > 0) and (space["vector_bytes"] > 0) == (space["vectors"] > 0) for space in mine)


def test_what_only_the_backend_had_is_a_kind_of_its_own(asker: Asker) -> None:
    """Last here, as it starts the nodes again: then their memory is empty, and Redis has the answers."""
    texts = [f"Question number {number} of those that outlive the nodes." for number in range(40)]
    kept = {text: asker.ask(number, text) for number, text in enumerate(texts)}
    for node in asker.cluster.nodes:
        assert node.process
        node.process.terminate()
    for node in asker.cluster.nodes:
        node.start()
    asker.cluster.wait_ready()
    uses_redis(asker.cluster)
    hits, left = [], iter(texts)

    def hit() -> bool:
        # Each is asked for once: then the nodes have it, too. Late, Redis is a miss, and not asked for a second.
        text = next(left)
        if asker.ask(0, text, cache_type="direct").headers["x-peerway-cache"] == "hit-direct":
            hits.append(kept[text])
        return len(hits) == 3

    waiting.until("three hits", hit, 60, every=0.5)
    assert asker.saved("backend") == worth(*hits)
    assert asker.saved("direct") == worth()
