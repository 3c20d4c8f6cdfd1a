"""Budgets as clients and operators meet them: what SDKs raise, what the admin API tells, and nodes that leave for good."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from harness import money, waiting
from harness.clients import Clients, chat
from harness.cluster import Cluster, Node
from harness.money import USD
from harness.process import binary

EMPTY, RICH, FEW = "sk-test-budgets-empty", "sk-test-budgets-rich", "sk-test-budgets-few"
FIVE = [{"unit": "requests", "limit": 5, "window": "1d"}]


def overrides() -> dict:
    return {
        "cluster": {"founders": ["node-1", "node-2", "node-3"]},
        "governance": {
            "customers": [{"id": "acme", "budgets": [{"limit_usd": "50.00", "window": "1M"}]}],
            "teams": [{"id": "search", "customer": "acme", "budgets": [{"limit_usd": "20.00", "window": "1w"}]}],
            "keys": [
                money.key("empty", EMPTY, "0", window="1w"),
                money.key("rich", RICH, "10.00", team="search", providers=[{"provider": "demo", "budgets": [{"limit_usd": "5.00", "window": "1d"}]}]),
                money.key("few", FEW, limits=FIVE),
            ],
        },
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = Cluster(tmp_path_factory.mktemp("budgets"), overrides=overrides()).start()
    try:
        money.active(running.nodes)
        yield running
    finally:
        running.stop()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster for a test that breaks it."""
    running = Cluster(tmp_path, overrides=overrides()).start()
    try:
        money.active(running.nodes)
        yield running
    finally:
        running.stop()


def spend(node: Node, requests: int = 20) -> None:
    outcomes = Clients([node.http], RICH, chat(words=20, max_tokens=32), count=4, most=requests).start().join(30)
    assert outcomes[200, ""] == requests, outcomes


def test_the_openai_client_raises_at_once(cluster: Cluster) -> None:
    client = openai.OpenAI(base_url=f"{cluster.nodes[0].http}/v1", api_key=EMPTY, max_retries=3, http_client=httpx.Client(trust_env=False))
    denied = cluster.nodes[0].metric("peerway_budget_denied_total")
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="demo/echo", messages=[{"role": "user", "content": "hello"}])
    assert cluster.nodes[0].metric("peerway_budget_denied_total") == denied + 1, "it was not tried again"
    error = raised.value
    assert (error.status_code, error.code, error.type) == (429, "budget_exceeded", "insufficient_quota")
    assert "key `empty`" in error.message and re.search(r"ends at \d{4}-\d\d-\d\dT00:00:00Z", error.message), error.message


def test_other_dialects_have_their_own_form(cluster: Cluster, http: httpx.Client) -> None:
    said = {"model": "demo/echo", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}
    answer = http.post(f"{cluster.nodes[0].http}/anthropic/v1/messages", headers={"x-api-key": EMPTY}, json=said)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (429, "false")
    body = answer.json()
    assert body["type"] == "error" and body["error"]["type"] == "rate_limit_error" and body["request_id"] == answer.headers["request-id"]
    said = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    path = "/genai/v1beta/models/demo/echo:generateContent"
    answer = http.post(f"{cluster.nodes[0].http}{path}", headers={"x-goog-api-key": EMPTY}, json=said)
    assert (answer.status_code, answer.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")


def test_every_node_lists_every_budget(cluster: Cluster) -> None:
    spend(cluster.nodes[0])
    for tier, owner in (("key", "rich"), ("team", "search"), ("customer", "acme"), ("provider_config", "rich/demo")):
        books = money.quiet(cluster.nodes, owner, tier=tier)
        assert books["spent"] == money.billed(cluster) > 0, (tier, owner)
    budget = cluster.nodes[1].budget("search", tier="team")
    assert set(budget) == {
        *("tier", "id", "unit", "limit", "window", "window_start", "window_end", "spent", "reserved", "remaining", "nodes", "forecast_exhausted_at")
    }
    assert (budget["limit"], budget["window"], budget["remaining"]) == (20 * USD, "1w", 20 * USD - budget["spent"])
    assert set(budget["nodes"]) == {"node-1", "node-2", "node-3"} and budget["nodes"]["node-1"]["spent"] > 0
    assert sum(part["rights"] for part in budget["nodes"].values()) == budget["remaining"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", budget["window_end"])


def test_the_status_and_the_metrics_tell_of_the_ledger(cluster: Cluster) -> None:
    ledger = cluster.nodes[0].status()["ledger"]
    assert ledger["counted"] == ["node-1", "node-2", "node-3"]
    assert (ledger["active"], ledger["durability"], ledger["locked"], ledger["alarms"]) == (True, "ok", [], [])
    node = cluster.nodes[0]
    assert node.metric("peerway_ledger_durability") == 1
    for name in ("peerway_budget_used_ratio", "peerway_budget_denied_total", "peerway_ledger_transfers_total", "peerway_ledger_reserve_seconds_bucket"):
        assert f"\n{name}{{" in node.metrics(), name


def command(node: Node, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run([binary(), *args, "--admin", node.admin], capture_output=True, text=True, timeout=30)


def test_a_node_that_is_drained_leaves_what_it_had(own: Cluster) -> None:
    stayer, leaver = own.nodes[0], own.nodes[2]
    spend(leaver)
    done = command(stayer, "cluster", "drain", leaver.id)
    assert done.returncode == 0, done.stderr
    assert leaver.process and leaver.process.exited_with(40) == 0

    def handed_over() -> bool:
        parts = stayer.budget("rich")["nodes"]
        return parts[leaver.id]["rights"] == 0 and sum(part["rights"] for part in parts.values()) == stayer.budget("rich")["remaining"]

    waiting.until("its rights are with the others", handed_over, 10)
    incarnations = stayer.status()["ledger"]["counted"]
    leaver.start()
    waiting.until("it is back as somebody new", lambda: leaver.ready() and "begins anew" in leaver.log(), 30)
    spend(leaver)
    assert money.quiet(own.nodes, "rich")["spent"] == money.billed(own)
    assert incarnations


def test_a_dead_node_is_forgotten_with_a_bound(own: Cluster) -> None:
    stayer, dead = own.nodes[0], own.nodes[2]
    refused = command(stayer, "cluster", "forget", dead.id)
    assert refused.returncode == 1 and "live" in refused.stderr, refused.stderr
    assert dead.process
    dead.process.kill()
    waiting.until("it is seen to be gone", lambda: dead.id not in stayer.states(), 15)
    done = waiting.until("it can be forgotten", lambda: (lambda done: done if done.returncode == 0 else None)(command(stayer, "cluster", "forget", dead.id, "--json")), 15)
    answer = json.loads(done.stdout)
    assert answer["node"] == dead.id and answer["incarnations"]
    # A third of every allowance that it has a share of.
    assert 0 < answer["bound"]["nano_usd"] <= 85 * USD // 3 + 10, answer


def test_a_damaged_journal_is_refused_and_repaired_on_demand(own: Cluster) -> None:
    node = own.nodes[1]
    for _ in range(5):
        spend(node)
    assert node.process
    node.process.kill()
    segment = sorted((node.folder / "data/ledger").glob("segment-*"))[0]
    damaged = bytearray(segment.read_bytes())
    place = 200
    damaged[place] ^= 0xFF
    segment.write_bytes(damaged)
    node.start()
    assert node.process.exited_with(20) == 1
    assert "--repair" in node.log(), node.log()[-1000:]
    repaired = subprocess.Popen([binary(), "serve", "--config", node.config, "--repair"], cwd=node.folder, stdout=subprocess.DEVNULL, stderr=(node.folder / "repaired.err").open("w"))
    try:
        waiting.until("it serves again", node.ready, 30)
        assert "is dropped" in (node.folder / "repaired.err").read_text()
        waiting.until("it spends again", lambda: Clients([node.http], RICH, chat(), count=1, most=1).start().join(10)[200, ""] == 1, 30)
    finally:
        repaired.kill()
        repaired.wait()
    shutil.rmtree(node.folder / "data")
