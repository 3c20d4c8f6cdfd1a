"""Real networks: each node in a namespace of its own on one bridge, and nft to cut between them, also one way."""

import os
import shutil
import subprocess
from dataclasses import dataclass


def allowed() -> bool:
    """Whether this user may make network namespaces."""
    probe = f"pw-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        return False
    subprocess.run(["ip", "netns", "delete", probe], check=True)
    return True


def _run(*args: str) -> None:
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {done.stderr.strip()}")


def _nft() -> str:
    found = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if not found:
        raise RuntimeError("nft is missing: apt-get install nftables")
    return found


@dataclass(frozen=True)
class Place:
    """Where a node lives."""

    host: str
    enter: tuple[str, ...] = ()
    """What its command begins with."""


class Network:
    """A bridge in this namespace (where provider and clients live) and one namespace for each node."""

    def __init__(self, count: int):
        # A subnet and names of our own, so that test runs side by side do not meet.
        self.mark = f"{os.getpid() % 60000:x}{os.urandom(1).hex()}"
        third, fourth = os.getpid() % 250 + 1, os.urandom(1)[0] % 4 * 64
        self.prefix, self.base = f"10.{66 + fourth // 64}.{third}", 10
        self.bridge = f"pw{self.mark}"
        self.here = f"{self.prefix}.1"
        self.places: list[Place] = []
        self._names: list[str] = []
        try:
            _run("ip", "link", "add", self.bridge, "type", "bridge")
            _run("ip", "address", "add", f"{self.here}/24", "dev", self.bridge)
            _run("ip", "link", "set", self.bridge, "up")
            for number in range(1, count + 1):
                self._add(number)
        except BaseException:
            self.remove()
            raise

    def _add(self, number: int) -> None:
        name, outside = f"pw{self.mark}-{number}", f"pw{self.mark}v{number}"
        host = f"{self.prefix}.{self.base + number}"
        _run("ip", "netns", "add", name)
        self._names.append(name)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "link", "set", outside, "master", self.bridge, "up")
        inside = ("ip", "netns", "exec", name)
        _run(*inside, "ip", "address", "add", f"{host}/24", "dev", "eth0")
        _run(*inside, "ip", "link", "set", "eth0", "up")
        _run(*inside, "ip", "link", "set", "lo", "up")
        _run(*inside, _nft(), "add table inet cut; add chain inet cut in { type filter hook input priority 0; }")
        self.places.append(Place(host, inside))

    def cut(self, one: list[int], others: list[int], both_ways: bool = True) -> None:
        """From now on no packet of `one` reaches `others` (numbers from 0), nor the other way round."""
        for a in one:
            for b in others:
                self._drop(at=b, source=a)
                if both_ways:
                    self._drop(at=a, source=b)

    def _drop(self, at: int, source: int) -> None:
        rule = f"add rule inet cut in ip saddr {self.places[source].host} drop"
        _run(*self.places[at].enter, _nft(), rule)

    def heal(self) -> None:
        for place in self.places:
            _run(*place.enter, _nft(), "flush chain inet cut in")

    def remove(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
