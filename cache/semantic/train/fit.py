"""Trains, checks and writes the guard's weights: `python fit.py SERVED OWN OTHER CROSS FEATURES OUT`.

SERVED, OWN, OTHER and CROSS are files of pairs; FEATURES is what `cargo run -p peerway-cache --example guard_features --
SERVED OWN OTHER CROSS` prints for them, so that training sees the very numbers that serving computes. Pairs that a deterministic check
contradicts never reach the weights and are left out of its training, and count as refused in every figure printed here.
"""

import json
import sys
from collections import defaultdict

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 7
REFUSED, SAME = -99.0, 99.0
THRESHOLD = 0.85
TYPES = len(sys.argv) > 7
# Of the near-misses that were not written to be as near as can be, and of all, so many are served out of fold at most.
CUT_RATE = 0.0033
MOST_RATE = 0.01


def model():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))


class Data:
    def __init__(self, served, own, other, cross, features):
        lines = open(features, encoding="utf-8").read().split("\n")
        self.names = lines[0].split("\t")[2:]
        rows = [line.split("\t") for line in lines[1:] if line]
        self.pairs, self.kind = [], []
        for kind, path in (("served", served), ("own", own), ("other", other), ("cross", cross)):
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

    def fit(self, mask):
        mask = mask & self.open
        return model().fit(self.x[mask], self.y[mask], logisticregression__sample_weight=self.weight[mask])

    def score(self, fitted, mask):
        """Weighed sums; REFUSED for what a check refuses, SAME for what is the same but for a mark."""
        out = np.where(self.strict[mask], SAME, REFUSED)
        reached = self.open[mask]
        if reached.any():
            out[reached] = fitted.decision_function(self.x[mask][reached])
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
        scores[held] = data.score(data.fit(~held), held)
    return scores


def line_groups(data, count=10):
    """Ten folds over lines; a cross pair goes with nothing and is dropped from every training that holds one of its lines."""
    order = np.random.RandomState(SEED).permutation(len(data.y))
    fold = {data.pairs[i]["id"]: int(n % count) for n, i in enumerate(order)}
    return [fold[pair["id"]] if kind != "cross" else fold[pair["beside"]] for pair, kind in zip(data.pairs, data.kind)]


def table(data, scores, mask, threshold):
    by = defaultdict(list)
    hits = scores >= threshold
    for type_, same, hit in zip(data.type[mask], data.y[mask], hits):
        by[(1 - same, type_)].append(hit)
    for (wrong, type_), found in sorted(by.items()):
        print(f"  {'near-miss ' if wrong else 'paraphrase'} {type_:22} {int(sum(found)):3} of {len(found):3}")


def write(path, fitted, names, slope, shift):
    scaler, weights = fitted[0], fitted[1]
    with open(path, "w", encoding="ascii") as out:
        out.write("# Written by cache/semantic/train/fit.py: do not edit. Format: cache/src/semantic/guard/weights.rs.\n")
        for row in zip(names, scaler.mean_, scaler.scale_, weights.coef_[0]):
            out.write("{} {:.5f} {:.5f} {:.5f}\n".format(*row))
        out.write(f"bias {weights.intercept_[0]:.5f}\nslope {slope:.5f}\nshift {shift:.5f}\n")


def calibration(data, scores, cut):
    """Platt's curve over out-of-fold sums, at the mix of right and wrong candidates that puts `cut` at THRESHOLD."""
    mask = (scores > REFUSED) & (scores < SAME)
    y = data.y[mask]
    weight = data.weight[mask]
    slope = LogisticRegression(C=100.0).fit(scores[mask, None], y, sample_weight=weight).coef_[0][0]
    shift = np.log(THRESHOLD / (1 - THRESHOLD)) - slope * cut
    confidence = 1 / (1 + np.exp(-(slope * scores[mask] + shift)))
    # How many wrong candidates stand to each right one where this confidence is what it says.
    wrong = (confidence[y == 1] < 2).sum() and ((1 - confidence[y == 1]).sum() / np.maximum(1e-9, (confidence * weight)[y == 0].sum()))
    print(f"slope {slope:.3f} shift {shift:.3f}: calibrated for {wrong:.2f} times the wrong candidates of these files")
    return slope, shift


def main(served, own, other, cross, features, out):
    data = Data(served, own, other, cross, features)
    kinds = {name: data.kind == name for name in ("served", "own", "other")}
    judged = data.kind != "cross"
    # Pairs that were not written to be as near as can be: what a cache meets.
    common = kinds["served"] | kinds["other"]
    print("checks: right pairs refused / wrong pairs refused")
    for reason in sorted(set(data.reason) - {""}):
        found = (data.reason == reason) & judged
        print(f"  {reason:14} {int((found & (data.y == 1)).sum()):4} {int((found & (data.y == 0)).sum()):4}")
    for i in np.where(TYPES & (data.y == 1) & ~data.open & ~data.strict & judged)[0]:
        print("   refused:", data.pairs[i]["id"], data.type[i], data.reason[i], "|", data.detail[i][:150])

    by_line = folds(data, line_groups(data))
    by_file = folds(data, [kind if kind != "cross" else pair["file"] for kind, pair in zip(data.kind, data.pairs)])
    by_type = folds(data, [t if k != "cross" else None for t, k in zip(data.type, data.kind)]) if TYPES else by_line
    for way, scores in (("ten folds", by_line), ("each file left out", by_file), ("each type left out", by_type)):
        for name, mask in (*kinds.items(), ("common", common), ("all", judged)):
            print(f"{way}, {name}:", [(r, round(at_false_rate(data, scores[mask], mask, r)[0], 3)) for r in (0.005, 0.01, 0.03)])
    cut = max(at_false_rate(data, by_line[common], common, CUT_RATE)[1], at_false_rate(data, by_line[judged], judged, MOST_RATE)[1])
    print(f"cut {cut:.3f}")
    for way, scores in (("ten folds", by_line), ("each file left out", by_file)):
        print(f"  {way}:", ", ".join("{} {:.1%} / {:.1%}".format(name, *rates(data, scores[mask], mask, cut)) for name, mask in kinds.items()))
    for name, mask in kinds.items():
        print(name)
        table(data, by_line[mask], mask, cut)
    for i in np.where((data.y == 0) & judged & (by_line >= cut - 0.5))[0]:
        print("  near the cut:", round(by_line[i] - cut, 2), data.pairs[i]["id"], data.type[i], data.pairs[i]["a"][:90].replace("\n", " "), "||", data.pairs[i]["b"][:110].replace("\n", " "))
    if TYPES:
        for i in np.where((data.y == 1) & judged & data.open & (by_line < cut))[0]:
            print("  missed:", round(by_line[i] - cut, 2), data.pairs[i]["id"], data.type[i], data.pairs[i]["a"][:70].replace("\n", " "), "||", data.pairs[i]["b"][:90].replace("\n", " "))
    fitted = data.fit(np.ones(len(data.y), dtype=bool))
    strongest = sorted(zip(fitted[1].coef_[0], data.names), key=lambda found: -abs(found[0]))
    print("weightiest:", ", ".join(f"{name} {value:.2f}" for value, name in strongest[:20]))
    write(out, fitted, data.names, *calibration(data, by_line, cut))


if __name__ == "__main__":
    main(*sys.argv[1:7])
