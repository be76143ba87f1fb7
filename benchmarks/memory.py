"""Peak memory of scoring with a vocabulary of 262,144 tokens."""

import resource

from benchmarks.common import kjv_passages, table
from byrote.models import keep_freed_memory, load
from byrote.recall import Scorer


def main() -> None:
    keep_freed_memory()  # as an audit does; it serves all ways alike
    loaded = load("bundled:gemma3-270m")
    passages = kjv_passages(loaded.tokenizer, 64)
    Scorer(loaded, batch_size=32).score(passages)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    weights = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    logits = 32 * 50 * loaded.vocab_size * 4
    table(
        "Peak memory: gemma3-270m, 100-token windows, batch 32 (at most the weights + 1 GB)",
        [
            ("weights", f"{weights / 1e9:.2f} GB"),
            ("peak of the whole process", f"{peak / 1e9:.2f} GB"),
            ("peak less weights", f"**{(peak - weights) / 1e9:.2f} GB**"),
            ("the suffix logits alone, had they been held at once", f"{logits / 1e9:.2f} GB"),
        ],
        "The peak holds Python, torch, the tokenizer and the text as well.",
    )


if __name__ == "__main__":
    main()
