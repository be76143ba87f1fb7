"""Filters of n-grams: built, asked, and between a model and its next token, on one thread."""

import statistics
import time

import numpy as np
import torch
from transformers import LogitsProcessorList

from benchmarks.common import in_turns, kjv_passages, ratio, table
from byrote.decoding import BloomFilter, MemFree, NGramSet
from byrote.models import load
from byrote.texts import open_source
from byrote.texts.tokens import tokenize

N, FPR = 10, 0.001
LOOKUPS = 300_000
ROWS, PREFIX, NEW = 4, 32, 48


def main() -> None:
    torch.set_num_threads(1)
    loaded = load("bundled:smollm2-135m")
    records = open_source("corpus:kjv").records()
    documents = [ids for _, ids, _ in tokenize(records, loaded.tokenizer)]
    tokens = sum(map(len, documents))
    filters = built(documents, tokens)
    asked(filters, documents, loaded.vocab_size)
    decoding(loaded, filters)


def built(documents, tokens):
    """Both filters, and the plain way: a Python set of tuples."""
    made = {}

    def keep(name, value):
        made[name] = value

    def plain():
        known = set()
        for document in documents:
            ids = document.tolist()
            known.update(zip(*(ids[i:] for i in range(N)), strict=False))
        return known

    seconds = in_turns(
        {
            "Bloom filter": lambda: keep("bloom", BloomFilter.build(documents, N, fpr=FPR)),
            "Bloom filter, streamed": lambda: BloomFilter.build(
                documents, N, fpr=FPR, capacity=tokens
            ),
            "exact set": lambda: keep("exact", NGramSet.build(documents, N)),
            "Python set of tuples": lambda: keep("plain", plain()),
        },
        turns=3,
    )
    assert made["exact"].count == len(made["plain"])
    rows = [
        (f"{name}, M tokens a second", f"{tokens / statistics.median(s) / 1e6:.2f}")
        for name, s in seconds.items()
    ]
    rows += [
        (f"{kind}, bytes an n-gram", f"{made[kind].nbytes / made[kind].count:.1f}")
        for kind in ("bloom", "exact")
    ]
    gain = ratio(seconds["Python set of tuples"], seconds["Bloom filter"])
    rows.append(("plain / Bloom filter", f"**{gain:.1f} ×**"))
    table(
        f"Filters of {N}-grams from {tokens:,} tokens of the King James Version, one thread "
        "(at least 1 M tokens a second)",
        rows,
    )
    del made["plain"]
    return made


def asked(filters, documents, vocab_size):
    """Stated and measured false positives, and lookups a second."""
    rng = np.random.default_rng(0)
    joined = np.concatenate(documents)
    windows = np.lib.stride_tricks.sliding_window_view(joined, N)
    true = windows[filters["exact"].contains(windows)]
    wrong = true[rng.integers(0, len(true), LOOKUPS)].copy()
    wrong[:, -1] = rng.integers(0, vocab_size, LOOKUPS)
    wrong = wrong[~filters["exact"].contains(wrong)]
    unknown = rng.integers(0, vocab_size, (LOOKUPS, N))
    bloom = filters["bloom"]
    rows = [
        ("asked for", f"{FPR:.4f}"),
        ("stated, from the bits that are set", f"{bloom.fpr:.5f}"),
        ("measured behind true prefixes", f"**{bloom.contains(wrong).mean():.5f}**"),
        ("measured on random n-grams", f"{bloom.contains(unknown).mean():.7f}"),
        ("true n-grams that are denied", f"{int((~bloom.contains(true)).sum())} of {len(true):,}"),
    ]
    for name, made in filters.items():
        for what, asked_for in (("random", unknown), ("true", true[:LOOKUPS])):
            start = time.perf_counter()
            made.contains(asked_for)
            rate = len(asked_for) / (time.perf_counter() - start) / 1e6
            rows.append((f"{name}: {what} n-grams, M lookups a second", f"{rate:.2f}"))
    table(f"Asking {LOOKUPS:,} n-grams, one thread", rows)


def decoding(loaded, filters):
    """What MemFree costs beside the model, where the prompts recite and where they do not."""
    passages = kjv_passages(loaded.tokenizer, 400, PREFIX, NEW)[:: 400 // ROWS][:ROWS]
    known = torch.tensor(np.stack([passage.prefix_ids for passage in passages]))
    strange = torch.from_numpy(
        np.random.default_rng(1).integers(0, loaded.vocab_size, (ROWS, PREFIX))
    )
    rows = []
    for name, prompts in (("of the filter's texts", known), ("random", strange)):
        for kind, ngrams in filters.items():
            spent, counts = Timed.of(loaded, prompts, ngrams)
            rows.append(
                (
                    f"{kind}, prompts {name}",
                    f"**{100 * spent:.2f} %** ({counts.rows_hit} of {counts.rows} rows hit)",
                )
            )
    naive = naive_milliseconds(loaded.vocab_size)
    rows.append(("each token of the vocabulary in a Python set, ms a row", f"{naive:.0f}"))
    table(
        f"MemFree as a share of a decoding step: smollm2-135m, {ROWS} rows, {NEW} tokens, one "
        "thread (at most 1 %)",
        rows,
    )


class Timed(MemFree):
    """MemFree that counts the seconds it takes."""

    seconds = 0.0

    def __call__(self, input_ids, scores):
        start = time.perf_counter()
        result = super().__call__(input_ids, scores)
        self.seconds += time.perf_counter() - start
        return result

    @classmethod
    def of(cls, loaded, prompts, ngrams):
        """The share of a generation's time, after one that is not counted."""

        def write():
            processor = cls(ngrams)
            start = time.perf_counter()
            loaded.model.generate(
                input_ids=prompts,
                attention_mask=torch.ones_like(prompts),
                do_sample=False,
                max_new_tokens=NEW,
                eos_token_id=None,
                pad_token_id=0,
                logits_processor=LogitsProcessorList([processor]),
            )
            return time.perf_counter() - start, processor

        write()
        whole, processor = write()
        return processor.seconds / (whole - processor.seconds), processor.counts


def naive_milliseconds(vocab_size):
    prefix = tuple(range(N - 1))
    known = {(*prefix, 5)}
    start = time.perf_counter()
    found = [token for token in range(vocab_size) if (*prefix, token) in known]
    assert found == [5]
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
