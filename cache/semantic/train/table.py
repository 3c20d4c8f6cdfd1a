"""Distils the static token table: `python table.py OUT`.

Each vocabulary token goes through the model alone ([CLS] token [SEP], mean over the three positions), the vectors are
centred, reduced by SVD to DIM dimensions, each token scaled to length 1 and stored as int8 with one scale for the table.
Frequency is read from the vocabulary's own order: BERT's word pieces are listed from the most to the least frequent.

Layout, little-endian: "PWT1", u32 tokens, u32 dims, then per token: u8 byte length of its text, the text;
then per token one u8 weight (255 = 1.0); then tokens x dims int8. Tokens keep the model's order, `[unused...]` are left out.
"""

import struct
import sys
from pathlib import Path

import numpy as np

from minilm import MiniLm, folder

DIM = 160
CLS, SEP = 101, 102
FIRST_WORD = 1996
BATCH = 512


def alone(model: MiniLm) -> np.ndarray:
    parts = []
    for start in range(0, len(model.vocabulary), BATCH):
        ids = np.arange(start, min(start + BATCH, len(model.vocabulary)))
        rows = np.stack([np.full(len(ids), CLS), ids, np.full(len(ids), SEP)], axis=1)
        parts.append(model.forward(rows).mean(axis=1))
    return np.concatenate(parts)


def weight(index: int, total: int) -> float:
    """Log rank: a word piece's surprise, near 0 for `the`, near 1 for the rare; letters and marks say little."""
    if index < FIRST_WORD:
        return 0.05
    return float(np.log(index - FIRST_WORD + 2) / np.log(total))


def main(out: Path, cached: Path | None) -> None:
    model = MiniLm(folder())
    vectors = np.load(cached).mean(axis=1) if cached else alone(model)
    total = len(model.vocabulary)
    keep = [i for i, token in enumerate(model.vocabulary) if not (token.startswith("[unused") or token.startswith("[PAD"))]
    vectors = vectors[keep].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, singular, axes = np.linalg.svd(vectors, full_matrices=False)
    print("energy kept:", (singular[:DIM] ** 2).sum() / (singular**2).sum())
    reduced = vectors @ axes[:DIM].T
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True) + 1e-12
    step = np.percentile(np.abs(reduced), 99.98) / 127.0
    rows = np.clip(np.round(reduced / step), -127, 127).astype(np.int8)
    texts = [model.vocabulary[i].encode() for i in keep]
    body = b"".join(bytes([len(text)]) + text for text in texts)
    weights = bytes(int(round(255 * weight(i, total))) for i in keep)
    out.write_bytes(b"PWT1" + struct.pack("<II", len(keep), DIM) + body + weights + rows.tobytes())
    print(out, out.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
