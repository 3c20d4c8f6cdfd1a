"""Pairs of prompts that have nothing to do with each other but words: `python cross.py PAIRS... > cross.jsonl`.

Each first prompt beside the second prompt of another line that shares the most words with it. They teach the weights what
a candidate of a crowded index looks like; no answer of one line serves another line.
"""

import json
import re
import sys


def words(text: str) -> set:
    return {word[:5] for word in re.findall(r"[a-z0-9]+", text.lower()) if len(word) > 3}


def main() -> None:
    names = ("served", "own", "other")
    pairs = [{**json.loads(line), "file": name} for name, path in zip(names, sys.argv[1:]) for line in open(path, encoding="utf-8")]
    pairs = [pair for pair in pairs if pair.get("lang", "en") == "en" and pair.get("len") != "long"]
    for pair in pairs:
        mine = words(pair["a"])
        others = [(len(mine & words(other["b"])) / max(1, len(mine | words(other["b"]))), other) for other in pairs if other is not pair]
        share, other = max(others, key=lambda found: found[0])
        if share > 0.12:
            line = {"id": f"{pair['id']}x{other['id']}", "a": pair["a"], "b": other["b"], "same": False, "type": "unrelated", "beside": pair["id"], "file": pair["file"]}
            print(json.dumps(line, ensure_ascii=False))


main()
