"""A budget of 1.00 USD under 60 clients on three nodes, while the network is cut, nodes are killed, and disks are lost."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import money, namespaces, waiting
from harness.clients import Clients, chat, wait_for
from harness.cluster import Cluster, Node
from harness.money import USD
from harness.namespaces import Network

VALUE = "sk-test-budget-1-usd"
FOUNDERS = {"cluster": {"founders": ["node-1", "node-2", "node-3"]}}
# About 0.0002 USD a request.
BODY = chat(words=60, max_tokens=64)


def overrides(budget: str = "1.00", value: str = VALUE, **more) -> dict:
    return {
        **FOUNDERS,
        "governance": {"keys": [money.key("payer", value, budget)]},
        "observability": {"access_log": False},
        **more,
    }


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    running = Cluster(tmp_path, overrides=overrides()).start()
    try:
        money.active(running.nodes)
        yield running
    finally:
        running.stop()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[tuple[Cluster, Network]]:
    if not namespaces.allowed():
        pytest.skip("network namespaces need root")
    network = Network(3)
    try:
        running = Cluster(tmp_path, overrides=overrides(), network=network).start()
        try:
            money.active(running.nodes)
            yield running, network
        finally:
            running.stop()
    finally:
        network.remove()


def test_a_cut_network(apart: tuple[Cluster, Network]) -> None:
    cluster, network = apart
    clients = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60).start()
    wait_for("the first tenth", clients, lambda: money.billed(cluster) > USD // 10, 30)
    network.cut([0], [1, 2])
    for node in cluster.nodes:
        waiting.until(f"{node.id} sees the cut", lambda node=node: "ready" not in [s for i, s in node.states().items() if (i == "node-1") != (node.id == "node-1")], 15)
    # Both sides spend what they hold, to the end: nobody may take from the other side what it cannot see.
    clients.join(120)
    while_cut = money.billed(cluster)
    assert while_cut <= USD
    network.heal()
    for node in cluster.nodes:
        waiting.until(f"{node.id} sees all", lambda node=node: set(node.states().values()) == {"ready"} and len(node.states()) == 3, 20)
    healed = time.monotonic()
    outcomes = use_up(cluster)
    bill = money.billed(cluster)
    books = money.quiet(cluster.nodes, "payer", seconds=max(1.0, healed + 10 + 60 - time.monotonic()))
    print(f"billed {while_cut / USD:.6f} USD while cut, {bill / USD:.6f} in the end, recorded {books['spent'] / USD:.6f}; after the cut: {dict(outcomes)}")
    assert 0.99 * USD <= bill <= USD
    assert books["spent"] == bill


def use_up(cluster: Cluster) -> dict:
    """Spends the rest, from all nodes. After a cut a connection may take some seconds to be given up and made anew; until
    then a node is refused what its peers hold."""
    clients = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60, patience=None).start()
    wait_for("the rest to be spent", clients, lambda: money.billed(cluster) >= 0.99 * USD, 30)
    clients.stop()
    # To the end, and one step further.
    return dict(Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60).start().join(60))


def test_a_cut_in_one_direction(apart: tuple[Cluster, Network]) -> None:
    cluster, network = apart
    network.cut([0], [1, 2], both_ways=False)
    clients = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60).start()
    clients.join(120)
    assert money.billed(cluster) <= USD
    network.heal()
    for node in cluster.nodes:
        waiting.until(f"{node.id} sees all", lambda node=node: set(node.states().values()) == {"ready"} and len(node.states()) == 3, 30)
    use_up(cluster)
    books = money.quiet(cluster.nodes, "payer", seconds=15)
    bill = money.billed(cluster)
    print(f"billed {bill / USD:.6f} USD, recorded {books['spent'] / USD:.6f}")
    assert 0.99 * USD <= bill <= USD
    assert books["spent"] == bill


@pytest.mark.timeout(300)
def test_kill_9_every_5_seconds(cluster: Cluster) -> None:
    """For two minutes. What a kill costs is an open slice; it is never less than the truth that is recorded."""
    # Slow enough that the budget lasts for all of it.
    clients = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60, patience=None, pause=0.2)
    cluster.provider.faults({"match": {}, "do": {"latency_ms": 800}})
    clients.start()
    opened = 0
    kills = 0
    end = time.monotonic() + 120
    while time.monotonic() < end:
        time.sleep(5)
        victim = cluster.nodes[kills % 3]
        opened += victim.status()["ledger"]["open"].get("nano_usd", 0)
        kill(victim)
        kills += 1
        victim.start()
        waiting.until(f"{victim.id} is back", victim.ready, 20)
    outcomes = clients.stop()
    cluster.provider.faults()
    more = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60).start().join(120)
    bill = money.billed(cluster)
    books = money.quiet(cluster.nodes, "payer", seconds=10)
    print(
        f"{kills} kills, {outcomes[200, '']} + {more[200, '']} answered; billed {bill / USD:.6f} USD, recorded {books['spent'] / USD:.6f}, "
        f"open slices at the kills {opened / USD:.6f}; {dict(outcomes)}"
    )
    assert bill <= USD
    assert books["spent"] >= bill
    # What was open was asked for some milliseconds before each kill, in which a slice may have been opened anew.
    assert books["spent"] - bill <= 2 * opened


def kill(node: Node) -> None:
    assert node.process
    node.process.signal(signal.SIGKILL)
    node.process.exited_with(10)


def test_three_nodes_that_start_together_and_hardly_any_money(tmp_path: Path) -> None:
    """Where the others overspend: replicas that start at the same moment, each with the whole limit in its head."""
    value = "sk-test-budget-tiny"
    cluster = Cluster(tmp_path, overrides=overrides("0.002", value))
    try:
        for node in cluster.nodes:
            node.start()
        # From the very first moment, when nobody has met anybody.
        body = chat(words=10, max_tokens=32)
        clients = Clients([n.http for n in cluster.nodes], value, body, count=30, patience=None, pause=0.02).start()
        cluster.wait_ready()
        money.active(cluster.nodes)
        wait_for("the budget to be used up", clients, lambda: clients.outcomes[429, "budget_exceeded"] > 300, 60)
        clients.stop()
        bill = money.billed(cluster)
        print(f"billed {bill / USD:.6f} of 0.002 USD; {dict(clients.outcomes)}")
        assert 0.0018 * USD <= bill <= 0.002 * USD
        books = money.quiet(cluster.nodes, "payer")
        assert books["spent"] == bill
    finally:
        cluster.stop()


@pytest.mark.timeout(300)
def test_a_node_that_loses_its_disk_ten_times(cluster: Cluster) -> None:
    """Each time another actor comes in the place of a dead one: nothing is spent twice, and what is locked is said."""
    clients = Clients([n.http for n in cluster.nodes[:2]], VALUE, BODY, count=20, patience=None, pause=0.2).start()
    cluster.provider.faults({"match": {}, "do": {"latency_ms": 400}})
    victim = cluster.nodes[2]
    for turn in range(10):
        before = clients.answered
        kill(victim)
        shutil.rmtree(victim.folder / "data")
        victim.start()
        waiting.until(f"{victim.id} is back, {turn}", victim.ready, 20)
        wait_for("service goes on", clients, lambda before=before: clients.answered > before + 5, 20)
        # The new one has no share in this day, and serves all the same: it lives on transfers.
        wait_for_one(victim)
    status = waiting.until("what is locked is known", lambda: cluster.nodes[0].status()["ledger"]["locked"] and cluster.nodes[0].status(), 10)
    locked = status["ledger"]["locked"]
    assert all(entry["node"] == victim.id for entry in locked), locked
    assert f"peerway cluster forget {victim.id}" in str(status["ledger"]), "status says how to free it"
    clients.stop()
    cluster.provider.faults()
    outcomes = Clients([n.http for n in cluster.nodes], VALUE, BODY, count=60).start().join(120)
    bill = money.billed(cluster)
    print(f"billed {bill / USD:.6f} USD; locked: {locked}; {dict(outcomes)}")
    assert bill <= USD
    assert outcomes[429, "budget_exceeded"] > 0


def wait_for_one(node: Node) -> None:
    def answered() -> bool:
        one = Clients([node.http], VALUE, BODY, count=1, most=1).start()
        return one.join(20)[200, ""] == 1

    waiting.until(f"{node.id} serves a budgeted request", answered, 15, every=0.2)


def test_an_old_copy_of_the_data_directory_is_noticed(cluster: Cluster) -> None:
    victim = cluster.nodes[0]
    urls = [n.http for n in cluster.nodes]
    kill(victim)
    shutil.copytree(victim.folder / "data", victim.folder / "copy")
    victim.start()
    waiting.until("back", victim.ready, 20)
    cluster.wait_ready()
    outcomes = Clients(urls, VALUE, BODY, count=20, most=1000).start().join(120)
    assert outcomes[200, ""] >= 990
    # What its peers were told before it dies is what they can hold against the old copy.
    waiting.until("its rows are with its peers", lambda: victim.status()["ledger"]["unsynced_rows"] == 0, 5)
    before = money.quiet(cluster.nodes, "payer")
    # What a node has spent and told nobody is lost with its disk. Its peers hear of it within a second; nothing that can be
    # asked tells when.
    time.sleep(2)
    kill(victim)
    shutil.rmtree(victim.folder / "data")
    (victim.folder / "copy").rename(victim.folder / "data")
    victim.start()
    waiting.until("the alarm", lambda: "a peer knows more of this node's ledger than its journal" in victim.log(), 20)
    waiting.until("it is back as another actor", lambda: cluster.wait_ready() > 0, 40)
    after = money.quiet(cluster.nodes, "payer", seconds=20)
    assert after["spent"] >= before["spent"], "spend is not forgotten"
    outcomes = Clients(urls, VALUE, BODY, count=60).start().join(120)
    bill = money.billed(cluster)
    print(f"billed {bill / USD:.6f} USD, recorded before {before['spent'] / USD:.6f}, after {after['spent'] / USD:.6f}; {dict(outcomes)}")
    assert bill <= USD
    wait_for_refusal(victim)


def wait_for_refusal(node: Node) -> None:
    one = Clients([node.http], VALUE, BODY, count=1, most=1).start()
    assert one.join(20)[429, "budget_exceeded"] == 1, one.outcomes


def test_a_second_process_with_the_same_data_directory(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    first = node.process
    assert first
    text = node.config.read_text()
    # Ports of its own, so that nothing but the data directory stands in its way.
    other = cluster.another("node-1-again")
    other.config.write_text(text.replace(str(node.http_port), str(other.http_port)).replace(str(node.admin_port), str(other.admin_port)).replace(f":{node.cluster_port}\n", f":{other.cluster_port}\n"))
    other.start()
    assert other.process
    assert other.process.exited_with(20) == 1
    assert "is in use by another process" in other.log(), other.log()[-1000:]
    assert first.running() and node.ready()


def test_a_second_process_with_the_same_identity(cluster: Cluster) -> None:
    """A clone of the data directory, while the first one lives: the later is refused, and both logs say so."""
    node = cluster.nodes[0]
    clone = cluster.another("clone")
    shutil.copytree(node.folder / "data", clone.folder / "data")
    text = node.config.read_text().replace(str(node.folder / "data"), str(clone.folder / "data"))
    for ours, theirs in ((node.http_port, clone.http_port), (node.admin_port, clone.admin_port), (node.cluster_port, clone.cluster_port)):
        text = text.replace(f":{ours}\n", f":{theirs}\n")
    clone.config.write_text(text)
    clone.start()
    waiting.until("its peers refuse it", lambda: any("same" in n.log() and "node-1" in n.log() for n in cluster.nodes), 20)
    clients = Clients([n.http for n in [*cluster.nodes, clone]], VALUE, BODY, count=60).start()
    outcomes = clients.join(120)
    bill = money.billed(cluster)
    print(f"billed {bill / USD:.6f} USD beside a clone; {dict(outcomes)}")
    assert clone.process
    clone.process.kill()
    assert node.ready()
    assert cluster.nodes[1].states()["node-1"] == "ready"
