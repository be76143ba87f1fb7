"""What a reader of a run must know beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from byrote.recall.membership import fpr_floor
from byrote.studies.goldfish.config import GoldfishConfig, ScratchConfig
from byrote.studies.goldfish.copies import stretches

__all__ = ["notes"]

_PAPER_SHARE = 0.010136
_PAPER_FPR = 0.001
_LEAST_SEEDS = 3


def notes(tables: Mapping[str, pl.DataFrame], config: GoldfishConfig) -> list[str]:
    """How this run departs from the published setting, and what its numbers leave out."""
    found = []
    if "trainings" in tables:
        found += _scale(tables["trainings"], config)
        found += _ways(config)
    if "extreme" in tables:
        extreme = config.extreme
        where = "" if extreme.init == "pretrained" else ", which begins with random weights"
        found.append(
            f"E1 fine-tunes {extreme.model}{where} on {extreme.passages} passages of "
            f"{extreme.tokens} tokens for {extreme.epochs} epochs; the paper Llama-2-7B on 100 "
            "pages of about 2,000 tokens for 100 epochs. Passages recited before any epoch were "
            "known from pretraining."
        )
    if config.seeds < _LEAST_SEEDS:
        found.append(
            f"{config.seeds} repetition{'s' if config.seeds > 1 else ''} of each arm: no verdict "
            f"that compares arms can be given with fewer than {_LEAST_SEEDS}."
        )
    found.append(
        "Left out: BERTScore (it asks a further large model how alike two texts are; ROUGE-L and "
        "the edit distance need none), and with it the first column of the paper's Figure 10; "
        "Mauve (E6), which compares thousands of long texts; and the benchmarks (E4). byrote has "
        "neither of these two, whatever the size of the models."
    )
    found.append(
        "An interval is over repetitions, each with its own documents, order and weights; with "
        "three of them it is wide."
    )
    return found


def _scale(trainings: pl.DataFrame, config: GoldfishConfig) -> list[str]:
    scratch = config.scratch
    size = int(trainings["parameters"].max() or 0)  # type: ignore[arg-type]
    share = _repeated(scratch)
    found = [
        f"Models trained from scratch have {size:,} parameters and see "
        f"{int(trainings['tokens_shown'].min() or 0):,} tokens or more"  # type: ignore[arg-type]
        ", the paper's 1.1 billion and 20 billion: compare the order of arms, not their numbers."
    ]
    if share > 2 * _PAPER_SHARE:
        found.append(
            f"The repeated documents are {_percent(share)} of all text here and 1 % in the paper: "
            "what the model learns of them weighs more in its loss, and the control, which reads "
            "other text in their place, reads more kinds of it."
        )
    if fpr_floor(scratch.heldout) > _PAPER_FPR:
        found.append(
            f"Membership is asked of {scratch.documents} documents against {scratch.heldout} in "
            "each repetition, so that no false-positive rate below "
            f"{_percent(fpr_floor(scratch.heldout))} can be shown; the paper's are at 0.1 % of "
            "2,000, which is two documents."
        )
    return found


def _repeated(scratch: ScratchConfig) -> float:
    """Share of the sequences that are copies of repeated documents."""
    copies = scratch.documents * scratch.repeats
    return copies / (copies + scratch.background)


def _edits(scratch: ScratchConfig) -> str:
    tokens = scratch.tokens - 1
    count = stretches(tokens, scratch.edit_every)
    places = "one other token" if count == 1 else f"{count} other tokens"
    return f"{places} in {tokens}"


def _percent(share: float) -> str:
    digits = 0 if share >= 0.1 else 1
    return f"{100 * share:.{digits}f} %"


def _ways(config: GoldfishConfig) -> list[str]:
    """What must be known of some arms, if the run has them."""
    arms = [config.arms[name] for name in config.scratch.arms]
    found = []
    if any(arm.copies == "edited" for arm in arms):
        found.append(
            f"Edited copies have {_edits(config.scratch)}; the masks tried with them are those of "
            "the arms, and no other h was."
        )
    if any(arm.objective == "goldfish" and arm.strategy == "random" for arm in arms):
        found.append(
            "Random masks are drawn once for each copy that is shown, so that in the end nearly "
            "every token has been learned; no token of a document is then a dropped one, and E3 "
            "has no such arms."
        )
    if any(arm.objective == "goldfish" and arm.strategy == "static" for arm in arms):
        found.append(
            "Static masks drop every k-th token of a sequence. Documents always begin one here, so "
            "that all copies drop the same tokens; where copies stand at other offsets they would "
            "not."
        )
    if any(arm.objective not in ("next-token", "goldfish") for arm in arms):
        found.append(
            "Each objective that is compared was trained with one setting, at the learning rate of "
            "all arms; none was tuned, so that the comparison holds for these settings alone."
        )
    if any(arm.objective == "self-contrastive" for arm in arms):
        found.append(
            "Self-contrastive training has two stages of one half each, with a learning-rate "
            "schedule of their own: the first makes the premature model that the second is trained "
            "against. Its learning rate falls to 0 twice, which is part of the difference to "
            "others."
        )
    if any(arm.objective == "patch-level" for arm in arms):
        found.append(
            "Patch-level training sees a share of its sequences as patches of several tokens and "
            "takes less computation for them; arms are compared at equal tokens, not at equal cost."
        )
    if any(arm.objective == "dp-sgd" for arm in arms):
        found.append(
            "DP-SGD clips and adds noise for each sequence. A document that is shown many times is "
            "as many sequences, and a bound for one copy is none for all of them."
        )
    if any(arm.memfree for arm in arms):
        found.append(
            "MemFree knows the repeated documents alone; a filter in use would hold all training "
            "text."
        )
    return found
