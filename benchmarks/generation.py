"""Scoring and the early-exit verdict against greedy `model.generate`, with the same verdicts."""

import statistics

import torch

from benchmarks.common import in_turns, kjv_passages, ratio, table
from byrote.models import keep_freed_memory, load
from byrote.recall import Scorer, first_misses

WINDOWS, BATCH, SUFFIX = 64, 32, 50


def by_generating(loaded, passages) -> list[bool]:
    """The plain way: write the continuation of each prefix and compare."""
    verdicts = []
    for first in range(0, len(passages), BATCH):
        batch = passages[first : first + BATCH]
        ids = torch.tensor([p.prefix_ids.tolist() for p in batch])
        written = loaded.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=SUFFIX,
            eos_token_id=None,
            pad_token_id=0,
        )[:, ids.shape[1] :]
        wanted = torch.tensor([p.suffix_ids.tolist() for p in batch])
        verdicts += (written == wanted).all(1).tolist()
    return verdicts


def main() -> None:
    keep_freed_memory()  # as an audit does; it serves all ways alike
    loaded = load("bundled:smollm2-135m")
    passages = kjv_passages(loaded.tokenizer, WINDOWS, 50, SUFFIX)
    scorer = Scorer(loaded, batch_size=BATCH)
    results = {}

    def keep(name, verdicts):
        results[name] = verdicts

    seconds = in_turns(
        {
            "generate": lambda: keep("generate", by_generating(loaded, passages)),
            "score": lambda: keep("score", [bool(s.hit.all()) for s in scorer.score(passages)]),
            "verdict": lambda: keep(
                "verdict",
                [miss == SUFFIX for miss in first_misses(loaded, passages, batch_size=BATCH)],
            ),
        },
        turns=3,
    )
    assert results["generate"] == results["score"] == results["verdict"]
    rows = [(f"{name}, seconds", f"{statistics.median(s):.1f}") for name, s in seconds.items()]
    table(
        f"Against `model.generate`: {WINDOWS} windows of 50+50 tokens, smollm2-135m, batch {BATCH}",
        [
            *rows,
            ("all scores / generate", f"**{ratio(seconds['generate'], seconds['score']):.2f} ×**"),
            (
                "verdict only / generate",
                f"**{ratio(seconds['generate'], seconds['verdict']):.2f} ×**",
            ),
            ("verdicts", f"identical ({sum(results['score'])} of {WINDOWS} recited)"),
        ],
    )


if __name__ == "__main__":
    main()
