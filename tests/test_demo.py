"""`peerway demo`: a whole cluster within five seconds, snippets that work as printed, nothing left behind."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from harness import ports, snippets, waiting
from harness.demo import Demo
from harness.process import Process, binary, clean_env, gone


def test_the_json_line_comes_within_five_seconds_with_three_ready_nodes(demo: Demo) -> None:
    assert demo.ready_after < 5, f"{demo.ready_after:.2f} s"
    base = demo.base
    assert demo.line["front"] == f"http://127.0.0.1:{base}"
    assert demo.line["key"] == "sk-peerway-demo"
    assert demo.line["provider"] == f"http://127.0.0.1:{base + 200}"
    assert [(n["id"], n["http"], n["admin"]) for n in demo.line["nodes"]] == [
        (f"node-{i}", f"http://127.0.0.1:{base + i}", f"http://127.0.0.1:{base + 100 + i}") for i in (1, 2, 3)
    ]
    for node in demo.nodes:
        assert psutil.Process(node.pid).exe() == str(binary().resolve()), "a node is a process of the same binary"
        assert httpx.get(f"{node.http}/readyz", trust_env=False).status_code == 200


def test_when_the_line_is_out_every_node_sees_three_ready_nodes(demo: Demo) -> None:
    for node in demo.nodes:
        status = httpx.get(f"{node.admin}/cluster/status", trust_env=False).json()
        assert {n["id"]: n["state"] for n in status["nodes"]} == {f"node-{i}": "ready" for i in (1, 2, 3)}, node.id
        assert status["ring"] == {"partitions": 1024, "replicas": 2}
        assert sum(n["ring_share"] for n in status["nodes"]) == pytest.approx(1.0, abs=0.02)
        cluster_ports = sorted(int(n["cluster"].rsplit(":", 1)[1]) for n in status["nodes"])
        assert cluster_ports == [demo.base + 301, demo.base + 302, demo.base + 303]


def test_all_nodes_agree_on_the_view(demo: Demo) -> None:
    def one_view() -> bool:
        statuses = [httpx.get(f"{n.admin}/cluster/status", trust_env=False).json() for n in demo.nodes]
        return len({s["view"] for s in statuses}) == 1 and all(s["converged"] for s in statuses)

    waiting.until("one view, converged, on all nodes", one_view, 10)


def test_the_front_spreads_over_all_nodes(demo: Demo) -> None:
    def node() -> str:
        answer = httpx.post(
            f"{demo.front}/v1/chat/completions",
            json={"model": "demo/echo", "messages": [{"role": "user", "content": "who is there?"}]},
            headers={"Authorization": f"Bearer {demo.key}"},
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        return answer.headers["x-peerway-node"]

    assert {node() for _ in range(12)} == {"node-1", "node-2", "node-3"}


def test_the_virtual_key_is_required(demo: Demo) -> None:
    answer = httpx.get(f"{demo.front}/v1/models", trust_env=False)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory):
    """A demo without --json, and what it printed once all was ready."""
    running = Demo(tmp_path_factory.mktemp("printed"), json_line=False)

    def text() -> str | None:
        assert running.process.running(), running.process.log()
        out = running.process.out()
        return out if snippets.curls(out) and snippets.pythons(out) else None

    try:
        yield running, waiting.until("URLs, a curl and a Python snippet", text, 20)
    finally:
        running.stop()


def test_the_printed_text_names_the_urls_and_the_ready_nodes(printed: tuple[Demo, str]) -> None:
    demo, text = printed
    assert demo.front in text
    assert "sk-peerway-demo" in text
    assert f":{demo.base + 200}" in text, "the provider's URL"
    for i in (1, 2, 3):
        assert re.search(rf"node-{i}\b.*\bready\b", text), f"node-{i} ready\n{text}"
        assert f":{demo.base + i}" in text and f":{demo.base + 100 + i}" in text


def run(command: str) -> str:
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, env=clean_env())
    assert ran.returncode == 0, f"{command}\n{ran.stderr}"
    return ran.stdout


def test_the_printed_curls_work_as_they_stand(printed: tuple[Demo, str]) -> None:
    _, text = printed
    for command in snippets.curls(text):
        answer = run(command)
        if '"stream": true' in command:
            assert answer.rstrip().endswith("data: [DONE]"), answer
        else:
            assert json.loads(answer)["object"] == "chat.completion", answer


def test_the_printed_curl_streams_as_the_text_beside_it_says(printed: tuple[Demo, str]) -> None:
    _, text = printed
    assert '"stream": true' in text, "says how to get a stream"
    command = next(c for c in snippets.curls(text) if "chat/completions" in c)
    if '"stream": true' not in command:
        command = command.replace("{", '{"stream": true, ', 1)
    answer = run(command)
    assert answer.startswith("data: ") and answer.rstrip().endswith("data: [DONE]"), answer


def test_the_printed_python_works_as_it_stands(printed: tuple[Demo, str], tmp_path: Path) -> None:
    _, text = printed
    programs = snippets.pythons(text)
    assert any("stream=True" in p for p in programs), programs
    for number, program in enumerate(programs):
        path = tmp_path / f"snippet{number}.py"
        path.write_text(program)
        ran = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60, env=clean_env())
        assert ran.returncode == 0, f"{program}\n{ran.stderr}"
        assert ran.stdout.strip(), f"printed nothing:\n{program}"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ending_the_demo_leaves_no_process_behind(tmp_path: Path, how: signal.Signals) -> None:
    demo = Demo(tmp_path)
    family = demo.remember_family()
    assert {n.pid for n in demo.nodes} <= {p.pid for p in family}
    code = demo.stop(how)
    assert gone(family)
    assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0)


def test_a_demo_killed_while_it_starts_leaves_no_process_behind(tmp_path: Path) -> None:
    base = ports.demo_block()
    process = Process([binary(), "demo", "--http-port", str(base)], tmp_path, "demo")
    family = waiting.until("the first child", lambda: f if len(f := process.family()) > 1 else None, 20, every=0.002)
    process.kill()
    waiting.until("all processes gone", lambda: gone(family), 10)
    waiting.until("all ports free", lambda: ports.demo_ports_free(base), 10)


def test_a_node_that_is_killed_is_not_restarted(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    try:
        victim = demo.nodes[1]
        psutil.Process(victim.pid).kill()

        def dropped() -> bool:
            status = httpx.get(f"{demo.nodes[0].admin}/cluster/status", trust_env=False).json()
            return victim.id not in {n["id"] for n in status["nodes"]}

        waiting.until("the dead node out of the status", dropped, 10)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{victim.http}/readyz", trust_env=False)
        assert demo.process.running()
        answer = httpx.get(f"{demo.front}/v1/models", headers={"Authorization": f"Bearer {demo.key}"}, trust_env=False)
        assert answer.status_code == 200, "the front goes round the dead node"
    finally:
        demo.stop()


@pytest.mark.parametrize("offset", [0, 2, 101, 200])
def test_a_port_in_use_is_named_with_the_option_to_change_it(tmp_path: Path, offset: int) -> None:
    base = ports.demo_block()
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", base + offset))
        squatter.listen()
        process = Process([binary(), "demo", "--http-port", str(base)], tmp_path, "demo")
        code = process.exited_with(20)
    assert code == 1, process.log()
    assert str(base + offset) in process.err(), process.log()
    assert "--http-port" in process.err(), process.log()


def test_a_udp_port_in_use_is_named_too(tmp_path: Path) -> None:
    base = ports.demo_block()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as squatter:
        squatter.bind(("127.0.0.1", base + 302))
        process = Process([binary(), "demo", "--http-port", str(base)], tmp_path, "demo")
        code = process.exited_with(20)
    assert code == 1, process.log()
    assert str(base + 302) in process.err(), process.log()
    assert "--http-port" in process.err(), process.log()


def test_more_nodes(tmp_path: Path) -> None:
    demo = Demo(tmp_path, nodes=5)
    try:
        assert [n.id for n in demo.nodes] == [f"node-{i}" for i in range(1, 6)]
    finally:
        demo.stop()
