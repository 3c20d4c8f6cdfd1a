"""Answers by meaning with the local embedder: the pairs of test_semantic.py, and those that tutorials of other gateways show.

Needs a binary with the feature `local-embedder` and all-MiniLM-L6-v2; `peerway model fetch` tells how to get it:

    PEERWAY_BIN=target/release/peerway PEERWAY_MINILM_FOLDER=... python -m pytest -s tests/test_semantic_local.py
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from test_semantic import Asker, ask_pairs

from harness.cluster import Cluster
from harness.process import binary

FOLDER = "PEERWAY_MINILM_FOLDER"

SERVED = [
    ("How do I deploy to Kubernetes?", "What is the process for deploying on k8s?"),
    ("Explain OAuth 2.0", "How does OAuth2 authentication work?"),
    ("What are the benefits of microservices architecture?", "Why should I use a microservices pattern?"),
]


@pytest.fixture(scope="module")
def folder() -> str:
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"{FOLDER} names no folder with all-MiniLM-L6-v2")
    checked = subprocess.run([binary(), "model", "check", folder], capture_output=True, text=True, timeout=300)
    assert checked.returncode == 0, checked.stderr
    if "it runs" not in checked.stdout:
        pytest.skip(checked.stdout)
    print(checked.stdout)
    return folder


@pytest.fixture(scope="module")
def cluster(logs: Path, folder: str) -> Iterator[Cluster]:
    embedder = {"type": "local", "folder": folder, "threads": 1, "deadline": "30s"}
    running = Cluster(logs, overrides={"cache": {"semantic": {"embedder": embedder}}}).start()
    yield running
    running.stop()


@pytest.fixture
def asker(http: httpx.Client, cluster: Cluster, unique: str) -> Asker:
    return Asker(http, cluster, unique)


@pytest.mark.timeout(1800)
def test_pairs(asker: Asker) -> None:
    total, hits = ask_pairs(asker, at_once=3)
    assert hits[False, "all"] <= 0.01 * total[False, "all"]
    assert hits[True, "all"] >= 0.45 * total[True, "all"]
    assert hits[True, "light_change"] >= 0.85 * total[True, "light_change"]


@pytest.mark.parametrize(("first", "second"), SERVED)
def test_pairs_of_tutorials(asker: Asker, first: str, second: str) -> None:
    assert asker.kind(0, first) == "miss"
    answer = asker.judged(1, second, again=lambda: asker.ask(0, first, cache_no_read="true"))
    told = dict(answer.headers)
    print(told["x-peerway-cache-similarity"], asker.explain(2, first, second)["cosine"])
    assert (told["x-peerway-cache"], told["x-peerway-cache-guard"]) == ("hit-semantic", "agrees"), told
