"""Draws how sure the guard is and what it serves: `python plot.py OUT STATIC LOCAL SERVED OWN OTHER CROSS FEATURES FOUND`.

STATIC and LOCAL are the tables of weights, the rest what `fit.py` takes. Left: of the pairs in each band of similarity, how
many are paraphrases. Right: what each threshold serves. Out of fold, of SERVED and OTHER: pairs that were not written to be
as near as can be.
"""

import sys
from pathlib import Path

import numpy as np

import fit

WIDTH, HEIGHT, LEFT, TOP, SIDE, GAP = 860, 360, 60, 40, 270, 150
COLOURS = {"static": "#1f77b4", "local": "#d95f02"}
BANDS = (0.0, 0.01, 0.2, 0.4, 0.6, 0.75, 0.85, 0.95, 1.0001)


def curve(path: str) -> tuple:
    """The slope and the shift of a table's calibration."""
    lines = dict(line.split()[:2] for line in Path(path).read_text(encoding="ascii").splitlines() if len(line.split()) == 2)
    return float(lines["slope"]), float(lines["shift"])


def similarities(weights: str, files: list, features: str) -> tuple:
    data = fit.Data(*files, features)
    scores = fit.folds(data, fit.line_groups(data))
    common = (data.kind == "served") | (data.kind == "other")
    slope, shift = curve(weights)
    with np.errstate(over="ignore"):
        found = 1 / (1 + np.exp(-(slope * scores + shift)))
    found[scores <= fit.REFUSED] = 0.0
    found[scores >= fit.SAME] = 0.98
    return found[common], data.y[common] == 1


class Chart:
    def __init__(self, left: int, title: str, across: str, up: str):
        self.left, self.parts = left, []
        bottom = TOP + SIDE
        self.parts.append(f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>')
        self.text(left + SIDE / 2, TOP - 14, title, "middle", 14)
        self.text(left + SIDE / 2, bottom + 36, across, "middle")
        self.parts.append(f'<text x="{left - 42}" y="{TOP + SIDE / 2}" text-anchor="middle" transform="rotate(-90 {left - 42} {TOP + SIDE / 2})">{up}</text>')
        for step in range(6):
            share = step / 5
            self.text(left + share * SIDE, bottom + 16, f"{share:.1f}", "middle")
            self.text(left - 6, bottom - share * SIDE + 4, f"{share:.0%}", "end")
            self.parts.append(f'<path d="M{left} {bottom - share * SIDE:.1f}h{SIDE}" stroke="#ddd"/>')

    def text(self, x: float, y: float, text: str, anchor: str = "start", size: int = 11):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{text}</text>')

    def place(self, x: float, y: float) -> str:
        return f"{self.left + x * SIDE:.1f} {TOP + (1 - y) * SIDE:.1f}"

    def line(self, points: list, colour: str, dash: str = ""):
        path = "L".join(self.place(x, y) for x, y in points)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')

    def dots(self, points: list, colour: str):
        for x, y in points:
            across, up = self.place(x, y).split()
            self.parts.append(f'<circle cx="{across}" cy="{up}" r="3.5" fill="{colour}"/>')


def main(out: str, static: str, local: str, served: str, own: str, other: str, cross: str, features: str, found: str) -> None:
    files = [served, own, other, cross]
    reliability = Chart(LEFT, "Reliability", "similarity", "of these paraphrases")
    serves = Chart(LEFT + SIDE + GAP, "What a threshold serves", "threshold", "served")
    reliability.line([(0, 0), (1, 1)], "#aaa", "3 3")
    serves.line([(fit.THRESHOLD, 0), (fit.THRESHOLD, 1)], "#aaa", "3 3")
    for row, (name, weights, table) in enumerate((("static", static, features), ("local", local, found))):
        sure, right = similarities(weights, files, table)
        bands = [(sure >= low) & (sure < high) for low, high in zip(BANDS, BANDS[1:])]
        points = [(sure[band].mean(), right[band].mean()) for band in bands if band.any()]
        reliability.line(points, COLOURS[name])
        reliability.dots(points, COLOURS[name])
        steps = np.arange(0.02, 1.0, 0.01)
        serves.line([(step, (sure[right] >= step).mean()) for step in steps], COLOURS[name])
        serves.line([(step, (sure[~right] >= step).mean()) for step in steps], COLOURS[name], "5 3")
        serves.text(serves.left + SIDE + 8, TOP + 20 + 40 * row, f"{name}: paraphrases")
        serves.text(serves.left + SIDE + 8, TOP + 34 + 40 * row, "- - near-misses")
        serves.parts.append(f'<path d="M{serves.left + SIDE + 8} {TOP + 8 + 40 * row}h60" stroke="{COLOURS[name]}" stroke-width="3"/>')
    body = "\n".join(reliability.parts + serves.parts)
    Path(out).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
