"""Virtual keys at run time: made, changed and revoked at any node, in force on all within a second, and lasting."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from harness import waiting
from harness.cluster import KEY, OTHER_KEY, Cluster, Node
from harness.process import binary

SECOND = 1.0


@pytest.fixture(scope="module")
def keyed(logs: Path) -> Iterator[Cluster]:
    """A cluster of its own: these tests revoke and restart."""
    running = Cluster(logs / "keyed", overrides={"http": {"drain_notice": "100ms", "drain": "2s"}}).start()
    yield running
    running.stop()


def chat(http: httpx.Client, node: Node, key: str, model: str = "demo/echo") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return http.post(f"{node.http}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})


def make(http: httpx.Client, node: Node, **body) -> str:
    answer = http.post(f"{node.admin}/api/keys", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == body["id"]
    return answer.json()["key"]


def within_a_second(what: str, nodes: list[Node], started: float, holds) -> float:
    """Until it holds at every node; how long after `started` that was."""
    for node in nodes:
        waiting.until(f"{what} at {node.id}", lambda node=node: holds(node), 5, every=0.005)
    took = time.monotonic() - started
    print(f"{what}: everywhere after {took * 1000:.0f} ms")
    assert took <= SECOND
    return took


def peerway(*args: str | Path, ok: bool = True, **kwargs) -> str:
    done = subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, timeout=30, check=False, **kwargs)
    assert (done.returncode == 0) == ok, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if ok else done.stderr


def test_a_key_made_at_one_node_works_at_all_and_a_revoked_one_nowhere(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, *others = keyed.nodes
    started = time.monotonic()
    key = make(http, one, id=unique, models=["demo/*"])
    assert key.startswith("sk-pw-") and len(key) == 49
    assert chat(http, one, key).status_code == 200, "at once where it was made"
    within_a_second("a made key", others, started, lambda node: chat(http, node, key).status_code == 200)
    last = keyed.nodes[-1]
    started = time.monotonic()
    answer = http.delete(f"{last.admin}/api/keys/{unique}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["stored"] == {"durable": True, "told": 2, "peers": 2}
    refused = chat(http, last, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    within_a_second("a revocation", keyed.nodes[:-1], started, lambda node: chat(http, node, key).status_code == 401)
    assert all(http.get(f"{node.admin}/api/keys/{unique}").status_code == 404 for node in keyed.nodes)


def test_a_change_holds_everywhere(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, two, _ = keyed.nodes
    key = make(http, one, id=unique, models=["demo/*"])
    waiting.until("the key at node 2", lambda: chat(http, two, key).status_code == 200, 2)
    started = time.monotonic()
    changed = http.patch(f"{two.admin}/api/keys/{unique}", json={"models": ["demo/slow"], "budgets": [{"limit_usd": "0.50", "window": "1d"}]})
    assert changed.status_code == 200, changed.text
    within_a_second("a change", keyed.nodes, started, lambda node: chat(http, node, key).status_code == 403)
    shown = http.get(f"{one.admin}/api/keys/{unique}").json()
    assert shown["models"] == ["demo/slow"] and shown["budgets"] == [{"limit_usd": "0.50", "window": "1d"}]
    assert shown["source"] == "registry" and shown["state"] == "active"
    assert http.patch(f"{one.admin}/api/keys/{unique}", json={"enabled": False, "models": ["demo/*"]}).status_code == 200
    waiting.until("disabled at node 2", lambda: chat(http, two, key).status_code == 401, 2)
    assert "disabled" in chat(http, two, key).json()["error"]["message"]
    http.delete(f"{one.admin}/api/keys/{unique}")


def test_secrets_are_shown_once_and_kept_nowhere(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one = keyed.nodes[0]
    key = make(http, one, id=unique, models=["demo/*"])
    chosen = f"sk-chosen-by-a-person-{unique}"
    assert make(http, one, id=f"{unique}-chosen", models=["demo/*"], value=chosen) == chosen
    assert chat(http, one, chosen).status_code == 200
    for route in ("/api/keys", f"/api/keys/{unique}", "/api/config/diff", "/api/config/export", "/cluster/status", "/metrics"):
        text = http.get(one.admin + route).text
        assert key not in text and chosen not in text and KEY not in text, route
    for node in keyed.nodes:
        stored = (node.folder / "data" / "registry.redb").read_bytes()
        for secret in (key, chosen):
            assert secret not in node.log() and secret.encode() not in stored, node.id
    for id_ in (unique, f"{unique}-chosen"):
        http.delete(f"{one.admin}/api/keys/{id_}")


def test_what_is_wrong_is_named(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    admin = keyed.nodes[0].admin

    def refused(status: int, *words: str, **body) -> None:
        answer = http.post(f"{admin}/api/keys", json={"id": unique, "models": ["*"], **body})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status and problem["type"].startswith("urn:peerway:problem:") and problem["title"]
        assert all(word in problem["detail"] for word in words), problem

    refused(400, "team", "unknown team `nobodys`", team="nobodys")
    refused(400, "budgets[0].window", "known windows", budgets=[{"limit_usd": "1", "window": "1z"}])
    refused(400, "budgets[0].limit_usd", budgets=[{"limit_usd": 1.5, "window": "1d"}])
    refused(400, "budgets[1].window", "already", budgets=[{"limit_usd": "1", "window": "1d"}, {"limit_usd": "2", "window": "1d"}])
    refused(400, "providers[0].provider", "did you mean `demo`", providers=[{"provider": "dmo"}])
    refused(400, "budgts", budgts=[])
    refused(400, "value", "20 characters", value="sk-short")
    refused(400, "expires_at", expires_at="tomorrow")
    refused(400, "id", id="white space")
    refused(409, "`one`", id="one")
    assert http.get(f"{admin}/api/keys/{unique}").status_code == 404
    assert http.patch(f"{admin}/api/keys/{unique}", json={"enabled": False}).status_code == 404
    assert http.delete(f"{admin}/api/keys/{unique}").status_code == 404
    assert http.post(f"{admin}/api/keys", content=b"{").status_code == 400
    assert http.put(f"{admin}/api/keys", json={}).status_code == 405


def test_teams_and_customers_come_first_and_go_last(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, two, _ = keyed.nodes
    customer, team, key = (f"{unique}-{what}" for what in ("customer", "team", "key"))
    assert http.post(f"{one.admin}/api/teams", json={"id": team, "customer": customer}).status_code == 400
    limits = [{"unit": "requests", "limit": 1000, "window": "1m"}]
    assert http.post(f"{one.admin}/api/customers", json={"id": customer, "limits": limits}).status_code == 201
    assert http.post(f"{one.admin}/api/teams", json={"id": team, "customer": customer}).status_code == 201
    secret = make(http, one, id=key, team=team, models=["demo/*"])
    waiting.until("the key at node 2", lambda: chat(http, two, secret).status_code == 200, 2)
    assert http.get(f"{two.admin}/api/keys/{key}").json()["customer"] == customer
    for route in (f"/api/teams/{team}", f"/api/customers/{customer}"):
        assert http.delete(two.admin + route).status_code == 409, route
    for route in (f"/api/keys/{key}", f"/api/teams/{team}", f"/api/customers/{customer}"):
        assert http.delete(two.admin + route).status_code == 200, route


def test_the_command_line_goes_all_the_way(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, two, _ = keyed.nodes
    at = ("--admin", one.admin)
    made = json.loads(peerway("keys", "create", unique, "--model", "demo/*", "--budget", "0.01/1d", "--limit", "requests:5/1m", "--json", *at))
    waiting.until("the key at node 2", lambda: chat(http, two, made["key"]).status_code == 200, 2)
    listed = peerway("keys", "list", "--admin", two.admin)
    assert unique in listed and "0.01/1d" in listed and "requests:5/1m" in listed
    assert made["key"] not in listed
    assert json.loads(peerway("keys", "show", unique, "--json", *at))["budgets"] == [{"limit_usd": "0.01", "window": "1d"}]
    assert "demo/slow" in peerway("keys", "update", unique, "--model", "demo/slow", "--remove", "budgets", *at)
    assert http.get(f"{one.admin}/api/keys/{unique}").json()["budgets"] == []
    assert f"+ key {unique}" in peerway("config", "diff", *at)
    exported = peerway("config", "export", *at)
    key = next(k for k in yaml.safe_load(exported)["governance"]["keys"] if k["id"] == unique)
    assert len(key["hash"]) == 64 and made["key"] not in exported
    assert "revoked" in peerway("keys", "revoke", unique, *at)
    assert "no key" in peerway("keys", "show", unique, *at, ok=False)
    given = f"sk-from-standard-input-{unique}"
    peerway("keys", "create", unique, "--model", "*", "--value-stdin", *at, input=f"{given}\n")
    assert chat(http, one, given).status_code == 200
    peerway("keys", "revoke", unique, *at)
    usage = subprocess.run([binary(), "keys", "create"], capture_output=True, text=True, timeout=30, check=False)
    assert usage.returncode == 2


def test_what_is_exported_starts_a_node_that_knows_the_same_keys(keyed: Cluster, http: httpx.Client, unique: str, tmp_path: Path) -> None:
    one = keyed.nodes[0]
    make(http, one, id=unique, models=["demo/*"], expires_at="2100-01-01T00:00:00Z")
    exported = tmp_path / "exported.yaml"
    exported.write_text(peerway("config", "export", "--admin", one.admin))
    checked = subprocess.run(
        [binary(), "check", exported],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PEERWAY_KEY_ONE": KEY, "PEERWAY_KEY_TWO": OTHER_KEY, "PEERWAY_KEY_NARROW": "sk-test-narrow"},
    )
    assert checked.returncode == 0, checked.stdout
    http.delete(f"{one.admin}/api/keys/{unique}")


def test_everything_is_in_the_openapi_document(keyed: Cluster, http: httpx.Client) -> None:
    document = http.get(f"{keyed.nodes[0].admin}/openapi.json").json()
    assert document["openapi"].startswith("3.")
    for path in ("/cluster/status", "/cluster/ring", "/cluster/drain", "/metrics", "/api/cache", "/api/keys", "/api/keys/{id}"):
        assert path in document["paths"], path


def test_it_lasts_through_a_restart_of_all(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, two, three = keyed.nodes
    kept = make(http, one, id=f"{unique}-kept", models=["demo/*"])
    lost = make(http, two, id=f"{unique}-lost", models=["demo/*"])
    assert http.delete(f"{three.admin}/api/keys/{unique}-lost?force=true").status_code == 200
    # A key of the file, revoked: the file still has it when the nodes come back.
    assert chat(http, one, OTHER_KEY).status_code == 200
    assert http.delete(f"{one.admin}/api/keys/two").status_code == 200
    for node in keyed.nodes:
        waiting.until(f"all of it at {node.id}", lambda node=node: chat(http, node, kept).status_code == 200 and chat(http, node, OTHER_KEY).status_code == 401, 2)

    one.process.kill()  # without a goodbye
    assert [node.process.terminate() for node in (two, three)] == [0, 0]
    for node in keyed.nodes:
        node.start()
    keyed.wait_ready()
    revisions = set()
    for node in keyed.nodes:
        assert chat(http, node, kept).status_code == 200, node.id
        assert chat(http, node, lost).status_code == 401, node.id
        assert chat(http, node, OTHER_KEY).status_code == 401, node.id
        assert chat(http, node, KEY).status_code == 200, node.id
        registry = node.status()["registry"]
        assert registry["durability"] == "ok"
        revisions.add(registry["revision"])
    assert len(revisions) == 1


def test_a_node_that_was_away_learns_of_a_revocation_when_it_comes_back(keyed: Cluster, http: httpx.Client, unique: str) -> None:
    one, two, three = keyed.nodes
    key = make(http, one, id=unique, models=["demo/*"])
    waiting.until("the key at node 3", lambda: chat(http, three, key).status_code == 200, 2)
    three.process.kill()
    assert http.delete(f"{two.admin}/api/keys/{unique}").status_code == 200
    three.start()
    waiting.until("node 3 ready", three.ready, 20)
    assert chat(http, three, key).status_code == 401, "a node that is ready has caught up"
    keyed.wait_ready()
