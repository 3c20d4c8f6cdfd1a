"""What the README tells people to type is there."""

import re
from pathlib import Path

import pytest

from harness.process import ROOT

README = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""


def commands() -> list[str]:
    """The lines of its shell blocks: fenced as such, or indented."""
    fenced = re.findall(r"```(?:sh|bash|console)\n(.*?)```", README, re.S)
    outside = re.sub(r"```.*?```", "", README, flags=re.S)
    lines = [line for block in fenced for line in block.splitlines()] + re.findall(r"^    (\S.*)$", outside, re.M)
    return [line.split("  #")[0].strip() for line in lines]


def test_the_two_commands_come_first() -> None:
    assert [c for c in commands() if not c.startswith(("git clone", "cd "))][:2] == ["cargo run --release -p peerway -- demo", "./test"]


def test_scripts_that_it_names_can_be_run() -> None:
    for command in commands():
        word = command.split()[0]
        if word.startswith(("./", "deploy/")):
            path = ROOT / word
            assert path.is_file() and path.stat().st_mode & 0o111, command


@pytest.mark.parametrize("page", ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("**/*.md"))), "CONTRIBUTING.md", "SECURITY.md"])
def test_links_into_the_repository_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / Path(target)).exists(), f"{page}: {target}"
