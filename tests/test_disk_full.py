"""A disk that is full: the node serves on, in memory and with its peers, and says so."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import money, waiting
from harness.clients import Clients, chat, wait_for
from harness.cluster import Cluster, Node

VALUE = "sk-test-disk-full-key"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    overrides = {
        "cluster": {"founders": ["node-1", "node-2", "node-3"]},
        "governance": {"keys": [money.key("payer", VALUE, "100.00")]},
    }
    cluster = Cluster(tmp_path, overrides=overrides)
    data = cluster.nodes[0].folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)], check=True)
    try:
        cluster.start()
        money.active(cluster.nodes)
        yield cluster
    finally:
        cluster.stop()
        subprocess.run(["umount", "-l", str(data)], check=True)


def durability(node: Node) -> str:
    return node.status()["ledger"]["durability"]


def test_serving_goes_on(small_disk: Cluster) -> None:
    node = small_disk.nodes[0]
    assert durability(node) == "ok"
    clients = Clients([node.http], VALUE, chat(words=60, max_tokens=64), count=10, patience=None).start()
    wait_for("load", clients, lambda: clients.answered > 100, 20)
    ballast = node.folder / "data" / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            assert error.errno == 28, error
    # The journal finds out with its next write that does not fit what it has already allocated.
    waiting.until("the status says so", lambda: durability(node) == "degraded", 15, every=0.02)
    assert node.metric("peerway_ledger_durability") == 0
    before = clients.answered
    wait_for("service on a full disk", clients, lambda: clients.answered > before + 300, 20)
    ballast.unlink()
    waiting.until("the status is well again", lambda: durability(node) == "ok", 15)
    outcomes = clients.stop()
    assert outcomes.keys() == {(200, "")}, outcomes
    books = money.quiet(small_disk.nodes, "payer")
    assert books["spent"] == money.billed(small_disk)
