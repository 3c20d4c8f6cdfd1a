"""One call to the provider for all requests that are the same and under way, whichever nodes they come to."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from harness import sse
from harness.cluster import KEY, Cluster

ASKERS = 100


def request(unique: str, **more: object) -> tuple[dict, dict]:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": f"Tell me about {unique}, please."}], **more}
    return body, {"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": unique}


def test_a_hundred_plain_requests_on_three_nodes_make_one_call(http: httpx.Client, cluster: Cluster, unique: str) -> None:
    cluster.provider.faults({"match": {}, "do": {"latency_ms": 2000}})
    before = cluster.provider.bill()["requests"]
    body, headers = request(unique)
    ready = threading.Barrier(ASKERS)

    def ask(number: int) -> httpx.Response:
        ready.wait()
        return http.post(f"{cluster.nodes[number % 3].http}/v1/chat/completions", json=body, headers=headers)

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(ask, range(ASKERS)))
    assert {answer.status_code for answer in answers} == {200}
    kinds = [answer.headers["x-peerway-cache"] for answer in answers]
    print({kind: kinds.count(kind) for kind in set(kinds)})
    assert kinds.count("hit-coalesced") > 0
    # One, on a machine that lets the owner speak within 100 ms; who does not hear it by then asks for itself.
    assert kinds.count("miss") == cluster.provider.bill()["requests"] - before <= 3


def test_a_hundred_streams_on_three_nodes_make_one_call_and_begin_together(http: httpx.Client, cluster: Cluster, unique: str) -> None:
    cluster.provider.faults({"match": {}, "do": {"latency_ms": 2000, "token_ms": 100}})
    before = cluster.provider.bill()["requests"]
    body, headers = request(unique, stream=True)
    ready = threading.Barrier(ASKERS)

    def ask(number: int) -> tuple[float, str, str]:
        ready.wait()
        first, text = 0.0, ""
        with http.stream("POST", f"{cluster.nodes[number % 3].http}/v1/chat/completions", json=body, headers=headers) as answer:
            for line in answer.iter_lines():
                first = first or time.monotonic()
                text += line + "\n"
        return first, answer.headers["x-peerway-cache"], text

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(ask, range(ASKERS)))
    calls = cluster.provider.bill()["requests"] - before
    assert [kind for _, kind, _ in answers].count("miss") == calls <= 3
    # Each is one answer from its begin to its end.
    assert len({text for _, _, text in answers}) == calls
    for _, _, text in answers:
        assert text.rstrip().endswith("[DONE]")
        assert len({line.split('"id":"')[1].split('"')[0] for line in text.splitlines() if '"id":"' in line}) == 1
    leader = min(first for first, kind, _ in answers if kind == "miss")
    late = sorted((first - leader) * 1000 for first, kind, _ in answers if kind == "hit-coalesced")
    print(f"{len(late)} followers; first event after the leader's: p50 {late[len(late) // 2]:.1f} ms, max {late[-1]:.1f} ms")
    # A hundred Python threads take turns at reading: the figure is theirs. That they follow the running stream is ours.
    assert late[len(late) // 2] < 1000


def test_when_the_node_that_asks_is_killed_another_one_asks(tmp_path: Path, http: httpx.Client, unique: str) -> None:
    cluster = Cluster(tmp_path).start()
    try:
        cluster.provider.faults({"match": {}, "do": {"latency_ms": 3000}})
        body, headers = request(unique)
        asked = threading.Event()

        def ask(node: int) -> httpx.Response | None:
            try:
                return http.post(f"{cluster.nodes[node].http}/v1/chat/completions", json=body, headers=headers)
            except httpx.HTTPError:
                return None

        def lead() -> None:
            ask(0)
            asked.set()

        leader = threading.Thread(target=lead)
        leader.start()
        deadline = time.monotonic() + 10
        while not cluster.provider.requests(1) and time.monotonic() < deadline:
            time.sleep(0.01)
        with ThreadPoolExecutor(20) as pool:
            answers = [pool.submit(ask, 1 + number % 2) for number in range(20)]
            # All have come to their nodes, and wait there, long before the provider answers.
            time.sleep(0.5)
            cluster.nodes[0].process.kill()
            answers = [answer.result() for answer in answers]
        leader.join()
        assert all(answer is not None and answer.status_code == 200 for answer in answers)
        assert cluster.provider.bill()["requests"] <= 2
    finally:
        cluster.stop()
