"""The table that is printed at the end: how many providers each cell is green with."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from .cases import CASES, REFUSED
from .table import PROVIDERS, SDKS

Outcome = tuple[str, str, str, str, str]
"""SDK, provider, case, outcome, reason."""


def outcomes(reports: Iterable) -> list[Outcome]:
    """From pytest's reports: every cell says in its properties which one it is."""
    found: dict[tuple[str, str, str], tuple[str, str]] = {}
    for report in reports:
        cell = dict(report.user_properties).get("cell")
        if cell is None or report.when == "teardown" and report.passed:
            continue
        if report.skipped:
            found[tuple(cell)] = ("n/a", report.longrepr[2].removeprefix("Skipped: "))
        elif report.failed or report.when == "call":
            found[tuple(cell)] = ("failed" if report.failed else "ok", "")
    return [(*cell, *outcome) for cell, outcome in found.items()]


def lines(cells: list[Outcome]) -> list[str]:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for sdk, _, case, outcome, _ in cells:
        counts[sdk, case][outcome] += 1
    width = max(len(sdk.name) for sdk in SDKS)
    out = [
        f"Providers each cell is green with ({', '.join(PROVIDERS)}); {', '.join(REFUSED)}: refused by the gateway itself.",
        f"{'':{width}}  " + "".join(f"{case:>11}" for case in CASES),
    ]
    for sdk in SDKS:
        row = [_cell(counts[sdk.name, case]) for case in CASES]
        if any(row):
            out.append(f"{sdk.name:{width}}  " + "".join(f"{text:>11}" for text in row))
    reasons: dict[str, list[str]] = defaultdict(list)
    for sdk, provider, case, outcome, reason in cells:
        if outcome == "n/a":
            reasons[reason].append(f"{sdk} / {provider} / {case}")
    for reason, which in reasons.items():
        out.append(f"{reason}: {', '.join(which)}")
    failed = [f"{sdk} / {provider} / {case}" for sdk, provider, case, outcome, _ in cells if outcome == "failed"]
    if failed:
        out.append(f"FAILED: {', '.join(failed)}")
    return out


def _cell(count: Counter[str]) -> str:
    if not count:
        return ""
    if count["failed"]:
        return f"{count['failed']} FAILED"
    return f"ok {count['ok']}" if count["ok"] else "n/a"
