"""What a budget's books must say."""

from . import waiting
from .cluster import Cluster, Node

USD = 1_000_000_000
"""In nano-USD."""


def key(key_id: str, value: str, budget: str | None = None, window: str = "1d", limits: list[dict] | None = None, **more) -> dict:
    """A virtual key as the configuration has it."""
    entry = {"id": key_id, "value": value, "models": ["demo/*"], **more}
    if budget is not None:
        entry["budgets"] = [{"limit_usd": budget, "window": window}]
    if limits:
        entry["limits"] = limits
    return entry


def active(nodes: list[Node], seconds: float = 20) -> None:
    """Until every node has shares of its own."""
    for node in nodes:
        waiting.until(f"{node.id} has shares", lambda node=node: node.status()["ledger"]["active"], seconds)


def quiet(nodes: list[Node], owner: str, unit: str = "nano_usd", tier: str = "key", seconds: float = 10) -> dict:
    """Until nothing is reserved and all nodes say the same of a budget; that."""

    def agreed() -> dict | None:
        seen = [node.budget(owner, unit, tier) for node in nodes]
        sums = {(b["spent"], b["reserved"], b["remaining"]) for b in seen}
        if len(sums) == 1 and seen[0]["reserved"] == 0:
            return seen[0]
        raise AssertionError([(b["spent"], b["reserved"], b["remaining"], b["nodes"]) for b in seen])

    return waiting.until(f"all nodes agree on {tier} {owner}", agreed, seconds, every=0.2)


def billed(cluster: Cluster) -> int:
    return cluster.provider.bill()["cost_nano_usd"]
