"""A real Redis behind the nodes' cache: it outlives them, is never waited for, and brings nothing back that was purged."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, Cluster


class RedisServer:
    def __init__(self, folder: Path):
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen | None = None

    def start(self) -> "RedisServer":
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        waiting.until("Redis answers", lambda: self.cli("ping") == "PONG", 10)
        return self

    def cli(self, *words: str) -> str:
        done = subprocess.run(["redis-cli", "-s", str(self.socket), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


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
