"""Nodes started one by one from configuration files, so that a test may kill one and start it again."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from . import ports, waiting
from .namespaces import Network, Place
from .process import Process, binary
from .provider import Provider

SECRET = "a secret of the acceptance tests, thirty-two bytes or more"
KEY = "sk-test-one"
OTHER_KEY = "sk-test-two"
# For tests of something else, whose provider fails on purpose: no breaker opens.
UNSHAKEN = {"failures": 1_000_000, "ratio": 1.0}
ADMIN_TOKEN = "admin-token-of-the-acceptance-tests"

# One client for all (making one is costly), without kept connections: nodes die and come back on the same port.
_HTTP = httpx.Client(trust_env=False, timeout=5, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, limits=httpx.Limits(max_keepalive_connections=0))


@dataclass
class Node:
    id: str
    http_port: int
    admin_port: int
    cluster_port: int
    config: Path
    folder: Path
    place: Place = Place("127.0.0.1")
    process: Process | None = None
    starts: int = 0

    @property
    def http(self) -> str:
        return f"http://{self.place.host}:{self.http_port}"

    @property
    def admin(self) -> str:
        return f"http://{self.place.host}:{self.admin_port}"

    def start(self) -> None:
        self.starts += 1
        self.process = Process([*self.place.enter, binary(), "serve", "--config", self.config], self.folder, f"{self.id}.{self.starts}", cwd=self.folder)

    def log(self) -> str:
        return self.process.log() if self.process else ""

    def ready(self) -> bool:
        return _HTTP.get(f"{self.http}/readyz").status_code == 200

    def status(self) -> dict:
        return _HTTP.get(f"{self.admin}/cluster/status").raise_for_status().json()

    def states(self) -> dict[str, str]:
        """What this node holds each node's state to be."""
        return {n["id"]: n["state"] for n in self.status()["nodes"]}

    def metric(self, name: str) -> float:
        """A metric's sum over its labels; nought where it has no sample."""
        lines = [line for line in self.metrics().splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def api(self, method: str, path: str, body: dict | None = None) -> httpx.Response:
        """A call of the management API."""
        return _HTTP.request(method, f"{self.admin}{path}", json=body)

    def budgets(self) -> list[dict]:
        return self.api("GET", "/api/budgets").raise_for_status().json()["budgets"]

    def budget(self, owner: str, unit: str = "nano_usd", tier: str = "key") -> dict:
        """The allowance of an owner, in its window of now."""
        found = [b for b in self.budgets() if (b["tier"], b["id"], b["unit"]) == (tier, owner, unit)]
        assert found, f"{self.id} lists no {unit} of {tier} {owner}"
        return max(found, key=lambda b: b["window_start"] or "")

    def cache_entries(self) -> int:
        return int(self.metric("peerway_cache_entries"))

    def metrics(self) -> str:
        return _HTTP.get(f"{self.admin}/metrics").raise_for_status().text


@dataclass
class Cluster:
    """A simulated provider and so many nodes, each with a folder of its own."""

    folder: Path
    count: int = 3
    overrides: dict = field(default_factory=dict)
    """Blocks laid over every node's configuration."""
    provider_args: list[str] = field(default_factory=list)
    network: Network | None = None
    """Where the nodes live, when not all on loopback."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        provider_port = ports.one()
        here = self.network.here if self.network else "127.0.0.1"
        self.provider_process = Process(
            [binary(), "simulate-provider", "--listen", f"{here}:{provider_port}", *self.provider_args], self.folder, "provider"
        )
        self.provider = Provider(f"http://{here}:{provider_port}")
        taken = {provider_port}
        self.nodes: list[Node] = []
        for i in range(1, self.count + 1):
            self.nodes.append(self._new_node(f"node-{i}", taken))
        for node in self.nodes:
            self.write_config(node)

    def _new_node(self, node_id: str, taken: set[int]) -> Node:
        def fresh(pick) -> int:
            port = pick()
            while port in taken:
                port = pick()
            taken.add(port)
            return port

        folder = self.folder / node_id
        folder.mkdir(parents=True, exist_ok=True)
        place = self.network.places[len(self.nodes)] if self.network else Place("127.0.0.1")
        return Node(node_id, fresh(ports.one), fresh(ports.one), fresh(ports.udp), folder / "peerway.yaml", folder, place)

    def another(self, node_id: str, **blocks) -> Node:
        """A further node with its configuration, not started."""
        taken = {p for n in self.nodes for p in (n.http_port, n.admin_port, n.cluster_port)}
        node = self._new_node(node_id, taken)
        self.write_config(node, blocks)
        return node

    def write_config(self, node: Node, blocks: dict | None = None) -> None:
        join = [f"{n.place.host}:{n.cluster_port}" for n in self.nodes if n.id != node.id]
        host = node.place.host
        config: dict = {
            "node": {"id": node.id, "data_dir": str(node.folder / "data")},
            "http": {"listen": f"{host}:{node.http_port}"},
            "admin": {"listen": f"{host}:{node.admin_port}", **({"token": ADMIN_TOKEN} if self.network else {})},
            "cluster": {"name": "acceptance", "listen": f"{host}:{node.cluster_port}", "join": join, "secret": SECRET},
            "providers": [
                {
                    "name": "demo",
                    "type": "simulated",
                    "base_url": f"{self.provider.url}/v1",
                    "keys": [{"id": "main", "value": "sk-simulated"}],
                    "models": ["echo", "slow"],
                    "allow_private": True,
                }
            ],
            "governance": {
                "keys": [
                    {"id": "one", "value": KEY, "models": ["demo/*"]},
                    {"id": "two", "value": OTHER_KEY, "models": ["demo/*"]},
                    {"id": "narrow", "value": "sk-test-narrow", "models": ["demo/slow"]},
                ]
            },
        }
        for layer in (self.overrides, blocks or {}):
            for block, values in layer.items():
                config[block] = {**config[block], **values} if isinstance(values, dict) and isinstance(config.get(block), dict) else values
        node.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def start(self) -> "Cluster":
        try:
            for node in self.nodes:
                node.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, seconds: float = 30) -> float:
        """Until every node is ready and sees every other one ready; how long that took."""
        started = time.monotonic()
        wanted = {n.id: "ready" for n in self.nodes}
        for node in self.nodes:
            try:
                waiting.until(f"{node.id} ready", node.ready, seconds)
                waiting.until(f"{node.id} sees all ready", lambda node=node: node.states() == wanted or None, seconds)
            except waiting.Late as late:
                raise waiting.Late(f"{late}\n{node.id} logs:\n{node.log()[-3000:]}") from None
        return time.monotonic() - started

    def node(self, node_id: str) -> Node:
        return next(n for n in self.nodes if n.id == node_id)

    def stop(self) -> None:
        """Ends everything the hard way; tests of a graceful end do that themselves."""
        for node in self.nodes:
            if node.process:
                node.process.kill()
        self.provider_process.kill()
        self.provider.close()
