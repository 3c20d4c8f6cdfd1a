"""Writes the tokenizer's golden file: `python golden.py PAIRS OUT`: texts and the numbers the model's own tokenizer gives.

Numbers are places in the table, which leaves out `[PAD]` and the `[unused...]` entries of the model's vocabulary.
"""

import json
import sys

from tokenizers import Tokenizer

from minilm import folder

ODD = [
    "", " ", "Naïve café déjà vu", "ÀÉÎÕÜ àéîõü ñ ç ß Ø ł", "Ångström İstanbul ıI", "ﬁne ﬂow ½ ² ³ №", "don't can't we'll it's", "e-mail, Wi-Fi; kick-off!", "100ml 3x-7=20 p95 k8s",
    "漢字 かな カナ 한국어 mixed with English", "中文。日本語、テスト！", "हिन्दी में एक वाक्य", "السلام عليكم", "עברית", "ไทย", "Русский текст", "Ελληνικά", "emoji 🙂 👩‍👩‍👧 🇩🇪", "a\u0301 combining", "zero\u200bwidth\u200djoin", "tab\tnew\nline\r\n",
    "soft\u00adhyphen", "non\u00a0breaking", "„quotes“ «guillemets» ‘single’", "…—–‐", "$€£¥₹ % ‰", "x² + y² = z²", "C++ C# F# .NET Node.js", "foo_bar::baz<T>(a, b) => c", "https://example.com/a?b=c&d=e#f", "user@example.org", "A" * 99, "B" * 101, "supercalifragilisticexpialidocious",
    "\u0000nul\u0007bell", "\ufffdreplacement", "ｆｕｌｌｗｉｄｔｈ", "ΑΒΓ Σίσυφος", "İ", "ǅ ǆ", "豈 更", "\U0002a6a5", "₀₁₂ ⁰¹²", "① ② Ⅳ", "`code` ~tilde~ ^caret^ |pipe|", "\u2028line\u2029para", "ﷺ", "Å Å", "ё й Й",
]


def main(pairs: str, out: str) -> None:
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    vocabulary = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    kept = [number for number, token in vocabulary if not (token.startswith("[unused") or token.startswith("[PAD"))]
    place = {number: at for at, number in enumerate(kept)}
    texts = list(ODD)
    for line in list(open(pairs, encoding="utf-8"))[:400:2]:
        texts.append(json.loads(line)["b"])
    with open(out, "w", encoding="utf-8") as golden:
        for text in texts:
            numbers = [place[number] for number in tokenizer.encode(text, add_special_tokens=False).ids]
            golden.write(json.dumps({"text": text, "pieces": numbers}, ensure_ascii=True) + "\n")


main(sys.argv[1], sys.argv[2])
