"""Derives the compact word table from WordNet 3.0: `python lexicon.py WORDNET_FOLDER VOCABULARY OUT`.

WORDNET_FOLDER is /usr/share/wordnet of Debian's package wordnet-base. Kept are single words (and two-word verbs such as
"turn off") that WordNet's own tagged texts use or that the model's vocabulary has as a whole word; of each the first
senses of each part of speech, the parent of each sense, antonyms, and the words derived from it.

Layout, little-endian: "PWL1", u32 words, u32 senses; words sorted by their bytes: u8 length, text; per word: u8 count and
that many u16 senses; per sense: u16 parent (0xffff: none); then three lists, each u32 count and pairs of u16 word numbers:
antonyms, derived words, irregular forms (form's text is a word of the table too, its base second).
"""

import struct
import sys
from collections import defaultdict
from pathlib import Path

SENSES = {"n": 4, "v": 5, "a": 3, "r": 2}
FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
NONE = 0xFFFF


def load(folder: Path):
    index, data = {}, {}
    for pos, name in FILES.items():
        for line in (folder / f"index.{name}").read_text().splitlines():
            if line.startswith(" "):
                continue
            parts = line.split()
            count = int(parts[2])
            tagged = int(parts[-1 - count])
            index[(parts[0], pos)] = (parts[-count:], tagged)
        for line in (folder / f"data.{name}").read_text().splitlines():
            if line.startswith(" "):
                continue
            fields = line.split(" | ")[0].split()
            words = [fields[4 + 2 * i].split("(")[0].lower() for i in range(int(fields[3], 16))]
            at = 4 + 2 * len(words)
            pointers = []
            for i in range(int(fields[at])):
                kind, target, target_pos, ends = fields[at + 1 + 4 * i : at + 5 + 4 * i]
                pointers.append((kind, (target_pos.replace("s", "a"), target), int(ends[:2], 16), int(ends[2:], 16)))
            data[(pos, fields[0])] = (words, pointers)
    return index, data


def wanted(word: str, pos: str, tagged: int, vocabulary: set) -> bool:
    if "_" in word:
        first, *rest = word.split("_")
        return pos == "v" and len(rest) == 1 and tagged > 0 and first.isalpha() and rest[0].isalpha()
    return len(word) > 1 and word.replace("-", "").isalpha() and word.isascii() and (tagged > 0 or word in vocabulary)


def main(folder: Path, vocabulary_file: Path, out: Path) -> None:
    vocabulary = set(vocabulary_file.read_text(encoding="utf-8").split("\n"))
    index, data = load(folder)
    senses_of = defaultdict(list)
    for (word, pos), (offsets, tagged) in sorted(index.items()):
        if wanted(word, pos, tagged, vocabulary):
            senses_of[word].extend((pos, offset) for offset in offsets[: SENSES[pos]])
    irregular = []
    for name in FILES.values():
        for line in (folder / f"{name}.exc").read_text().splitlines():
            form, base = line.split()[:2]
            if base in senses_of and form != base and form.isalpha() and (form in vocabulary or base in vocabulary):
                irregular.append((form, base))
    words = sorted(set(senses_of) | {form for form, _ in irregular}, key=lambda word: word.replace("_", " ").encode())
    number = {word: i for i, word in enumerate(words)}
    parent, used = {}, {sense for senses in senses_of.values() for sense in senses}
    for sense in sorted(used):
        kinds = {"n": ("@", "@i"), "v": ("@",), "a": ("&",), "r": ()}[sense[0]]
        targets = [target for kind, target, _, _ in data[sense][1] if kind in kinds]
        if targets:
            parent[sense] = targets[0]
    # A parent that no kept word names is still a meeting point for its children.
    children = defaultdict(int)
    for target in parent.values():
        children[target] += 1
    kept = sorted(used | {target for target, count in children.items() if count > 1})
    if len(kept) >= NONE:
        raise SystemExit(f"{len(kept)} senses do not fit 16 bits: keep fewer")
    sense_number = {sense: i for i, sense in enumerate(kept)}
    antonyms, derived = set(), set()
    for sense in sorted(used):
        own, pointers = data[sense]
        for kind, target, from_word, to_word in pointers:
            if kind not in ("!", "+", "\\") or not from_word or target not in data:
                continue
            pair = (own[from_word - 1], data[target][0][to_word - 1])
            if pair[0] in number and pair[1] in number and pair[0] != pair[1]:
                (antonyms if kind == "!" else derived).add(tuple(sorted(pair)))
    blob = b"PWL1" + struct.pack("<II", len(words), len(kept))
    for word in words:
        text = word.replace("_", " ").encode()
        blob += bytes([len(text)]) + text
    for word in words:
        numbers = sorted({sense_number[sense] for sense in senses_of.get(word, [])})
        blob += bytes([len(numbers)]) + b"".join(struct.pack("<H", n) for n in numbers)
    blob += b"".join(struct.pack("<H", sense_number.get(parent.get(sense), NONE)) for sense in kept)
    for pairs in (antonyms, derived, set(irregular)):
        blob += struct.pack("<I", len(pairs))
        blob += b"".join(struct.pack("<HH", number[a], number[b]) for a, b in sorted(pairs))
    out.write_bytes(blob)
    print(out, len(blob), "words", len(words), "senses", len(kept), "antonyms", len(antonyms), "derived", len(derived))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
