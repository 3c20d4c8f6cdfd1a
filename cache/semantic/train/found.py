"""Adds what all-MiniLM-L6-v2 says of each pair to the guard's features: `python found.py FEATURES PAIRS... > FOUND`.

The columns are those that `cache/src/semantic/guard/features.rs` adds for a candidate that this model found.
"""

import json
import sys

from tokenizers import Tokenizer

from golden_vectors import sentence
from minilm import MiniLm, folder


def main(features: str, *pairs: str) -> None:
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = MiniLm(folder())
    known: dict = {}

    def vector(text: str):
        if text not in known:
            known[text] = sentence(model, tokenizer, text)
        return known[text]

    lines = open(features, encoding="utf-8").read().rstrip("\n").split("\n")
    names = lines[0].split("\t")
    covered, frame, slips, own = (names.index(name) for name in ("covered_low", "frame", "slips", "cosine"))
    print("\t".join([*names, "model_cosine", "model_cosine_squared", "model_cosine_covered", "model_cosine_frame"]))
    read = [json.loads(line) for path in pairs for line in open(path, encoding="utf-8")]
    assert len(read) == len(lines) - 1
    for line, pair in zip(lines[1:], read):
        cosine = float(vector(pair["a"]) @ vector(pair["b"]))
        row = line.split("\t")
        if float(row[slips]):
            cosine = max(cosine, float(row[own]))
        added = [cosine, cosine**2, cosine * float(row[covered]), cosine * float(row[frame])]
        print("\t".join([*row, *(f"{value:.4f}" for value in added)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
