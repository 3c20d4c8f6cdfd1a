"""Trains, checks and writes the guard's forest: `python fit.py SERVED OWN CROSS FEATURES OUT`.

SERVED, OWN and CROSS are files of pairs; FEATURES is what `cargo run -p peerway-cache --example guard_features -- SERVED OWN
CROSS` prints for them, so that training sees the very numbers that serving computes. Pairs that a deterministic check
contradicts never reach the forest and are left out of its training, and count as refused in every figure printed here.
"""

import json
import sys
from collections import defaultdict

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression

SEED = 7
THRESHOLD = 0.85
TYPES = len(sys.argv) > 6
# Features that can only speak for a hit (1) or against it (-1), so that no tree learns the opposite from a coincidence.
SIGNS = {
    "cosine": 1, "covered_low": 1, "covered_high": 1, "said_low": 1, "said_high": 1, "heavy_low": 1, "heavy_high": 1,
    "worst_low": -1, "worst_high": -1, "open_low": -1, "open_high": -1, "open_share_low": -1, "open_share_high": -1,
    "siblings": -1, "numbers_shared": 1, "numbers_low": -1, "numbers_high": -1, "names_low": -1, "names_high": -1,
    "code_high": -1, "named_shared": 1, "question": 1, "logic": -1, "opposites": -1,
}  # fmt: skip


def forest(names, trees=300):
    return RandomForestClassifier(
        n_estimators=trees, max_depth=7, min_samples_leaf=4, max_features=0.35, random_state=SEED, n_jobs=1,
        monotonic_cst=[SIGNS.get(name, 0) for name in names],
    )  # fmt: skip


class Data:
    def __init__(self, served, own, cross, features):
        lines = open(features, encoding="utf-8").read().split("\n")
        self.names = lines[0].split("\t")[2:]
        rows = [line.split("\t") for line in lines[1:] if line]
        self.pairs, self.kind = [], []
        for kind, path in (("served", served), ("own", own), ("cross", cross)):
            loaded = [json.loads(line) for line in open(path, encoding="utf-8")]
            self.pairs += loaded
            self.kind += [kind] * len(loaded)
        assert len(rows) == len(self.pairs), (len(rows), len(self.pairs))
        self.kind = np.array(self.kind)
        self.reason = np.array([row[0] for row in rows])
        self.detail = [row[1] for row in rows]
        self.x = np.array([[float(value) for value in row[2:]] for row in rows])
        self.y = np.array([pair["same"] for pair in self.pairs]).astype(int)
        self.type = np.array([pair["type"] for pair in self.pairs])
        self.open = self.reason == ""
        self.strict = self.reason == "same"
        self.weight = np.where(self.kind == "cross", 0.4, 1.0)

    def fit(self, mask, trees=300):
        mask = mask & self.open
        return forest(self.names, trees).fit(self.x[mask], self.y[mask], sample_weight=self.weight[mask])

    def score(self, model, mask):
        """Means of the trees; -1 for what a check refuses."""
        out = np.where(self.strict[mask], 1.0, -1.0)
        reached = self.open[mask]
        if reached.any():
            out[reached] = model.predict_proba(self.x[mask][reached])[:, 1]
        return out


def rates(data, scores, mask, threshold):
    hit = scores >= threshold
    y = data.y[mask]
    return hit[y == 1].mean(), hit[y == 0].mean()


def at_false_rate(data, scores, mask, rate):
    y = data.y[mask]
    wrong = np.sort(scores[y == 0])[::-1]
    threshold = wrong[int(rate * len(wrong))] + 1e-6
    return (scores[y == 1] >= threshold).mean(), threshold


def folds(data, groups):
    """Out-of-fold scores, leaving one group out at a time; pairs of no group (None) are always trained on."""
    scores = np.full(len(data.y), np.nan)
    for group in sorted({g for g in groups if g is not None}):
        held = np.array([g == group for g in groups])
        model = data.fit(~held, trees=60)
        scores[held] = data.score(model, held)
    return scores


def line_groups(data, count=10):
    """Ten folds over lines; a cross pair goes with nothing and is dropped from every training that holds one of its lines."""
    order = np.random.RandomState(SEED).permutation(len(data.y))
    fold = {data.pairs[i]["id"]: int(n % count) for n, i in enumerate(order)}
    return [fold[pair["id"]] if kind != "cross" else fold[pair["id"].split("x")[0]] for pair, kind in zip(data.pairs, data.kind)]


def table(data, scores, mask, threshold):
    by = defaultdict(list)
    hits = scores >= threshold
    for type_, same, hit in zip(data.type[mask], data.y[mask], hits):
        by[(1 - same, type_)].append(hit)
    for (wrong, type_), found in sorted(by.items()):
        print(f"  {'near-miss ' if wrong else 'paraphrase'} {type_:22} {int(sum(found)):3} of {len(found):3}")


def write(path, model, names, curve):
    with open(path, "w", encoding="ascii") as out:
        out.write("# Written by cache/semantic/train/fit.py: do not edit. Format: cache/src/semantic/guard/forest.rs.\n")
        for tree in model.estimators_:
            inner = tree.tree_
            out.write("tree\n")
            for node in range(inner.node_count):
                if inner.children_left[node] < 0:
                    value = inner.value[node][0]
                    out.write(f"leaf {value[1] / value.sum():.4f}\n")
                else:
                    out.write(f"{names[inner.feature[node]]} {inner.threshold[node]:.5f} {inner.children_left[node]} {inner.children_right[node]}\n")
        out.write("curve\n")
        for mean, confidence in curve:
            out.write(f"{mean:.4f} {confidence:.4f}\n")


def calibration(data, scores, cut):
    """Isotonic confidence over out-of-fold scores, at the mix of right and wrong candidates that puts `cut` at THRESHOLD."""
    mask = (scores >= 0) & ~np.isnan(scores)
    grid = np.linspace(0, 1, 41)

    def curve(wrong):
        weight = np.where(data.y[mask] == 1, 1.0, wrong)
        fitted = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=0.99).fit(scores[mask], data.y[mask], sample_weight=weight)
        smooth = fitted.predict(grid)
        return np.maximum.accumulate(np.convolve(np.pad(smooth, 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], mode="valid"))

    low, high = 0.02, 50.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        if np.interp(cut, grid, curve(middle)) > THRESHOLD:
            low = middle
        else:
            high = middle
    values = curve(high)
    # The isotonic steps are pinned so that the chosen cut is exactly the threshold.
    before = values[grid < cut]
    after = values[grid >= cut]
    points = [(g, min(v, THRESHOLD - 0.01)) for g, v in zip(grid[grid < cut], before)]
    points.append((cut - 1e-4, THRESHOLD - 0.005))
    points.append((cut, THRESHOLD))
    points += [(g, max(v, THRESHOLD)) for g, v in zip(grid[grid >= cut], after) if g > cut]
    print(f"calibrated for {high:.2f} wrong candidates to each right one")
    return points


def main(served, own, cross, features, out):
    data = Data(served, own, cross, features)
    is_served, is_own = data.kind == "served", data.kind == "own"
    print("checks: right pairs refused / wrong pairs refused")
    for reason in sorted(set(data.reason) - {""}):
        found = (data.reason == reason) & (is_served | is_own)
        print(f"  {reason:14} {int((found & (data.y == 1)).sum()):4} {int((found & (data.y == 0)).sum()):4}")
    for i in np.where(TYPES & (data.y == 1) & ~data.open & ~data.strict & (is_served | is_own))[0]:
        print("   refused:", data.pairs[i]["id"], data.type[i], data.reason[i], "|", data.detail[i][:150])

    own_model = data.fit(is_own | (data.kind == "cross"))
    scores = data.score(own_model, is_served)
    print("own -> served (other domains):", [(r, round(at_false_rate(data, scores, is_served, r)[0], 3)) for r in (0.005, 0.01, 0.03)])
    by_line = folds(data, line_groups(data))
    judged = is_served | is_own
    for name, mask in (("served", is_served), ("own", is_own), ("both", judged)):
        print(f"ten folds, {name}:", [(r, round(at_false_rate(data, by_line[mask], mask, r)[0], 3)) for r in (0.0, 0.005, 0.01, 0.03)])
    by_type = folds(data, [t if k != "cross" else None for t, k in zip(data.type, data.kind)]) if TYPES else by_line
    print("leaving types out:", [(r, round(at_false_rate(data, by_type[judged], judged, r)[0], 3)) for r in (0.0, 0.005, 0.01, 0.03)])
    _, cut = at_false_rate(data, by_line[judged], judged, 0.006)
    print("cut", cut, "served", rates(data, by_line[is_served], is_served, cut), "own", rates(data, by_line[is_own], is_own, cut))
    table(data, by_line[is_served], is_served, cut)
    for i in np.where((data.y == 0) & judged & (by_line >= cut - 0.12))[0]:
        print("  near the cut:", round(by_line[i], 3), data.pairs[i]["id"], data.type[i], data.pairs[i]["a"][:90].replace("\n", " "), "||", data.pairs[i]["b"][:110].replace("\n", " "))
    model = data.fit(np.ones(len(data.y), dtype=bool), trees=150)
    importance = sorted(zip(model.feature_importances_, data.names), reverse=True)
    print("weighty features:", ", ".join(f"{name} {value:.2f}" for value, name in importance[:14]))
    write(out, model, data.names, calibration(data, by_line, cut))


if __name__ == "__main__":
    main(*sys.argv[1:6])
