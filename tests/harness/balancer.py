"""A real HAProxy in front of nodes.

The configuration is `deploy/haproxy.cfg` as shipped, with our ports in it. Two lines are added to its proxies: the
name of the chosen server in a response header, for answers that HAProxy itself makes too, so that a test can say
for each failed request which node it had been given to.
"""

import re
import shutil
import subprocess
from pathlib import Path

import httpx

from . import ports, waiting
from .cluster import Node
from .process import ROOT, Process

SHIPPED = ROOT / "deploy/haproxy.cfg"
SERVED_BY = "x-test-served-by"


def executable() -> str:
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise RuntimeError("haproxy is missing: apt-get install haproxy")
    return found


def adapted(shipped: str, port: int, nodes: list[Node]) -> str:
    """The shipped configuration on our ports."""
    lines: list[str] = []
    servers = iter(nodes)
    section = ""
    for line in shipped.splitlines():
        word = line.split(maxsplit=1)[0] if line.split() else ""
        if word in ("global", "defaults", "frontend", "backend", "listen"):
            section = line.strip()
        if word in ("user", "group", "chroot", "daemon", "pidfile") or (word == "stats" and "socket" in line) or (word == "log" and section == "global"):
            continue
        if word == "maxconn" and section == "global":
            # The test's share of file descriptors is smaller than a server's.
            line = "    maxconn 4000"
        if word == "bind":
            # Only the data plane's front is wanted; a statistics page has no place in a test.
            if re.search(r"stat", section):
                continue
            line = re.sub(r"bind\s+\S+", f"bind 127.0.0.1:{port}", line)
        if word == "server":
            node = next(servers, None)
            if node is None:
                continue
            line = re.sub(r"server\s+\S+\s+\S+", f"server {node.id} 127.0.0.1:{node.http_port}", line)
        lines.append(line)
        if word in ("backend", "listen") and not re.search(r"stat", section):
            lines.append(f"    http-after-response set-header {SERVED_BY} %[srv_name]")
    return "\n".join(lines) + "\n"


class Balancer:
    def __init__(self, folder: Path, nodes: list[Node]):
        self.port = ports.one()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "haproxy.cfg"
        self.config.write_text(adapted(SHIPPED.read_text(), self.port, nodes))
        checked = subprocess.run([executable(), "-c", "-f", self.config], capture_output=True, text=True)
        if checked.returncode != 0:
            raise RuntimeError(f"{SHIPPED} (adapted) is refused by HAProxy:\n{checked.stdout}{checked.stderr}")
        self.process = Process([executable(), "-db", "-f", self.config], folder, "haproxy")
        self._wait(nodes)

    def _wait(self, nodes: list[Node]) -> None:
        """Until every node has been given a request."""
        seen: set[str] = set()

        def all_seen() -> bool:
            if not self.process.running():
                raise SystemExit(f"HAProxy ended:\n{self.process.log()}")
            seen.add(httpx.get(f"{self.url}/livez", timeout=2, trust_env=False).headers.get(SERVED_BY, ""))
            return {n.id for n in nodes} <= seen

        try:
            waiting.until("HAProxy to use every node", all_seen, 20, every=0.02)
        except BaseException:
            self.process.kill()
            raise

    def stop(self) -> None:
        self.process.kill()
