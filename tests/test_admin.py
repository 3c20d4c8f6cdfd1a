"""The control plane: on loopback or behind a token."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from harness import waiting
from harness.cluster import Cluster, Node
from harness.process import Process, binary

TOKEN = "a-token-that-nobody-guesses"
ROUTES = ["/cluster/status", "/metrics", "/api/cache"]


@pytest.fixture(scope="module")
def guarded(logs: Path) -> Iterator[Node]:
    cluster = Cluster(logs / "guarded", count=1, overrides={"admin": {"token": TOKEN}})
    node = cluster.nodes[0]
    node.start()
    try:
        waiting.until("the node ready", node.ready, 20)
        yield node
    finally:
        cluster.stop()


@pytest.mark.parametrize("route", ROUTES)
def test_without_the_token_nothing_is_told(guarded: Node, http: httpx.Client, route: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": TOKEN}):
        answer = http.get(guarded.admin + route, headers=headers)
        assert answer.status_code == 401, headers
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["status"] == 401


@pytest.mark.parametrize("route", ROUTES)
def test_with_the_token_it_is(guarded: Node, http: httpx.Client, route: str) -> None:
    assert http.get(guarded.admin + route, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_changes_need_it_too(guarded: Node, http: httpx.Client) -> None:
    assert http.delete(f"{guarded.admin}/api/cache", params={"all": "true"}).status_code == 401
    assert http.post(f"{guarded.admin}/cluster/drain", json={"node": guarded.id}).status_code == 401
    assert guarded.ready()


def test_the_data_plane_has_no_control_routes(guarded: Node, http: httpx.Client) -> None:
    for route in ROUTES:
        assert http.get(guarded.http + route, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 404


def test_on_loopback_no_token_is_needed(cluster: Cluster, http: httpx.Client) -> None:
    for route in ROUTES:
        assert http.get(cluster.nodes[0].admin + route).status_code == 200


def test_a_web_page_that_names_another_host_is_refused(cluster: Cluster, http: httpx.Client) -> None:
    answer = http.get(f"{cluster.nodes[0].admin}/cluster/status", headers={"Host": "rebound.example"})
    assert answer.status_code == 403


def test_an_open_bind_without_a_token_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "peerway.yaml"
    config.write_text(yaml.safe_dump({"node": {"data_dir": str(tmp_path / "data")}, "http": {"listen": "127.0.0.1:0"}, "admin": {"listen": "0.0.0.0:0"}}))
    process = Process([binary(), "serve", "--config", config], tmp_path, "open")
    assert process.exited_with(20) != 0
    assert "admin.token" in process.log()


def test_the_health_routes_and_their_aliases(cluster: Cluster, http: httpx.Client) -> None:
    for route in ("/livez", "/readyz", "/health", "/healthz", "/health/liveliness", "/health/liveness", "/health/readiness", "/status"):
        assert http.get(cluster.nodes[0].http + route).status_code == 200, route


def test_the_status_has_the_documented_shape(cluster: Cluster) -> None:
    status = cluster.nodes[0].status()
    assert {"cluster", "version", "node", "view", "converged", "nodes", "ring", "ledger", "providers"} <= set(status)
    assert status["cluster"] == "acceptance" and status["node"] == "node-1"
    per_node = {"id", "incarnation", "state", "zone", "http", "cluster", "version", "uptime_s", "rtt_ms", "gossip_age_ms", "clock_offset_ms",
                "ring_share", "requests_per_s", "in_flight", "cache_entries", "cache_bytes"}  # fmt: skip
    for node in status["nodes"]:
        assert per_node <= set(node), node
        assert node["rtt_ms"] is not None and node["rtt_ms"] < 1000
        assert abs(node["clock_offset_ms"]) < 1000, "the same machine has one clock"
