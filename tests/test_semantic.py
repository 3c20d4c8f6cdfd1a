"""Answers by meaning over three nodes: what the method promises for pairs of prompts holds for requests.

The pairs are those of docs/semantic-cache.md; the first of each is asked at one node, the second at another.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness import waiting
from harness.cluster import ADMIN_TOKEN, KEY, Cluster
from harness.process import ROOT

PAIRS = [json.loads(line) for line in (ROOT / "cache/tests/data/semantic_pairs.jsonl").read_text().splitlines()]
KEPT = "What should I do if I lose my passport while travelling abroad?"
SAME = "What should I do if I lose my passport while traveling abroad"


class Asker:
    def __init__(self, http: httpx.Client, cluster: Cluster, unique: str):
        self.http, self.cluster, self.unique = http, cluster, unique

    def ask(self, node: int, text: str, key: str = KEY, within: str = "", **more: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", "x-peerway-cache-key": f"{self.unique}{within}"}
        headers |= {f"x-peerway-{name.replace('_', '-')}": value for name, value in more.items()}
        answer = self.http.post(f"{self.cluster.nodes[node % 3].http}/v1/chat/completions", json=body(text), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def kind(self, *asked, **more: str) -> str:
        return self.ask(*asked, **more).headers["x-peerway-cache"]

    def judged(self, node: int, text: str, again=None, **more) -> httpx.Response:
        """The answer once the text was compared. On a busy machine a look-up that took too long is a miss, and what was
        not taken by its owner in time is not learned: `again` teaches it once more."""

        def compared() -> httpx.Response | None:
            answer = self.ask(node, text, cache_no_store="true", **more)
            if "x-peerway-cache-guard" in answer.headers:
                return answer
            return again() and None if again else None

        return waiting.until("the text to be compared", compared, 60, every=0.02)

    def learned(self) -> int:
        """Answers that can be found by meaning."""
        return sum(int(node.metric("peerway_cache_learned_total")) for node in self.cluster.nodes)

    def explain(self, node: int, first, second, **more) -> dict:
        # By the patient client: a model on a busy machine takes its time.
        url = f"{self.cluster.nodes[node].admin}/api/cache/explain"
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = self.http.post(url, json={"first": first, "second": second, **more}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


def body(text: str) -> dict:
    return {"model": "demo/echo", "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def asker(http: httpx.Client, cluster: Cluster, unique: str) -> Asker:
    return Asker(http, cluster, unique)


def test_what_one_node_learned_the_others_answer_by(asker: Asker) -> None:
    first = asker.ask(0, KEPT)
    assert first.headers["x-peerway-cache"] == "miss"
    for node in range(3):
        answer = asker.judged(node, SAME, again=lambda: asker.ask(0, KEPT, cache_no_read="true"))
        assert answer.headers["x-peerway-cache"] == "hit-semantic", node
        assert answer.headers["x-peerway-cache-guard"] == "agrees"
        assert answer.headers["x-peerway-cache-id"] == first.headers["x-peerway-cache-id"]
        assert float(answer.headers["x-peerway-cache-similarity"]) >= 0.85
        assert answer.json()["choices"] == first.json()["choices"]
    assert answer.headers["x-peerway-cost-usd"] == "0"


def ask_pairs(asker: Asker, at_once: int = 8) -> tuple[Counter, Counter]:
    """How many pairs there are and how many were served, by whether they mean the same and by type. Each pair is asked
    under a cache key of its own, so that only its first can answer its second; what `explain` tells of it is what happens."""

    def is_hit(numbered: tuple[int, dict]) -> tuple[bool, float]:
        at, pair = numbered
        told = asker.explain(at % 3, pair["a"], pair["b"])
        assert asker.kind(at, pair["a"], within=pair["id"]) == "miss"
        if told["guard"] == "not_asked":
            # Not near enough: so there is no header to wait for.
            answer = asker.ask(at + 1, pair["b"], within=pair["id"])
        else:
            answer = asker.judged(at + 1, pair["b"], again=lambda: asker.ask(at, pair["a"], within=pair["id"], cache_no_read="true"), within=pair["id"])
            assert answer.headers["x-peerway-cache-guard"] == (told["reason"] or "agrees"), pair
        kind = answer.headers["x-peerway-cache"]
        assert kind == ("hit-semantic" if told["hit"] else "miss"), (pair, told, dict(answer.headers))
        return told["hit"], told["cosine"]

    total, hits = Counter(), Counter()
    cosines = {cut: Counter() for cut in (0.8, 0.9, 0.95)}
    with ThreadPoolExecutor(at_once) as pool:
        for pair, (hit, cosine) in zip(PAIRS, pool.map(is_hit, enumerate(PAIRS))):
            for group in (pair["type"], "all"):
                total[pair["same"], group] += 1
                hits[pair["same"], group] += hit
                for cut, reached in cosines.items():
                    reached[pair["same"], group] += cosine >= cut
    print(f"\n{'':12} {'type':22} {'pairs':>5} {'served':>7}" + "".join(f"  cosine {cut:.2f}" for cut in cosines))
    for (same, group), count in sorted(total.items(), key=lambda item: (not item[0][0], item[0][1] == "all", item[0][1])):
        line = f"{'paraphrase' if same else 'near-miss':12} {group:22} {count:5} {hits[same, group] / count:7.1%}"
        print(line + "".join(f"  {reached[same, group] / count:11.1%}" for reached in cosines.values()))
    return total, hits


@pytest.mark.timeout(900)
def test_pairs(asker: Asker) -> None:
    total, hits = ask_pairs(asker)
    assert hits[False, "all"] <= 0.01 * total[False, "all"]
    assert hits[True, "all"] >= 0.45 * total[True, "all"]


def test_no_key_is_given_what_another_one_asked_for(asker: Asker) -> None:
    node = asker.cluster.nodes[0]
    keys = []
    for number in range(12):
        made = node.api("POST", "/api/keys", {"id": f"{asker.unique[-8:]}-{number}", "models": ["demo/*"]})
        assert made.status_code == 201, made.text
        keys.append(made.json()["key"])
    same = [pair for pair in PAIRS if pair["type"] == "light_change"][:12]

    def known() -> bool:
        asked = ((n.http, key) for n in asker.cluster.nodes for key in keys)
        return all(asker.http.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200 for url, key in asked)

    waiting.until("all nodes to know the keys", known, 10)
    # Each key asks for one thing of its own, which it is answered by.
    for number, (key, pair) in enumerate(zip(keys, same)):
        assert asker.kind(number, pair["a"], key) == "miss"
        asker.judged(number + 1, pair["b"], again=lambda: asker.ask(number, pair["a"], key, cache_no_read="true"), key=key)
    hits = Counter()
    for reader, key in enumerate(keys):
        for owner, pair in enumerate(same):
            for text in (pair["a"], pair["b"]):
                kind = asker.kind(reader + owner, text, key, cache_no_store="true", cache_threshold="0.01")
                hits[reader == owner] += kind.startswith("hit")
    assert hits[False] == 0
    assert hits[True] > len(keys), "each at least what it asked for itself"


def test_explain_tells_why_not_and_changes_nothing(asker: Asker) -> None:
    there, back = "flights from Paris to Rome", "flights from Rome to Paris"
    before = asker.cluster.provider.bill()["requests"], asker.learned()
    told = asker.explain(0, there, back)
    assert (told["hit"], told["kind"], told["similarity"], told["guard"], told["reason"]) == (False, "semantic", 0.0, "contradicts", "direction")
    assert told["threshold"] == pytest.approx(0.85) and told["cosine"] > 0.9
    assert {"name": "direction", "verdict": "contradicts"}.items() <= next(c for c in told["checks"] if c["name"] == "direction").items()

    told = asker.explain(1, KEPT, SAME)
    assert (told["hit"], told["guard"], told["reason"]) == (True, "agrees", None)
    assert asker.explain(1, KEPT, SAME, threshold=1.0)["guard"] == "doubts"
    assert asker.explain(1, body(KEPT), body(SAME))["similarity"] == told["similarity"]
    assert asker.explain(1, body(KEPT), {**body(KEPT), "stream": True})["kind"] == "direct"

    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
    for second, reason in (
        ({**body(SAME), "temperature": 0.5}, "context"),
        ({**body(SAME), "messages": [image]}, "not_text"),
        ({**body(SAME), "messages": [*body("a")["messages"] * 4, *body(SAME)["messages"]]}, "history"),
    ):
        told = asker.explain(2, body(KEPT), second)
        assert (told["hit"], told["guard"], told["reason"]) == (False, "not_asked", reason)
    for wrong in ({"first": "a"}, {"first": "a", "second": body("b")}, {"first": 1, "second": 2}, {"first": "a", "second": "b", "threshold": 0}):
        answer = asker.cluster.nodes[0].api("POST", "/api/cache/explain", wrong)
        assert answer.status_code == 400 and answer.headers["content-type"] == "application/problem+json", wrong
    assert (asker.cluster.provider.bill()["requests"], asker.learned()) == before
    assert asker.kind(0, KEPT) == "miss", "and nothing was kept"


def test_metrics_and_api_count_what_came_of_it(asker: Asker) -> None:

    def there() -> httpx.Response:
        return asker.ask(0, "flights from Paris to Rome", cache_no_read="true")

    there()
    nodes = asker.cluster.nodes
    refused = nodes[1].metric("peerway_cache_guard_refusals_total")
    assert asker.judged(1, "flights from Rome to Paris", again=there).headers["x-peerway-cache-guard"] == "direction"
    assert nodes[1].metric("peerway_cache_guard_refusals_total") == refused + 1
    assert nodes[1].api("GET", "/api/cache").json()["semantic"]["refusals"]["direction"] >= 1
