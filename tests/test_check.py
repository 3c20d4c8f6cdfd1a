"""`peerway check` on broken configurations: each error with line, column and what to do."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from harness.process import binary, clean_env

PROVIDER = """providers:
  - name: local
    type: openai_compatible
    base_url: http://127.0.0.1:9/v1
    allow_private: true
"""

# What is wrong, the file, where the error is, what its hint must say.
BROKEN = [
    ("a mistyped block", "htp: { listen: 127.0.0.1:8080 }\n", (1, 1), r"did you mean `http`"),
    ("a mistyped key deep down", PROVIDER.replace("base_url", "base_ulr"), (4, 5), r"did you mean `base_url`"),
    ("an unknown provider type", PROVIDER.replace("openai_compatible", "opnai"), (3, 11), r"did you mean `openai`"),
    ("a private address that is not allowed", PROVIDER.replace("    allow_private: true\n", ""), (4, 15), r"allow_private: true"),
    ("not a URL", PROVIDER.replace("http://127.0.0.1:9/v1", "ftp://example.org"), (4, 15), r"https?://"),
    (
        "a route to a provider that is not there",
        PROVIDER + "routes:\n  - model: smart\n    targets: [ { provider: lokal, model: m } ]\n",
        (8, 28),
        r"did you mean `local`",
    ),
    ("a duration without a unit", "cache: { ttl: 5 }\n", (1, 15), r"5m|5s|unit"),
    ("a size that is none", "cache: { max_memory: much }\n", (1, 22), r"MiB"),
    ("an open admin port without a token", "admin:\n  listen: 0.0.0.0:8081\n", (2, 11), r"admin\.token|token"),
    ("a variable that is not set", "admin:\n  token: ${PW_TEST_NOT_SET}\n", (2, 10), r"PW_TEST_NOT_SET"),
    ("a cluster without secret or certificates", "cluster: { name: a, listen: 127.0.0.1:7946 }\n", (1, 1), r"secret"),
    ("a listen address that is none", "http:\n  listen: eight thousand\n", (2, 11), r"\d:8080"),
]


def check(tmp_path: Path, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "peerway.yaml"
    file.write_text(text)
    return subprocess.run([binary(), "check", file, *more], capture_output=True, text=True, timeout=20, env=clean_env())


@pytest.mark.parametrize(("text", "place", "hint"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_the_error_says_where_and_what_to_do(tmp_path: Path, text: str, place: tuple[int, int], hint: str) -> None:
    ran = check(tmp_path, text)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    printed = ran.stdout + ran.stderr
    places = [(int(line), int(column)) for line, column in re.findall(r"peerway\.yaml:(\d+):(\d+):", printed)]
    assert places == [place], printed
    assert re.search(hint, printed), printed

    errors = json.loads(check(tmp_path, text, "--json").stdout)["errors"]
    assert [(e["line"], e["column"]) for e in errors] == [place]
    # What to do stands beside the error, or in it where one line says both.
    assert re.search(hint, str(errors[0])), errors[0]


def test_every_error_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    ran = check(tmp_path, "htp: {}\ncache: { ttl: 5, tll: 5m }\n")
    assert len(re.findall(r"peerway\.yaml:\d+:\d+:", ran.stdout + ran.stderr)) == 3, ran.stdout


def test_a_good_file_passes(tmp_path: Path) -> None:
    ran = check(tmp_path, PROVIDER)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(check(tmp_path, PROVIDER, "--json").stdout)["ok"] is True


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    ran = check(tmp_path, PROVIDER + "    keys: [ { id: main, value: sk-very-secret, waight: 1 } ]\n")
    assert ran.returncode == 1
    assert "sk-very-secret" not in ran.stdout + ran.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = subprocess.run([binary(), "check", tmp_path / "none.yaml"], capture_output=True, text=True, timeout=20)
    assert ran.returncode == 1
    assert "none.yaml" in ran.stdout + ran.stderr


def test_the_schema_is_a_schema() -> None:
    ran = subprocess.run([binary(), "schema"], capture_output=True, text=True, timeout=20)
    schema = json.loads(ran.stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"node", "http", "admin", "cluster", "providers", "routes", "governance", "cache"} <= set(schema["properties"])
