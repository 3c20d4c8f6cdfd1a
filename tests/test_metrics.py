"""The metrics page is what Prometheus wants, and has what the documentation names."""

import re
import shutil
import subprocess

import httpx
import pytest

from harness.cluster import KEY, Cluster

# Those of the ledger and of breakers come with what they measure.
PROMISED = {
    "peerway_requests_total",
    "peerway_request_duration_seconds",
    "peerway_overhead_seconds",
    "peerway_time_to_first_token_seconds",
    "peerway_upstream_attempts_total",
    "peerway_tokens_total",
    "peerway_cost_usd_total",
    "peerway_cache_lookups_total",
    "peerway_cache_entries",
    "peerway_cache_bytes",
    "peerway_cache_hits_total",
    "peerway_cache_saved_tokens_total",
    "peerway_cache_saved_cost_usd_total",
    "peerway_cache_similarity",
    "peerway_cluster_peers",
    "peerway_cluster_gossip_lag_seconds",
    "peerway_ring_ownership_ratio",
    "peerway_build_info",
    "peerway_shed_total",
    "peerway_requests_admitted",
    "peerway_requests_queued",
    "peerway_body_memory_bytes",
    "peerway_connections",
}


@pytest.fixture(scope="module")
def page(cluster: Cluster) -> str:
    """After requests of every sort, so that every family has samples."""
    node = cluster.nodes[0]
    headers = {"Authorization": f"Bearer {KEY}", "x-peerway-cache-key": "metrics"}
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]}
    for more in ({}, {}, {"stream": True}, {"model": "demo/none"}):
        httpx.post(f"{node.http}/v1/chat/completions", json={**body, **more}, headers=headers, trust_env=False)
    answer = httpx.get(f"{node.admin}/metrics", trust_env=False)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def test_promtool_finds_nothing(page: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: apt-get install prometheus"
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_family_has_help(page: str) -> None:
    families = set(re.findall(r"^# TYPE (\S+)", page, re.M))
    helped = {name for name, text in re.findall(r"^# HELP (\S+) (.*)", page, re.M) if text.strip()}
    assert families == helped
    samples = {re.sub(r"_(bucket|sum|count)$", "", name) if re.sub(r"_(bucket|sum|count)$", "", name) in families else name for name in re.findall(r"^([a-z_:][a-z0-9_:]*)[ {]", page, re.M)}
    assert samples <= families


def test_the_promised_metrics_are_there(page: str) -> None:
    assert PROMISED <= set(re.findall(r"^# TYPE (\S+)", page, re.M))


def test_requests_are_counted_with_bounded_labels(page: str) -> None:
    labels = [set(re.findall(r'(\w+)="', line)) for line in re.findall(r"^peerway_requests_total\{.*", page, re.M)]
    assert labels and all(found == {"route", "provider", "model", "status"} for found in labels)
    assert "demo/none" not in page and "demo_none" not in page, "a name that a client made up must not become a label"


def test_overhead_is_measured_from_ten_microseconds(page: str) -> None:
    bounds = [float(b) for b in re.findall(r'^peerway_overhead_seconds_bucket\{.*?le="([0-9.e-]+)"', page, re.M)]
    assert min(bounds) == pytest.approx(10e-6)


def test_no_secret_is_on_the_page(page: str) -> None:
    assert KEY not in page and "sk-" not in page
