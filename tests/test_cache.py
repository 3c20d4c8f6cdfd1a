"""One cache for the cluster: what one node fetched is a hit at every node, and stays one when its owner dies."""

import time

import httpx
import pytest

from harness import sse, waiting
from harness.cluster import KEY, OTHER_KEY, Cluster


class Asker:
    """Asks one thing of any node, under one cache key."""

    def __init__(self, http: httpx.Client, cluster: Cluster, unique: str):
        self.http, self.cluster, self.unique = http, cluster, unique
        self.body = {"model": "demo/echo", "messages": [{"role": "user", "content": f"Tell me about {unique}."}]}

    def headers(self, key: str = KEY, **more: str) -> dict[str, str]:
        named = {f"x-peerway-{k.replace('_', '-')}": v for k, v in more.items()}
        return {"Authorization": f"Bearer {key}", "x-peerway-cache-key": self.unique, **named}

    def plain(self, node: int, key: str = KEY, **more: str) -> httpx.Response:
        answer = self.http.post(f"{self.cluster.nodes[node].http}/v1/chat/completions", json=self.body, headers=self.headers(key, **more))
        assert answer.status_code == 200, answer.text
        return answer

    def kind(self, node: int, key: str = KEY, **more: str) -> str:
        return self.plain(node, key, **more).headers["x-peerway-cache"]

    def stream(self, node: int, usage: bool = False, **more: str) -> sse.Stream:
        body = {**self.body, "stream": True, **({"stream_options": {"include_usage": True}} if usage else {})}
        return sse.read(self.http, f"{self.cluster.nodes[node].http}/v1/chat/completions", body, self.headers(**more))

    def filled(self, node: int = 0) -> httpx.Response:
        """A first answer, once owner and replica hold it: the answer does not wait for them."""
        before = self.held()
        first = self.plain(node)
        assert first.headers["x-peerway-cache"] == "miss"
        self.wait_held(before + 2)
        return first

    def held(self) -> int:
        """Copies that the nodes hold for the cluster."""
        return sum(n.cache_entries() for n in self.cluster.nodes)

    def wait_held(self, copies: int) -> None:
        waiting.until("owner and replica of the entry", lambda: self.held() >= copies, 5, every=0.01)

    def soon(self, node: int, wanted: str, **more: str) -> None:
        waiting.until(f"{wanted} at node {node + 1}", lambda: self.kind(node, **more) == wanted, 5)

    def upstream(self) -> int:
        return self.cluster.provider.bill()["requests"]


@pytest.fixture
def ask(http: httpx.Client, cluster: Cluster, unique: str) -> Asker:
    return Asker(http, cluster, unique)


def test_a_miss_at_one_node_is_a_hit_at_the_others_and_the_provider_bills_once(ask: Asker) -> None:
    first = ask.filled(0)
    second, third = ask.plain(1), ask.plain(2)
    assert second.headers["x-peerway-cache"] == third.headers["x-peerway-cache"] == "hit-direct"
    assert first.json() == second.json() == third.json()
    assert ask.kind(0) == "hit-direct"
    assert ask.upstream() == 1


def test_this_holds_for_many_entries_wherever_they_live(http: httpx.Client, cluster: Cluster, unique: str) -> None:
    for i in range(60):
        ask = Asker(http, cluster, f"{unique}-{i}")
        ask.filled(i % 3)
        assert [ask.kind((i + 1) % 3), ask.kind((i + 2) % 3)] == ["hit-direct", "hit-direct"], i
    assert cluster.provider.bill()["requests"] == 60


def test_key_order_and_white_space_do_not_matter(ask: Asker) -> None:
    ask.filled()
    text = f'{{ "messages" : [ {{"content":"Tell me about {ask.unique}.", "role":"user"}} ],\n "model":"demo/echo" }}'
    answer = ask.http.post(f"{ask.cluster.nodes[1].http}/v1/chat/completions", content=text, headers={**ask.headers(), "content-type": "application/json"})
    assert answer.headers["x-peerway-cache"] == "hit-direct"


def test_another_question_or_parameter_is_a_miss(ask: Asker) -> None:
    ask.filled()
    for change in ({"temperature": 0.5}, {"messages": [{"role": "user", "content": "something else"}]}, {"model": "demo/slow"}):
        answer = ask.http.post(f"{ask.cluster.nodes[1].http}/v1/chat/completions", json={**ask.body, **change}, headers=ask.headers())
        assert answer.headers["x-peerway-cache"] == "miss", change


def test_a_streamed_answer_is_a_hit_for_a_plain_request(ask: Asker) -> None:
    before = ask.held()
    streamed = ask.stream(0)
    streamed.assert_whole()
    ask.wait_held(before + 2)
    assert streamed.response.headers["x-peerway-cache"] == "miss"
    plain = ask.plain(1)
    assert plain.headers["x-peerway-cache"] == "hit-direct"
    body = plain.json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == streamed.content
    assert body["choices"][0]["finish_reason"] == "stop"
    bill = ask.cluster.provider.bill()
    assert bill["requests"] == 1
    assert body["usage"]["completion_tokens"] == bill["completion_tokens"], "usage is known though no client asked for it"


@pytest.mark.parametrize("usage", [False, True])
def test_a_plain_answer_is_a_hit_for_a_streamed_request(ask: Asker, usage: bool) -> None:
    plain = ask.filled().json()
    streamed = ask.stream(1, usage=usage)
    streamed.assert_whole()
    assert streamed.response.headers["x-peerway-cache"] == "hit-direct"
    assert streamed.content == plain["choices"][0]["message"]["content"]
    assert all(c["object"] == "chat.completion.chunk" for c in streamed.chunks)
    usages = [c["usage"] for c in streamed.chunks if c.get("usage")]
    assert usages == ([plain["usage"]] if usage else [])
    assert ask.upstream() == 1


def test_a_stream_replays_as_the_same_stream(ask: Asker) -> None:
    before = ask.held()
    first = ask.stream(0)
    ask.wait_held(before + 2)
    again = ask.stream(2)
    again.assert_whole()
    assert again.response.headers["x-peerway-cache"] == "hit-direct"
    assert again.content == first.content
    assert [e.data for e in again.events] == [e.data for e in first.events]


def test_another_virtual_key_never_hits(ask: Asker) -> None:
    ask.filled()
    assert [ask.kind(n) for n in (0, 1, 2)] == ["hit-direct"] * 3
    before = ask.held()
    assert ask.kind(0, OTHER_KEY) == "miss"
    ask.wait_held(before + 2)
    assert ask.kind(1, OTHER_KEY) == "hit-direct"
    assert ask.upstream() == 2


def test_without_a_cache_key_a_request_takes_no_part(ask: Asker) -> None:
    ask.filled()
    for _ in range(2):
        answer = ask.http.post(
            f"{ask.cluster.nodes[0].http}/v1/chat/completions", json=ask.body, headers={"Authorization": f"Bearer {KEY}"}
        )
        assert answer.headers["x-peerway-cache"] == "bypass"
    assert ask.upstream() == 3


def test_the_names_of_bifrost_work_too(ask: Asker) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "x-bf-cache-key": ask.unique}
    before = ask.held()
    answer = ask.http.post(f"{ask.cluster.nodes[0].http}/v1/chat/completions", json=ask.body, headers=headers)
    assert answer.headers["x-peerway-cache"] == "miss"
    ask.wait_held(before + 2)
    assert ask.kind(1) == "hit-direct"


def test_no_store_reads_but_does_not_keep(ask: Asker) -> None:
    assert ask.kind(0, cache_no_store="true") == "miss"
    ask.filled(1)
    assert ask.kind(2, cache_no_store="true") == "hit-direct"


def test_no_read_asks_anew(ask: Asker) -> None:
    ask.filled()
    ask.plain(1, cache_no_read="true")
    assert ask.upstream() == 2
    assert ask.kind(1) == "hit-direct"


def test_a_client_may_shorten_the_ttl(ask: Asker) -> None:
    before = ask.held()
    assert ask.kind(0, cache_ttl="2s") == "miss"
    ask.wait_held(before + 2)
    assert ask.kind(1) == "hit-direct"
    started = time.monotonic()
    for node in (1, 2, 0):
        ask.soon(node, "miss", cache_no_store="true")
    assert time.monotonic() - started < 4, "the default of five minutes would have kept it"
    waiting.until("both copies gone", lambda: ask.held() <= before, 10)


def test_the_answer_names_its_entry(ask: Asker) -> None:
    first, second = ask.filled(0), ask.plain(1)
    assert first.headers["x-peerway-cache-id"] == second.headers["x-peerway-cache-id"]


@pytest.mark.parametrize("what", ["all", "namespace", "id", "key"])
def test_a_purge_at_one_node_holds_at_all(ask: Asker, what: str) -> None:
    entry = ask.filled().headers["x-peerway-cache-id"]
    assert [ask.kind(n) for n in (0, 1, 2)] == ["hit-direct"] * 3
    query = {"all": {"all": "true"}, "namespace": {"namespace": ask.unique}, "id": {"id": entry}, "key": {"key": "one"}}[what]
    purged = ask.http.delete(f"{ask.cluster.nodes[1].admin}/api/cache", params=query)
    assert purged.is_success, purged.text

    # `no-store`, so that the looks themselves do not fill it again.
    for node in (1, 0, 2):
        ask.soon(node, "miss", cache_no_store="true")
    assert [ask.kind(n, cache_no_store="true") for n in (0, 1, 2)] == ["miss"] * 3


def test_a_purge_of_one_namespace_leaves_the_others(http: httpx.Client, cluster: Cluster, unique: str) -> None:
    kept, purged = Asker(http, cluster, f"{unique}-kept"), Asker(http, cluster, f"{unique}-purged")
    kept.filled()
    purged.filled()
    http.delete(f"{cluster.nodes[0].admin}/api/cache", params={"namespace": purged.unique}).raise_for_status()
    for node in (0, 1, 2):
        purged.soon(node, "miss", cache_no_store="true")
    assert [kept.kind(n, cache_no_store="true") for n in (0, 1, 2)] == ["hit-direct"] * 3


def test_a_purge_must_say_of_what(http: httpx.Client, cluster: Cluster) -> None:
    answer = http.delete(f"{cluster.nodes[0].admin}/api/cache")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("fault", [{"cut_after_events": 3}, {"error_event_after": 3}])
def test_a_broken_stream_is_never_kept(ask: Asker, fault: dict) -> None:
    ask.cluster.provider.faults({"match": {}, "do": fault})
    assert ask.stream(0).errors
    ask.cluster.provider.faults()
    assert ask.kind(1) == "miss"


def test_an_error_is_never_kept(ask: Asker) -> None:
    ask.cluster.provider.faults({"match": {}, "do": {"status": 400}})
    answer = ask.http.post(f"{ask.cluster.nodes[0].http}/v1/chat/completions", json=ask.body, headers=ask.headers())
    assert answer.status_code == 400
    ask.cluster.provider.faults()
    assert ask.kind(0) == "miss"
