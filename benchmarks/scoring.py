"""Scoring end to end (passages to tables) against the machine's own matrix-product rate."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.common import kjv_passages, matmul_flops, table
from byrote.audit.config import AuditConfig
from byrote.audit.rows import part_tables
from byrote.models import keep_freed_memory, load, split_head
from byrote.recall import Scorer
from byrote.runs import Parts

WINDOWS, PREFIX, SUFFIX = 500, 50, 50
PART = 128
TURNS = 3


def needed_flops(loaded, windows: int) -> float:
    """2 × parameters used × tokens; the head on suffix positions only, embeddings looked up."""
    head = split_head(loaded.model)
    assert head is not None
    vocab, width = head.weight.shape
    # Tied weights are counted once by parameters(); the body is everything but the embeddings.
    body = sum(p.numel() for n, p in loaded.model.base_model.named_parameters() if "embed" not in n)
    tokens = PREFIX + SUFFIX - 1 + (loaded.bos_id is not None)
    return 2.0 * windows * (body * tokens + vocab * width * SUFFIX)


def main() -> None:
    keep_freed_memory()  # as an audit does; it serves all ways alike
    loaded = load("bundled:smollm2-135m")
    passages = kjv_passages(loaded.tokenizer, WINDOWS, PREFIX, SUFFIX)
    scorer = Scorer(loaded, batch_size=32)
    config = AuditConfig()
    flops = needed_flops(loaded, len(passages))
    shares, rates = [], []
    scorer.score(passages[:32])
    for _ in range(TURNS):
        before = matmul_flops()
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            parts = Parts(Path(folder))
            for index, first in enumerate(range(0, len(passages), PART)):
                block = passages[first : first + PART]
                parts.write(index, part_tables(block, scorer, loaded, config, lambda _: None))
        seconds = time.perf_counter() - start
        peak = (before + matmul_flops()) / 2
        shares.append(flops / seconds / peak)
        rates.append(len(passages) / seconds)
    table(
        f"Scoring {len(passages)} windows of {PREFIX}+{SUFFIX} tokens, smollm2-135m, 2 threads",
        [
            ("arithmetic needed", f"{flops / 1e12:.2f} TFLOP"),
            ("windows a second", f"{statistics.median(rates):.2f}"),
            (
                "share of the machine's matrix-product rate, passages to Parquet",
                f"**{statistics.median(shares):.0%}** ({', '.join(f'{s:.0%}' for s in shares)})",
            ),
        ],
        "The rate is that of a 2048³ float32 product, measured just before and after each turn.",
    )


if __name__ == "__main__":
    main()
