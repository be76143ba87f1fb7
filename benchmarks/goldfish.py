"""Goldfish masks: speed, what a collator costs, and drop rates and collisions beside the reference.

`python -m benchmarks.goldfish [mask] [step] [table] [copies]`
"""

import argparse
import statistics
import textwrap
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import in_turns, ratio, table
from byrote.exposure.goldfish import Goldfish, GoldfishCollator, keep_mask
from byrote.exposure.goldfish.hashing import scramble, window_hashes
from byrote.exposure.goldfish.official import keys

ROWS, WIDTH = 8, 2048
MODEL = "random:llama?hidden_size=128&num_hidden_layers=4&vocab_size=1024"
TOKENIZER = "bundled:smollm2-135m"
OTHER_TOKENIZER = "bundled:gemma3-270m"
SEEDS, FREQUENT = 8, 5_000


def mask() -> None:
    """Milliseconds of a mask, one thread whatever OMP_NUM_THREADS says: numpy uses no more."""
    rng = np.random.default_rng(0)
    ids = rng.integers(3, 50_000, (ROWS, WIDTH))
    packed = np.where(rng.random(ids.shape) < 0.005, 2, ids)
    ways = {f"hash, h = {h}": (Goldfish(h=h), ids, {}) for h in (1, 4, 13, 50, 64)}
    ways["hash, h = 13, packed, with special tokens"] = (
        Goldfish(),
        packed,
        {"exempt_ids": (0, 1, 2), "separators": (2,)},
    )
    ways |= {f"official, h = {h}": (Goldfish(h=h, strategy="official"), ids, {}) for h in (13, 50)}
    seconds = in_turns(
        {
            name: lambda g=goldfish, i=rows, o=options: keep_mask(i, g, **o)
            for name, (goldfish, rows, options) in ways.items()
        },
        turns=50,
    )
    table(
        f"Goldfish mask of {ROWS} × {WIDTH} tokens, milliseconds (at most 2)",
        [(name, f"**{1e3 * statistics.median(times):.2f}**") for name, times in seconds.items()],
    )


def step() -> None:
    """A training step with the mask made on the way, against one whose labels were ready."""
    import torch

    from byrote.exposure.goldfish import kept_token_loss
    from byrote.models import load

    loaded = load(MODEL)
    rows = torch.from_numpy(np.random.default_rng(1).integers(3, 1024, (4, 256)))
    goldfish = Goldfish()

    def plain(features: list) -> dict:
        return {"input_ids": rows, "labels": rows.clone()}

    masked = GoldfishCollator(plain, goldfish, exempt_ids=(0, 1, 2))
    ready = masked([])["labels"]
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=1e-5)

    def train(collate, labels) -> None:
        batch = collate([])
        targets = batch["labels"] if labels is None else labels
        kept_token_loss(loaded.model(input_ids=batch["input_ids"]), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    seconds = in_turns(
        {"collator": lambda: train(masked, None), "ready": lambda: train(plain, ready)}, turns=40
    )
    alone = in_turns({"collator": lambda: masked([])}, turns=40)["collator"]
    table(
        "Training step of a small llama (4 layers, width 128), 4 × 256 tokens, same labels",
        [
            ("labels ready, milliseconds", f"{1e3 * statistics.median(seconds['ready']):.1f}"),
            ("the collator alone, milliseconds", f"{1e3 * statistics.median(alone):.2f}"),
            (
                "with the collator / labels ready (at most 1.01)",
                f"**{ratio(seconds['collator'], seconds['ready']):.3f}**",
            ),
        ],
    )


def rates() -> None:
    """The table of docs/goldfish.md."""
    rng = np.random.default_rng(2)
    real = kjv_ids()
    rare = rng.integers(1, 50_000, len(real))
    rare[rng.random(len(rare)) < 0.01] = 0
    wide = rng.integers(0, 131_072, len(real))
    print(f"Real ids: {len(real):,} tokens of the King James Version, {TOKENIZER}.\n")
    print(
        "| ids | k | h | 1/k | official | ours, mean of keys | ours, worst key | zero keys | "
        "windows lost, official | windows lost, ours |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, ids, k, h in [
        ("real", real, 3, 13),
        ("real", real, 4, 13),
        ("real", real, 4, 4),
        ("real", real, 8, 13),
        ("real", real, 32, 13),
        ("real", real, 50, 50),
        ("real", real, 128, 13),
        ("uniform, 1 % are id 0", rare, 4, 13),
        ("uniform, 1 % are id 0", rare, 8, 13),
        ("uniform of 131,072", wide, 50, 50),
    ]:
        official = 1 - keep_mask(ids, Goldfish(k, h, strategy="official")).mean()
        own = [1 - keep_mask(ids, Goldfish(k, h, seed=seed)).mean() for seed in range(SEEDS)]
        worst = max(own, key=lambda rate: abs(rate * k - 1))
        places = keys(ids[None], h)[0]
        windows = np.lib.stride_tricks.sliding_window_view(ids[1:], h)
        count = distinct(windows)
        lost = [1 - len(np.unique(each)) / count for each in (places, hashes(ids[1:], h))]
        print(
            f"| {name} | {k} | {h} | {1 / k:.4f} | {official:.4f} ({official * k - 1:+.1%}) | "
            f"{np.mean(own):.4f} ({np.mean(own) * k - 1:+.2%}) | "
            f"{worst:.4f} ({worst * k - 1:+.2%}) | {(places == 0).mean():.2%} | "
            f"{lost[0]:.1%} | {lost[1]:.1%} |"
        )
    print()
    per_id(real)


def per_id(ids: np.ndarray, k: int = 4, h: int = 13) -> None:
    """How far the rate of a frequent token is from 1/k, over all keys."""
    drops = np.mean([~keep_mask(ids, Goldfish(k, h, seed=seed)) for seed in range(SEEDS)], axis=0)
    official = ~keep_mask(ids, Goldfish(k, h, strategy="official"))
    found, counts = np.unique(ids, return_counts=True)
    frequent = found[counts >= FREQUENT]
    rows = []
    for name, dropped in (("official", official), ("ours", drops)):
        off = [abs(dropped[ids == token].mean() * k - 1) for token in frequent]
        rows.append((name, f"median {np.median(off):.2%}, worst {max(off):.2%}"))
    table(
        f"How far the drop rate of a token is from 1/{k}: the {len(frequent)} tokens that occur "
        f"{FREQUENT:,} times or more",
        rows,
        f"Ours over {SEEDS} keys together; the reference has one.",
    )


def hashes(ids: np.ndarray, h: int) -> np.ndarray:
    ends = np.arange(h, len(ids) + 1)
    return window_hashes(scramble(ids, 0), ends, np.full(len(ends), h), 0)


def distinct(windows: np.ndarray) -> int:
    rows = np.ascontiguousarray(windows, dtype=np.int32)
    return len(np.unique(rows.view(np.dtype((np.void, rows.shape[1] * 4))).reshape(-1)))


def kjv_ids() -> np.ndarray:
    rows = tokenizer_of(TOKENIZER)(chapters(), add_special_tokens=False)["input_ids"]
    return np.concatenate([np.array(row, dtype=np.int64) for row in rows])


def tokenizer_of(model: str) -> Any:
    from byrote.models.outline import outline

    return outline(model).tokenizer


def chapters() -> list[str]:
    from byrote.texts import open_source

    return [str(record.text) for record in open_source("corpus:kjv").records()]


COPIES: dict[str, Callable[[str], str]] = {
    "the same": lambda text: text,
    "other line breaks": lambda text: "\n".join(textwrap.wrap(text, 60)),
    "capitals": str.upper,
    "curly quotes, dashes for semicolons": lambda text: text.replace("'", "’").replace(";", " —"),
    "soft hyphens and NBSP": lambda text: text.replace("tion", "\u00adtion").replace(
        ", ", ",\u00a0"
    ),
}


def copies() -> None:
    """What a second copy of a text teaches of what the first leaves out."""
    texts = chapters()[:100]
    tokenizers = {name: tokenizer_of(name) for name in (TOKENIZER, OTHER_TOKENIZER)}
    tokens, words = Goldfish(4, 13), Goldfish(4, 13, normalize=True)
    cases = [(name, copy, TOKENIZER) for name, copy in COPIES.items()]
    cases.append(("another tokenizer", COPIES["the same"], OTHER_TOKENIZER))
    print(
        "Of the letters that a text leaves out, the share that its copy teaches (k = 4, h = 13):\n"
    )
    print("| copy | by tokens | by words (`normalize`) |\n|---|---|---|")
    first = {g: [letters(t, tokenizers[TOKENIZER], g) for t in texts] for g in (tokens, words)}
    for name, copy, tokenizer in cases:
        leaks = []
        for goldfish in (tokens, words):
            second = [letters(copy(text), tokenizers[tokenizer], goldfish) for text in texts]
            pairs = list(zip(first[goldfish], second, strict=True))
            assert all(len(one) == len(other) for one, other in pairs)
            taught = sum(int((one & ~other).sum()) for one, other in pairs)
            leaks.append(taught / sum(int(one.sum()) for one, _ in pairs))
        print(f"| {name} | {leaks[0]:.1%} | {leaks[1]:.1%} |")
    print("\n| tokenizer | k | rate per token, by words | off 1/k |\n|---|---|---|---|")
    tokens_seen, seconds = 0, 0.0
    for name, tokenizer in tokenizers.items():
        rows = [np.array(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts]
        for k in (3, 4, 8):
            goldfish = Goldfish(k, 13, normalize=True)
            start = time.perf_counter()
            kept = [keep_mask(ids, goldfish, tokenizer=tokenizer) for ids in rows]
            seconds += time.perf_counter() - start
            tokens_seen += sum(map(len, rows))
            rate = 1 - np.concatenate(kept).mean()
            print(f"| {name} | {k} | {rate:.4f} | {rate * k - 1:+.1%} |")
    print(f"\nMasks by words from ids: {tokens_seen / seconds:,.0f} tokens a second.\n")


def letters(text: str, tokenizer: Any, goldfish: Goldfish) -> np.ndarray:
    """Which letters of a text are left out, the letters alone, in order."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    keep = keep_mask(np.array(encoded["input_ids"]), goldfish, tokenizer=tokenizer)
    out = np.zeros(len(text), dtype=bool)
    for (start, end), kept in zip(encoded["offset_mapping"], keep.tolist(), strict=True):
        if not kept:
            out[start:end] = True
    return out[[character.isalpha() for character in text]]


PARTS = {"mask": mask, "step": step, "table": rates, "copies": copies}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["mask", "step"], metavar="PART")
    for part in parser.parse_args().parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
