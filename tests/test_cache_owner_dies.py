"""Whichever node dies, entries fetched before are still hits: each has an owner and a replica."""

from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.cluster import KEY, Cluster

ENTRIES = 30


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_after_kill_9_every_entry_is_still_a_hit(tmp_path: Path, http: httpx.Client, victim: int) -> None:
    cluster = Cluster(tmp_path).start()
    try:

        def ask(node: int, number: int) -> str:
            answer = http.post(
                f"{cluster.nodes[node].http}/v1/chat/completions",
                json={"model": "demo/echo", "messages": [{"role": "user", "content": f"number {number}"}]},
                headers={"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": "owner-dies", **looking},
            )
            assert answer.status_code == 200, answer.text
            return answer.headers["x-peerway-cache"]

        # Filled at one node and read at no other, so a hit elsewhere comes from the owner or the replica.
        # With this many entries each of the three nodes is owner of some (none of 30 in a third: 5 in a million).
        looking: dict[str, str] = {}
        for number in range(ENTRIES):
            assert ask(victim, number) == "miss"
        waiting.until("owner and replica of every entry", lambda: sum(n.cache_entries() for n in cluster.nodes) >= 2 * ENTRIES, 10)

        dead = cluster.nodes[victim]
        others = [n for n in range(3) if n != victim]
        assert dead.process
        dead.process.kill()
        # From here on a miss is not kept, so that a later hit cannot come from a second fill.
        looking = {"x-peerway-cache-no-store": "true"}
        at_once = [ask(others[number % 2], number) for number in range(ENTRIES)]
        # The look-up has a deadline of milliseconds, by design: a machine that stalls for that long sees a miss.
        assert at_once.count("hit-direct") >= ENTRIES - 3, at_once

        waiting.until("the dead node out of the status", lambda: all(dead.id not in cluster.nodes[n].states() for n in others), 10)
        for number in range(ENTRIES):
            for node in others:
                waiting.until(f"a hit for {number} at {node + 1}", lambda: ask(node, number) == "hit-direct", 5)
    finally:
        cluster.stop()
