"""A real Redis behind the nodes' cache: it outlives them, is never waited for, and brings nothing back that was purged."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import ports, waiting
from harness.cluster import KEY, Cluster
from harness.load import Fate, Load
from harness.redis import RedisServer


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    assert shutil.which("redis-server"), "the Debian package redis-server is missing"
    server = RedisServer(tmp_path).start()
    yield server
    server.kill()


def started(tmp_path: Path, redis: RedisServer) -> Cluster:
    overrides = {"cache": {"backend": {"type": "redis", "url": f"redis+unix://{redis.socket}"}, "ttl": "5m"}}
    return Cluster(tmp_path, overrides=overrides).start()


def ask(http: httpx.Client, cluster: Cluster, node: int, text: str) -> httpx.Response:
    answer = http.post(
        f"{cluster.nodes[node].http}/v1/chat/completions",
        json={"model": "demo/echo", "messages": [{"role": "user", "content": text}]},
        headers={"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": "redis"},
    )
    assert answer.status_code == 200, answer.text
    return answer


def kind(http: httpx.Client, cluster: Cluster, node: int, text: str) -> str:
    return ask(http, cluster, node, text).headers["x-peerway-cache"]


def entries(redis: RedisServer) -> int:
    return len([key for key in redis.cli("keys", "peerway:1:*").splitlines() if key != "peerway:1:purges"])


def in_use(redis: RedisServer, cluster: Cluster, http: httpx.Client) -> None:
    """Until a node has read what Redis knows of purges it does not ask there."""

    def written() -> bool:
        for node in range(3):
            ask(http, cluster, node, f"warm {time.monotonic()}")
        return entries(redis) >= 3

    waiting.until("the nodes use Redis", written, 15)


def restart(cluster: Cluster) -> None:
    for node in cluster.nodes:
        assert node.process
        node.process.kill()
    for node in cluster.nodes:
        node.start()
    cluster.wait_ready()


def test_entries_outlive_the_whole_cluster_and_purged_ones_stay_away(tmp_path: Path, http: httpx.Client, redis: RedisServer) -> None:
    cluster = started(tmp_path, redis)
    try:
        in_use(redis, cluster, http)
        before = entries(redis)
        first = ask(http, cluster, 0, "kept")
        assert first.headers["x-peerway-cache"] == "miss"
        waiting.until("Redis has it", lambda: entries(redis) == before + 1, 10)
        restart(cluster)
        waiting.until("a hit at each node", lambda: all(kind(http, cluster, n, "kept") == "hit-direct" for n in range(3)), 20)
        assert ask(http, cluster, 1, "kept").text == first.text

        purged = httpx.delete(f"{cluster.nodes[1].admin}/api/cache", params={"namespace": "redis"}, trust_env=False)
        assert purged.status_code in (200, 204), purged.text
        assert kind(http, cluster, 2, "kept") == "miss"
        ask(http, cluster, 0, "old")
        purged = httpx.delete(f"{cluster.nodes[1].admin}/api/cache", params={"namespace": "redis"}, trust_env=False)
        waiting.until("Redis knows of the purge", lambda: redis.cli("hlen", "peerway:1:purges") not in ("", "0"), 10)
        time.sleep(2.5)  # every node tells what it knows once a second
        restart(cluster)
        waiting.until("the cluster is there", lambda: kind(http, cluster, 0, "probe") == "hit-direct", 20)
        assert kind(http, cluster, 0, "old") == "miss"
    finally:
        cluster.stop()


def test_without_redis_requests_go_on_and_it_comes_back_by_itself(tmp_path: Path, http: httpx.Client, redis: RedisServer) -> None:
    cluster = started(tmp_path, redis)
    try:
        in_use(redis, cluster, http)
        redis.kill()
        took = []
        for number in range(60):
            began = time.monotonic()
            assert kind(http, cluster, number % 3, f"down {number}") == "miss"
            took.append(time.monotonic() - began)
        print(f"without Redis: p50 {sorted(took)[30] * 1000:.1f} ms, max {max(took) * 1000:.1f} ms")
        assert kind(http, cluster, 0, "down 0") == "hit-direct"
        redis.start()
        in_use(redis, cluster, http)
    finally:
        cluster.stop()


RATE = 40
"""Requests a second at each of three nodes, no two of them the same: each asks Redis, and is given to it."""
PHASE = 5


def question(phase: str, node: int, number: int) -> dict:
    return {"model": "demo/echo", "messages": [{"role": "user", "content": f"{phase} {node} {number}"}]}


def under_load(cluster: Cluster, phase: str, then) -> list[Fate]:
    headers = {"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": "load", "x-peerway-cache-type": "direct"}
    loads = [
        Load(node.http, "/v1/chat/completions", lambda number, at=at: question(phase, at, number), headers, RATE).start()
        for at, node in enumerate(cluster.nodes)
    ]
    time.sleep(PHASE / 2)
    then()
    time.sleep(PHASE)
    fates = [fate for load in loads for fate in load.stop()]
    failed = [fate for fate in fates if fate.failed]
    assert not failed, f"{phase}: {failed[0]}"
    return fates


def p99_ms(fates: list[Fate], header: str | None = None) -> float:
    """Of the whole request, or of what the node says it added to it."""
    took = sorted(float(fate.headers[header]) / 1000 if header else (fate.ended - fate.sent) * 1000 for fate in fates)
    return took[int(len(took) * 0.99)]


@pytest.mark.parametrize("way", ["killed", "silent"])
def test_redis_lost_during_load_fails_no_request_and_is_hardly_asked(tmp_path: Path, http: httpx.Client, redis: RedisServer, way: str) -> None:
    cluster = started(tmp_path, redis)
    added = "x-peerway-overhead-us"
    try:
        in_use(redis, cluster, http)
        before = under_load(cluster, "with", lambda: None)
        in_vain = sum(node.metric("peerway_cache_backend_failures_total") for node in cluster.nodes)
        during = under_load(cluster, "without", redis.kill if way == "killed" else redis.stop)
        in_vain = sum(node.metric("peerway_cache_backend_failures_total") for node in cluster.nodes) - in_vain
        print(
            f"Redis {way} under {3 * RATE} requests a second: 0 of {len(during)} failed, {in_vain:.0f} calls to it in vain; "
            f"p99 {p99_ms(before):.1f} -> {p99_ms(during):.1f} ms, of that the nodes' own {p99_ms(before, added):.1f} -> {p99_ms(during, added):.1f} ms"
        )
        # Each node asks at most once a deadline while it looks, and then not for a second.
        assert 0 < in_vain <= len(during) / 2, (in_vain, len(during))
        began = time.monotonic()
        if way == "killed":
            redis.start()
        else:
            redis.go_on()
        held = entries(redis)

        def used() -> bool:
            ask(http, cluster, 0, f"again {time.monotonic()}")
            return entries(redis) > held

        waiting.until("Redis is used again", used, 30)
        print(f"used again after {time.monotonic() - began:.1f} s")
        in_use(redis, cluster, http)
    finally:
        if redis.process:
            redis.go_on()
        cluster.stop()


class Master:
    """One of three masters of a Redis Cluster, on ports of its own, with its share of the slots."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.port, self.bus = ports.one(), ports.one()
        self.process: subprocess.Popen | None = None

    def start(self) -> "Master":
        words = ["--port", str(self.port), "--cluster-enabled", "yes", "--cluster-port", str(self.bus), "--cluster-announce-ip", "127.0.0.1"]
        words += ["--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no", "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self.process = subprocess.Popen(["redis-server", *words, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
        waiting.until("the master answers", lambda: self.cli("ping") == "PONG", 10)
        return self

    def cli(self, *words: str) -> str:
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def whole(masters: list[Master]) -> bool:
    wanted = ("cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3")
    return all(line in master.cli("cluster", "info") for master in masters for line in wanted)


@pytest.fixture
def masters(tmp_path: Path) -> Iterator[list[Master]]:
    assert shutil.which("redis-server"), "the Debian package redis-server is missing"
    started = [Master(tmp_path / f"redis-{at}").start() for at in range(3)]
    for at, (master, (first, last)) in enumerate(zip(started, [(0, 5460), (5461, 10922), (10923, 16383)], strict=True)):
        assert master.cli("cluster", "addslotsrange", str(first), str(last)) == "OK"
        assert master.cli("cluster", "set-config-epoch", str(at + 1)) == "OK"
        assert master.cli("cluster", "meet", "127.0.0.1", str(started[0].port), str(started[0].bus)) == "OK"
    waiting.until("the masters know one another", lambda: whole(started), 30)
    yield started
    for master in started:
        master.kill()


def test_a_redis_cluster_that_loses_a_master_fails_no_request_and_is_used_again(tmp_path: Path, http: httpx.Client, masters: list[Master]) -> None:
    urls = [f"redis://127.0.0.1:{master.port}" for master in masters]
    cluster = Cluster(tmp_path, overrides={"cache": {"backend": {"type": "redis", "urls": urls}, "ttl": "5m"}}).start()

    def held(master: Master) -> int:
        return int(master.cli("dbsize") or 0)

    def filled(wanted: list[Master]) -> bool:
        before = [held(master) for master in wanted]
        for number in range(30):
            ask(http, cluster, number % 3, f"fill {time.monotonic()}")
        return all(held(master) > was for master, was in zip(wanted, before, strict=True))

    try:
        waiting.until("each master is given entries", lambda: filled(masters), 30)
        lost, *left = masters
        lost.kill()
        kinds = [kind(http, cluster, number % 3, f"down {number}") for number in range(60)]
        assert set(kinds) == {"miss"}, kinds
        assert kind(http, cluster, 0, "down 0") == "hit-direct"
        waiting.until("the others are given entries", lambda: filled(left), 30)
        failures = sum(node.metric("peerway_cache_backend_failures_total") for node in cluster.nodes)
        assert failures > 0, "nobody asked the lost one"
        lost.start()
        waiting.until("it is given entries again", lambda: filled(masters), 60)
    finally:
        cluster.stop()
