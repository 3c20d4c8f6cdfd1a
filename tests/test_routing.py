"""Routes on three nodes: sessions without shared state, and what every node says of its choice."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.cluster import Cluster, Node

KEY = "sk-of-routing"
SESSIONS = [f"session-{i}" for i in range(24)]


@pytest.fixture(scope="module")
def routed(logs: Path) -> Iterator[Cluster]:
    targets = [{"provider": "demo", "model": "echo", "weight": 2}, {"provider": "demo", "model": "other"}, {"provider": "demo", "model": "third"}]
    keys = [{"id": "routing", "value": KEY, "models": ["smart", "demo/*"]}]
    overrides = {"routes": [{"model": "smart", "strategy": "adaptive", "targets": targets}], "governance": {"keys": keys}}
    cluster = Cluster(logs / "routed", overrides=overrides).start()
    yield cluster
    cluster.stop()


@pytest.fixture(autouse=True)
def any_model(routed: Cluster) -> None:
    routed.provider.reset()


def chat(http: httpx.Client, node: Node, **headers: str) -> httpx.Response:
    body = {"model": "smart", "messages": [{"role": "user", "content": "hello"}]}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post(f"{node.http}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}", **named})


def explained(node: Node, **asked: object) -> dict:
    return node.api("POST", "/api/routes/explain", {"model": "smart", "key": "routing", **asked}).raise_for_status().json()


def test_a_session_has_one_home_on_all_nodes_and_each_can_tell(routed: Cluster, http: httpx.Client) -> None:
    homes = {}
    for session in SESSIONS:
        told = [explained(node, session_id=session)["candidates"][0] for node in routed.nodes]
        assert len({candidate["target"] for candidate in told}) == 1, told
        assert {candidate["key"] for candidate in told} == {"main"}
        homes[session] = told[0]["target"]
    assert set(homes.values()) == {"demo/echo", "demo/other", "demo/third"}
    for i, (session, home) in enumerate(homes.items()):
        answer = chat(http, routed.nodes[i % 3], x_peerway_session_id=session)
        assert f"demo/{answer.headers['x-peerway-model']}" == home


def test_what_is_explained_is_not_sent(routed: Cluster) -> None:
    told = explained(routed.nodes[0], fallbacks=["demo/slow", {"provider": "demo", "model": "echo"}], prompt_tokens=1000)
    roles = {candidate["target"]: candidate["role"] for candidate in told["candidates"]}
    assert roles == {"demo/echo": "target", "demo/other": "target", "demo/third": "target", "demo/slow": "request_fallback"}
    targets = [candidate for candidate in told["candidates"] if candidate["role"] == "target"]
    assert sum(candidate["share"] for candidate in targets) == pytest.approx(1)
    assert told["candidates"][0]["cost_usd"]
    assert routed.provider.requests() == []


def test_who_asks_in_a_request_is_told_in_a_header(routed: Cluster, http: httpx.Client) -> None:
    answer = chat(http, routed.nodes[1], x_peerway_explain="true")
    told = json.loads(answer.headers["x-peerway-explanation"])
    assert told["strategy"] == "adaptive"
    assert told["candidates"][0]["target"] == f"demo/{answer.headers['x-peerway-model']}"
    assert "x-peerway-explanation" not in chat(http, routed.nodes[1]).headers


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "model"),
        ({"model": "nope"}, 400, "does not exist"),
        ({"model": "smart", "key": "nobody"}, 404, "nobody"),
        ({"model": "smart", "fallbacks": "demo/echo"}, 400, "`fallbacks` must be a list"),
        ({"model": "smart", "seesion_id": "x"}, 400, "seesion_id"),
    ],
)
def test_questions_that_cannot_be_answered(routed: Cluster, body: dict, status: int, says: str) -> None:
    answer = routed.nodes[0].api("POST", "/api/routes/explain", body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


def test_sessions_stay_when_a_node_goes(routed: Cluster, http: httpx.Client) -> None:
    """The last test here: there is nothing of a session that a node could take with it."""
    before = [chat(http, routed.nodes[2], x_peerway_session_id=session).headers["x-peerway-model"] for session in SESSIONS]
    process = routed.nodes[2].process
    assert process
    process.kill()
    after = [chat(http, routed.nodes[0], x_peerway_session_id=session).headers["x-peerway-model"] for session in SESSIONS]
    assert after == before
