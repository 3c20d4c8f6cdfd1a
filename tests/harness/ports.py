"""Free ports on loopback."""

import random
import socket


def _free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def demo_ports(base: int, nodes: int = 3) -> tuple[list[int], list[int]]:
    """The TCP and the UDP ports that a demo on `base` uses."""
    each = range(1, nodes + 1)
    tcp = [base, base + 200, *(base + i for i in each), *(base + 100 + i for i in each)]
    return tcp, [base + 300 + i for i in each]


def demo_ports_free(base: int, nodes: int = 3) -> bool:
    tcp, udp = demo_ports(base, nodes)
    return all(_free(p, socket.SOCK_STREAM) for p in tcp) and all(_free(p, socket.SOCK_DGRAM) for p in udp)


def demo_block(nodes: int = 3) -> int:
    """A base port whose whole block is free, below the range from which the kernel takes client ports."""
    for _ in range(200):
        base = random.randrange(11_000, 31_000)
        if demo_ports_free(base, nodes):
            return base
    raise RuntimeError("no free block of ports between 11000 and 31400")


def one(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    for _ in range(200):
        port = random.randrange(11_000, 31_000)
        if _free(port, kind):
            return port
    raise RuntimeError("no free port between 11000 and 31000")


def udp() -> int:
    return one(socket.SOCK_DGRAM)
