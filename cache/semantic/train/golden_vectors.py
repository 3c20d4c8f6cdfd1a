"""Vectors that the local embedder must reproduce: `python golden_vectors.py > ../../tests/data/minilm_vectors.jsonl`.

Each line has a text, the first numbers of its vector and its cosine with every line's; by the model's own tokenizer, in numpy.
"""

import json

import numpy as np
from tokenizers import Tokenizer

from minilm import MiniLm, folder

LONGEST = 256
TEXTS = [
    "How do I deploy to Kubernetes?",
    "What is the process for deploying on k8s?",
    "flights from Paris to Rome",
    "flights from Rome to Paris",
    "Crème brûlée für 4 Personen: wie lange im Ofen?",
    "東京の天気はどうですか",
    "fn main() { println!(\"{}\", 1 << 20); }",
    "a",
    "the quick brown fox jumps over the lazy dog " * 40,
]


def sentence(model: MiniLm, tokenizer: Tokenizer, text: str) -> np.ndarray:
    ids = tokenizer.encode(text).ids
    if len(ids) > LONGEST:
        ids = ids[: LONGEST - 1] + ids[-1:]
    mean = model.forward(np.array([ids]))[0].mean(0)
    return mean / np.linalg.norm(mean)


def main() -> None:
    where = folder()
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    model = MiniLm(where)
    vectors = [sentence(model, tokenizer, text) for text in TEXTS]
    for text, vector in zip(TEXTS, vectors):
        line = {
            "text": text,
            "first": [round(float(x), 6) for x in vector[:12]],
            "cosines": [round(float(vector @ other), 6) for other in vectors],
        }
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
