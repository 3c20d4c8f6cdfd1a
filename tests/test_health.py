"""What an outage costs three nodes under load: how many calls fail, how soon no node asks any more, how often it is tried.

The provider that fails and the one that stands in are one process under two names; `x-peerway-attempts` of an answer
says whether the failing one was asked for it.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import ports, waiting
from harness.cluster import KEY, Cluster, Node
from harness.load import Fate, Load
from harness.process import Process, binary
from harness.provider import Provider

RATE = 15  # a node's
INTERVAL = 4.0
THRESHOLD = 5
BODY = {"model": "smart", "messages": [{"role": "user", "content": "Hello"}]}


def provider(name: str, url: str, model: str) -> dict:
    return {
        "name": name,
        "type": "simulated",
        "base_url": f"{url}/v1",
        "keys": [{"id": "main", "value": "sk-simulated"}],
        "models": [model],
        "allow_private": True,
        "retries": 0,
        "timeouts": {"first_byte": "3s"},
    }


class Rig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = ports.one()
        self.start_shaky()
        self.cluster = Cluster(folder, overrides={"observability": {"access_log": False}})
        steady = provider("steady", self.cluster.provider.url, "echo")
        shaky = provider("shaky", f"http://127.0.0.1:{self.port}", "flaky")
        demo = provider("demo", self.cluster.provider.url, "*")
        for node in self.cluster.nodes:
            self.cluster.write_config(
                node,
                {
                    "providers": [demo, shaky, steady],
                    "routes": [
                        {
                            "model": "smart",
                            "targets": [{"provider": "shaky", "model": "flaky"}],
                            "fallbacks": [{"provider": "steady", "model": "echo"}],
                        }
                    ],
                    "health": {"probe_interval": f"{INTERVAL:.0f}s", "failures": THRESHOLD},
                    "governance": {"keys": [{"id": "one", "value": KEY, "models": ["*"]}]},
                },
            )
        self.cluster.start()

    def start_shaky(self) -> None:
        self.shaky = Process([binary(), "simulate-provider", "--listen", f"127.0.0.1:{self.port}"], self.folder, "shaky")

    def faults(self, *rules: dict) -> None:
        control = Provider(f"http://127.0.0.1:{self.port}")
        waiting.until("the provider listens", lambda: control.faults(*rules) is None, 10)
        control.close()

    def loads(self) -> list[Load]:
        headers = {"Authorization": f"Bearer {KEY}"}
        return [Load(node.http, "/v1/chat/completions", BODY, headers, RATE).start() for node in self.cluster.nodes]

    def breakers(self) -> list[str]:
        return [found["breaker"] for node in self.cluster.nodes for found in shaky(node)]

    def stop(self) -> None:
        self.cluster.stop()
        self.shaky.kill()


def shaky(node: Node) -> list[dict]:
    return [p for p in node.status()["providers"] if p["name"] == "shaky" and p["model"]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    running = Rig(tmp_path)
    yield running
    running.stop()


def asked(fate: Fate) -> bool:
    """The failing provider was asked before the other one."""
    return int(fate.headers.get("x-peerway-attempts", "0")) > 1 or fate.headers.get("x-peerway-provider") == "shaky" and fate.status != 200


def skipped(fate: Fate) -> bool:
    return fate.headers.get("x-peerway-provider") == "steady" and not asked(fate)


def outage(rig: Rig, what: str, fail, seconds: float = 3 * INTERVAL + 1) -> list[list[Fate]]:
    """Lets the provider fail under load; what each node's requests came to."""
    loads = rig.loads()
    try:
        waiting.until("all nodes are at work", lambda: all(len(load.fates) > RATE * 2 for load in loads), 15)
        begun = time.monotonic()
        fail()
        time.sleep(seconds)
    finally:
        fates = [[f for f in load.stop() if f.sent >= begun - 2] for load in loads]
    everything = [f for each in fates for f in each]
    # When all that is under way fails in one moment, the retry budget may withhold the second provider from some of it.
    bad = [f for f in everything if f.status != 200]
    begun_later = [f for f in bad if f.sent > min(f.sent for f in everything if skipped(f))]
    assert not begun_later, f"{len(begun_later)} clients saw a failure, e.g. {begun_later[0]}"

    opened = min(f.sent for f in everything if skipped(f))
    under_way = [f for f in everything if asked(f) and f.sent <= opened < f.ended]
    # Probes are what is asked once an interval later on.
    probes = sorted((f for f in everything if asked(f) and f.sent > opened + INTERVAL / 2), key=lambda f: f.sent)
    late = [f.sent for f in probes]
    first = [f for f in everything if asked(f) and f.sent <= opened + INTERVAL / 2]
    stopped = [max((f.sent for f in each if asked(f) and f.sent <= opened + INTERVAL / 2), default=opened) - opened for each in fates]
    beyond = len(first) - THRESHOLD - len(under_way)
    gaps = [b - a for a, b in zip(late, late[1:])]
    print(
        f"\n{what}: {len(bad)} clients saw it; {len(first)} calls failed ({THRESHOLD} are the threshold, {len(under_way)} were under way, {max(beyond, 0)} beyond); "
        f"the nodes stopped {', '.join(f'{max(s, 0) * 1000:.0f} ms' for s in stopped)} after the first one skipped it; "
        f"{len(late)} probes in {seconds - INTERVAL / 2:.0f} s, at least {min(gaps, default=0):.2f} s apart"
    )
    assert max(stopped) <= 0.3, stopped
    # What begins while the news is on its way is in flight, too.
    assert beyond <= RATE * 3 * 0.3, f"{beyond} calls more than the threshold and what was under way"
    # What hangs is noticed when its time is up, which leaves less of it.
    assert 1 <= len(late) <= seconds / INTERVAL + 1, late
    assert min(gaps, default=INTERVAL) > INTERVAL * 0.8, [(f"{f.sent - opened:.3f}", f.headers.get("x-peerway-node")) for f in probes]
    return fates


def test_a_provider_that_is_killed(rig: Rig) -> None:
    outage(rig, "killed", rig.shaky.kill)
    assert all(breaker != "closed" for breaker in rig.breakers()), rig.breakers()
    node = rig.cluster.nodes[0]
    assert node.metric("peerway_provider_breaker_state") >= 1
    assert any("a breaker opened" in node.log() and "shaky/flaky (key main)" in node.log() for node in rig.cluster.nodes)
    for found in shaky(node):
        assert found["weight"] == 0 and "failures" in found["reason"], found
        assert set(found) >= {"name", "key", "model", "breaker", "success", "latency_ms", "weight", "reason"}

    rig.start_shaky()
    loads = rig.loads()
    try:
        waiting.until("all breakers close", lambda: set(rig.breakers()) == {"closed"}, 4 * INTERVAL)
    finally:
        for load in loads:
            load.stop()


def test_a_provider_that_fails(rig: Rig) -> None:
    outage(rig, "500", lambda: rig.faults({"match": {}, "do": {"status": 500}}))


def test_a_provider_that_hangs(rig: Rig) -> None:
    outage(rig, "hung", lambda: rig.faults({"match": {}, "do": {"hang": True}}))


def test_a_provider_that_is_full_is_left_alone_by_all_nodes(rig: Rig) -> None:
    loads = rig.loads()
    try:
        waiting.until("all nodes are at work", lambda: all(len(load.fates) > RATE * 2 for load in loads), 15)
        begun = time.monotonic()
        rig.faults({"match": {}, "do": {"status": 429, "retry_after_ms": 20000}})
        time.sleep(2.5)
    finally:
        fates = [f for load in loads for f in load.stop() if f.sent >= begun]
    assert not [f for f in fates if f.status != 200]
    knocked = [f for f in fates if asked(f)]
    first = min(f.sent for f in knocked)
    print(f"\n429: {len(knocked)} calls were turned away, the last one sent {(max(f.sent for f in knocked) - first) * 1000:.0f} ms after the first")
    assert len(knocked) <= RATE * 3 * 0.3 + 3 and max(f.sent for f in knocked) - first <= 0.3
    assert set(rig.breakers()) == {"closed"}, "full is not broken"
    for node in rig.cluster.nodes:
        (found,) = shaky(node)
        assert found["cooldown_reason"] == "capacity" and found["believed_rate"] > 0, found


def test_what_clients_do_wrong_moves_nothing(rig: Rig) -> None:
    node = rig.cluster.nodes[0]
    ok = {"model": "shaky/flaky", "messages": [{"role": "user", "content": "Hello"}]}
    load = Load(node.http, "/v1/chat/completions", ok, {"Authorization": f"Bearer {KEY}"}, RATE).start()
    waiting.until("it is known", lambda: len(load.fates) > 20, 10)
    load.stop()
    time.sleep(1.5)  # averages are kept once a second
    before = shaky(node)[0]
    count = 0
    for status in (400, 404, 422):
        rig.faults({"match": {}, "do": {"status": status}})
        load = Load(node.http, "/v1/chat/completions", ok, {"Authorization": f"Bearer {KEY}"}, 30).start()
        waiting.until("it goes on", lambda load=load: len(load.fates) > 100, 20)
        fates = load.stop()
        assert {f.status for f in fates} == {status}
        count += len(fates)
    after = shaky(node)[0]
    print(f"\n{count} faults of clients: success {after['success']}, breaker {after['breaker']}, weight {before['weight']} -> {after['weight']}")
    assert (after["breaker"], after["success"], after["latency_ms"]) == ("closed", before["success"], before["latency_ms"])
    assert after["weight"] >= before["weight"] * 0.99
