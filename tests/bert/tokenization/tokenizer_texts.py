"""Texts that show every choice a tokenizer makes, from a seed."""

from __future__ import annotations

import random

# Letters whose case, accents or width are hard, all kinds of white space, controls, and punctuation.
HARD = "aeioué中文Ωσςßſǆİiſ#[]'.!-_0٣\u0300\u00ad\u200d\ufffd\0\t\n\r \u00a0\u2028\x0b\x1c\x85"
WORDS = ["aé", "ss", "ΩΣ", "[MASK]", "中文", "[SEP]", "A", "i", ".", "'", "Foo", "foo", "FOO", "foo.bar"]
WORDS += [
    "Foo.Bar",
    "A\u0300B",
    "ÀB",
    "(Foo)",
    "Foo.",
    "[M\0ASK]",
    "ss.",
    "\ufffdFoo",
    "Foo\u2028Foo",
    "[cls]",
]
RANGES = [(0x20, 0x7F), (0x20, 0x3000), (0x3000, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "ss",
    "##ss",
    "ae",
    "##io",
    "A",
    "##E",
    "Foo",
    "foo.bar",
]
PIECES += [prefix + letter for letter in "aeiouéf中文ωσςßſi#[].'!-_0٣" for prefix in ("", "##")]
VOCAB = {piece: id_ for id_, piece in enumerate(dict.fromkeys([*PIECES, "ÀB", "ss."]))}


def random_text(source: random.Random, longest: int = 14) -> str:
    size = source.randrange(longest)
    kind = source.randrange(4)
    if kind == 0:
        return "".join(source.choice(HARD) for _ in range(size))
    if kind == 1:
        return " ".join(source.choice(WORDS) for _ in range(size))
    if kind == 2:
        return "".join(source.choice(WORDS) + source.choice(["", " "]) for _ in range(size))
    return "".join(chr(source.randrange(*source.choice(RANGES))) for _ in range(size))
