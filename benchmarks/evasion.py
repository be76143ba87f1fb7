"""What gets past MemFree: passages that a real model recites, asked for in other styles.

No race: `python -m benchmarks.evasion` measures rates, for docs/decoding.md.
"""

import sys
from itertools import islice

import polars as pl

from byrote.decoding import NGramSet, measure_evasion
from byrote.models import load
from byrote.recall import first_misses
from byrote.texts import cut, make_controls, open_source
from byrote.texts.passages import Passage
from byrote.texts.tokens import tokenize

MODEL, CORPUS = "bundled:gemma3-270m", "corpus:licenses"
PREFIX, SUFFIX, N = 32, 16, 10
WANTED, LOOKED_AT = 12, 1600


def main() -> None:
    loaded = load(MODEL)
    records = list(open_source(CORPUS).records())
    documents = [ids for _, ids, _ in tokenize(records, loaded.tokenizer)]
    cuts = cut(records, loaded.tokenizer, prefix_len=PREFIX, suffix_len=SUFFIX)
    windows = list(islice(cuts, LOOKED_AT))
    found: list[Passage] = []
    for start in range(0, len(windows), 200):
        block = windows[start : start + 200]
        misses = first_misses(loaded, block)
        found += [p for p, miss in zip(block, misses, strict=True) if miss == p.suffix_len]
        print(f"{start + len(block)} windows, {len(found)} recited", file=sys.stderr)
        if len(found) >= WANTED:
            break
    found = found[:WANTED]
    ngrams = NGramSet.build(documents, N)
    asked = [*found, *make_controls("mismatched", found, 0)]
    report(measure_evasion(loaded, asked, ngrams), len(found))


def report(measured: pl.DataFrame, passages: int) -> None:
    print(f"## Evasion of MemFree: {passages} passages that {MODEL} recites\n")
    for group in measured["group"].unique(maintain_order=True):
        part = measured.filter(group=group)
        rows = []
        for style in part["style"].unique(maintain_order=True):
            for decoding in ("plain", "memfree"):
                row = part.filter(style=style, decoding=decoding)
                cells = [told(row, name) for name in ("verbatim", "recited", "approximate")]
                mean = row.filter(measure="edit_similarity")["value"].item()
                rows.append((style, decoding, *cells, f"{mean:.2f}"))
        print(f"{group}:\n")
        print("| style | decoding | verbatim | recited | approximate | edit similarity |")
        print("|---|---|---|---|---|---|")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n")


def told(row: pl.DataFrame, measure: str) -> str:
    found = row.filter(measure=measure).row(0, named=True)
    return f"{found['value']:.0%} [{found['low']:.0%}, {found['high']:.0%}]"


if __name__ == "__main__":
    main()
