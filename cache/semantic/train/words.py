"""Writes which words there are, for the corrector of slips: `python words.py WORDNET_FOLDER OUT`.

WORDNET_FOLDER is /usr/share/wordnet of Debian's package wordnet-base. All single words of WordNet 3.0 and its irregular forms,
as a Bloom filter: of words that are not in it one of some hundred seems to be, and a slip of that kind is not corrected.

Layout: the bits, the lowest of each byte first. A word sets one bit for each of HASHES: with the two halves of the 64-bit
FNV-1a hash of its letters as first and step (made odd), the bits first, first + step, ... modulo their number.
"""

import sys
from pathlib import Path

BYTES = 1 << 17
HASHES = 7
FILES = ("noun", "verb", "adj", "adv")


def fnv(word: str) -> int:
    found = 0xCBF29CE484222325
    for letter in word.encode():
        found = (found ^ letter) * 0x100000001B3 % (1 << 64)
    return found


def main(folder: Path, out: Path) -> None:
    words = set()
    for name in FILES:
        for line in (folder / f"index.{name}").read_text().splitlines():
            if not line.startswith(" "):
                words.add(line.split()[0])
        words.update(line.split()[0] for line in (folder / f"{name}.exc").read_text().splitlines() if line)
    words = sorted(word for word in words if len(word) > 2 and word.isascii() and word.isalpha() and word.islower())
    bits = bytearray(BYTES)
    for word in words:
        found = fnv(word)
        first, step = found & 0xFFFFFFFF, (found >> 32) | 1
        for turn in range(HASHES):
            bit = (first + turn * step) % (BYTES * 8)
            bits[bit // 8] |= 1 << (bit % 8)
    out.write_bytes(bits)
    filled = sum(byte.bit_count() for byte in bits) / (BYTES * 8)
    print(out, len(words), "words, wrong of", round(1 / filled**HASHES))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
