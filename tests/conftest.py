"""Fixtures: a demo or a cluster of the real binary for a module, a clean simulated provider for each test."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from harness import waiting
from harness.cluster import Cluster
from harness.demo import Demo
from sdk import report

# The clients under test read these; a proxy set up on the developer's machine must not stand in the way.
os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """At the very end no process of this run may live, whoever started it: all of them inherit a mark."""
    mark = f"{os.getpid()}-{os.urandom(8).hex()}"
    os.environ["ACCEPTANCE_RUN"] = mark
    yield

    def left() -> list[str]:
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            try:
                if process.pid != os.getpid() and process.environ().get("ACCEPTANCE_RUN") == mark:
                    found.append(f"{process.pid}: {process.info['cmdline']}")
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found

    waiting.until("no process of the tests is left", lambda: not left() or None, 10)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def demo(logs: Path) -> Iterator[Demo]:
    running = Demo(logs)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cluster(logs: Path) -> Iterator[Cluster]:
    running = Cluster(logs).start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def clean_provider(request: pytest.FixtureRequest) -> None:
    """Faults and the bill of one test do not reach the next one."""
    for name in ("demo", "cluster"):
        if name in request.fixturenames:
            running = request.getfixturevalue(name)
            running.provider.reset()
            if isinstance(running, Demo):
                running.mend()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client without retries and without the machine's proxy settings."""
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A text that no other test uses: for cache namespaces and prompts."""
    return f"{request.node.name}-{os.urandom(4).hex()}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of SDKs, if any of it has run."""
    reports = (r for kind in terminalreporter.stats.values() for r in kind if isinstance(r, pytest.TestReport))
    if cells := report.outcomes(reports):
        terminalreporter.section("SDKs x cases")
        for line in report.lines(cells):
            terminalreporter.line(line)
