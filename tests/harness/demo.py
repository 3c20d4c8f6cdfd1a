"""`peerway demo`, as people start it."""

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from . import ports, waiting
from .process import Process, binary, gone
from .provider import Provider


@dataclass
class DemoNode:
    id: str
    http: str
    admin: str
    pid: int


class Demo:
    """Started with `--json` unless told otherwise; `stop` asserts that nothing is left."""

    def __init__(self, logs: Path, *, json_line: bool = True, nodes: int = 3, port: int | None = None, name: str = "demo"):
        self.base = port or ports.demo_block(nodes)
        self.count = nodes
        args: list[str | Path] = [binary(), "demo", "--http-port", str(self.base)]
        if nodes != 3:
            args += ["--nodes", str(nodes)]
        if json_line:
            args.append("--json")
        self.started = time.monotonic()
        self.process = Process(args, logs, name)
        self._family: list[psutil.Process] = []
        self.front = f"http://127.0.0.1:{self.base}"
        self.key = "sk-peerway-demo"
        self.provider = Provider(f"http://127.0.0.1:{self.base + 200}")
        self.nodes: list[DemoNode] = []
        self.line: dict = {}
        self.ready_after = 0.0
        if json_line:
            try:
                self._read_line()
            except BaseException:
                self.process.kill()
                raise

    def _read_line(self) -> None:
        def line() -> str:
            if not self.process.running():
                raise SystemExit(f"the demo ended with {self.process.popen.returncode}:\n{self.process.log()[-4000:]}")
            text = self.process.out()
            return text.split("\n", 1)[0] if "\n" in text else ""

        text = waiting.until("the JSON line of the demo", line, 60, every=0.01)
        self.ready_after = time.monotonic() - self.started
        self.line = json.loads(text)
        self.front, self.key = self.line["front"], self.line["key"]
        self.nodes = [DemoNode(**{k: n[k] for k in ("id", "http", "admin", "pid")}) for n in self.line["nodes"]]
        self._family = self.process.family()

    def mend(self) -> None:
        """Asks for every model whose breaker is open until it is closed on all nodes: one probe an interval."""
        with httpx.Client(trust_env=False, timeout=10, headers={"Authorization": f"Bearer {self.key}"}) as http:

            def open_at(node: DemoNode) -> list[dict]:
                try:
                    return [p for p in http.get(f"{node.admin}/cluster/status").json()["providers"] if p["breaker"] != "closed"]
                except httpx.TransportError:
                    return []  # a node that a test has killed

            def is_whole() -> bool:
                shut = [(node, target) for node in self.nodes for target in open_at(node)]
                for node, target in shut:
                    body = {"model": f"{target['name']}/{target['model']}", "messages": [{"role": "user", "content": "well?"}]}
                    http.post(f"{node.http}/v1/chat/completions", json=body)
                return not shut

            waiting.until("no breaker is open", is_whole, 30)
        self.provider.reset()

    def remember_family(self) -> list[psutil.Process]:
        """Notes who must be gone at the end."""
        self._family = self.process.family()
        return self._family

    def node_process(self, node_id: str) -> psutil.Process:
        return psutil.Process(next(n.pid for n in self.nodes if n.id == node_id))

    def assert_nothing_left(self, seconds: float = 10) -> None:
        waiting.until("all processes of the demo gone", lambda: gone(self._family), seconds)
        waiting.until("all ports of the demo free", lambda: ports.demo_ports_free(self.base, self.count), seconds)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        if self.process.running():
            self.remember_family()
            self.process.signal(how)
        try:
            code = self.process.exited_with(seconds)
            self.assert_nothing_left()
        finally:
            self.process.kill()
            for left in self._family:
                if not gone([left]):
                    left.kill()
            self.provider.close()
        return code
