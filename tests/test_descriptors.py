"""A node that is out of file descriptors says so, goes on with what it has, and recovers."""

import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness import waiting
from harness.demo import Demo

LIMIT = 200


@pytest.fixture(scope="module")
def alone(logs: Path) -> Iterator[Demo]:
    running = Demo(logs, nodes=1, name="descriptors")
    yield running
    running.stop()


def chat(client: httpx.Client, demo: Demo) -> int:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "hello"}]}
    answer = client.post(f"{demo.nodes[0].http}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {demo.key}"})
    return answer.status_code


def test_a_node_keeps_some_for_itself(alone: Demo) -> None:
    node = alone.nodes[0]
    host, port = node.http.removeprefix("http://").split(":")
    process = alone.node_process(node.id)
    with httpx.Client(timeout=10, trust_env=False) as kept, httpx.Client(timeout=10, trust_env=False) as admin:
        assert chat(kept, alone) == 200
        assert process.rlimit(resource.RLIMIT_NOFILE)[0] == process.rlimit(resource.RLIMIT_NOFILE)[1], "raised at the start"
        process.rlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        clients = [socket.create_connection((host, int(port))) for _ in range(LIMIT)]
        told = b""
        clients[-1].settimeout(30)
        while piece := clients[-1].recv(4096):
            told += piece
        assert told.startswith(b"HTTP/1.1 503") and b"x-peerway-shed: connections" in told, told
        assert process.num_fds() < LIMIT - 40, "some are left"
        assert chat(kept, alone) == 200, "those who are served go on"
        status = admin.get(f"{node.admin}/cluster/status")
        assert status.status_code == 200
        shed = next(line for line in admin.get(f"{node.admin}/metrics").text.splitlines() if 'reason="connections"' in line)
        assert int(shed.split()[-1]) > 0
        for client in clients:
            client.close()
        with httpx.Client(timeout=10, trust_env=False) as fresh:
            waiting.until("new clients are served again", lambda: try_chat(fresh, alone) == 200, 20)


def try_chat(client: httpx.Client, demo: Demo) -> int:
    try:
        return chat(client, demo)
    except httpx.TransportError:
        return 0
