"""The columns of the study's tables: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

from byrote.studies.columns import CELL, FLAG, LONG, REAL, SHORT, TEXT, Columns, described

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

_ARM: Columns = {"arm": (TEXT, "Name in the config's arms.")}
_MARKS: Columns = {
    **_ARM,
    "seed": (
        SHORT,
        "Which repetition, from 0; it has the same documents, order and weights for every arm.",
    ),
}
_LONG_ARM: Columns = {
    "long": (FLAG, "Whether the arm was shown for extreme.long_epochs."),
}
_EPOCH: Columns = {"epoch": (SHORT, "How often the passage had been shown.")}

_ESTIMATE: Columns = {
    "value": (REAL, "Rate, or mean over repetitions."),
    "low": (REAL, "Lower end of its 95 % interval; NaN where there is none."),
    "high": (REAL, "Upper end of the interval."),
    "seeds": (SHORT, "Repetitions that it was taken over."),
    "n": (SHORT, "Rows that it was taken over: documents, or trainings."),
}
_RATE: Columns = {
    **_ESTIMATE,
    "low": (
        REAL,
        "Lower end of its 95 % interval: Wilson's, for the effective number of documents, "
        "repetitions being clusters.",
    ),
}

_RECITAL: Columns = {
    "document": (TEXT, "Id of the record that the document begins."),
    "member": (FLAG, "Whether arms other than the control repeat it; else no arm is shown it."),
    "decoding": (TEXT, "greedy, beams, or memfree: greedy, under the filter."),
    "exact": (FLAG, "Whether what was written is the suffix, token by token."),
    "rouge_l": (REAL, "F1 of the longest common subsequence of words with the suffix."),
    "edit_similarity": (REAL, "1 less the normalised edit distance of the characters."),
    "first_divergence": (
        SHORT,
        "Place in the suffix, from 0, of the first token that differs; null where none does.",
    ),
    "at_dropped": (
        FLAG,
        "Whether the mask drops that token; null where nothing diverges or no mask is fixed.",
    ),
    "dropped_share": (
        REAL,
        "Share of the suffix's tokens that the mask drops in an exact copy; null without a fixed "
        "mask. Of documents never shown: that it would drop.",
    ),
}

_TRAINING: Columns = {
    "objective": (TEXT, "What is learned from a sequence, as in `byrote.exposure.OBJECTIVES`."),
    "k": (SHORT, "Goldfish: one token in k is dropped; null for other objectives."),
    "h": (SHORT, "Goldfish: tokens (of the text: words) that decide."),
    "strategy": (TEXT, "Goldfish: hash, static, random or official."),
    "normalize": (FLAG, "Goldfish: whether the mask is that of the normalised text."),
    "copies": (TEXT, "exact, edited, reformatted, or none for the control."),
    "parameters": (LONG, "Numbers in the model."),
    "vocab": (SHORT, "Tokens in its vocabulary."),
    "sequences": (SHORT, "Sequences shown."),
    "batch": (SHORT, "Sequences in a step."),
    "steps": (SHORT, "Optimiser steps."),
    "tokens_shown": (LONG, "Tokens of these sequences, without BOS."),
    "tokens_learned": (LONG, "How many of them had a loss; fewer under a mask."),
    "seconds": (REAL, "Time of the training."),
    "epsilon": (
        REAL,
        "DP-SGD: privacy spent at `delta`, if one sequence is what it protects; else null.",
    ),
    "delta": (REAL, "DP-SGD: the delta that epsilon is for; else null."),
    "validation_loss": (REAL, "Loss after the last step, nats per token."),
}

_TABLES: dict[str, tuple[str, Columns]] = {
    "extreme": (
        "E1: one row for each epoch and passage, read from the training pass.",
        {
            **CELL,
            **_MARKS,
            **_LONG_ARM,
            **_EPOCH,
            "document": (TEXT, "Id of the record that the passage begins."),
            "exact": (FLAG, "Whether every token of the suffix is the argmax."),
            "accuracy": (REAL, "Share of the suffix's tokens that are the argmax."),
            "loss_learned": (REAL, "Mean loss of the tokens that are learned, nats per token."),
            "loss_dropped": (REAL, "The same of those dropped; null where none is."),
        },
    ),
    "extreme_texts": (
        "E1: one row for each passage and epoch at which it was continued.",
        {
            **CELL,
            **_MARKS,
            **_LONG_ARM,
            **_RECITAL,
            "member": (
                FLAG,
                "Whether the passage is shown. Others, never shown, are continued before the first "
                "epoch and after the last.",
            ),
            **_EPOCH,
        },
    ),
    "trainings": ("One row for each model trained from scratch.", {**CELL, **_MARKS, **_TRAINING}),
    "documents": (
        "One row for each document, shown or never shown, and way of decoding.",
        {**CELL, **_MARKS, **_RECITAL},
    ),
    "scores": (
        "One row for each document and membership attack.",
        {
            **CELL,
            **_MARKS,
            "document": _RECITAL["document"],
            "member": _RECITAL["member"],
            "attack": (TEXT, "loss, zlib, min_k or min_k_pp, as in the columns mia_* of audits."),
            "score": (REAL, "High for members; of the whole document, nats (per token, or byte)."),
        },
    ),
    "validation": (
        "The loss on text that no arm is shown, in the course of a training.",
        {
            **CELL,
            **_MARKS,
            "step": (SHORT, "Optimiser steps taken."),
            "tokens_shown": (LONG, "Tokens shown until then, without BOS."),
            "tokens_learned": (LONG, "How many of them had a loss."),
            "loss": (REAL, "Of all tokens, whatever the arm learns, nats per token."),
        },
    ),
    "extraction": (
        "E2, E8: rates and means of every arm and way of decoding.",
        {
            **_ARM,
            "decoding": _RECITAL["decoding"],
            "member": _RECITAL["member"],
            "measure": (TEXT, "exact (a rate), rouge_l or edit_similarity."),
            **_RATE,
            "low": (
                REAL,
                "Lower end of its 95 % interval: of exact Wilson's, repetitions being clusters, "
                "else of t over repetitions; NaN where there is none.",
            ),
        },
    ),
    "divergence": (
        "E3: where what is greedily written first leaves a repeated document.",
        {
            **_ARM,
            "strategy": (TEXT, "hash, static or official; normalized for a mask of the text."),
            "k": (SHORT, "One token in k is dropped."),
            "copies": (TEXT, "exact, edited or reformatted."),
            "documents": (SHORT, "Documents of all repetitions."),
            "diverged": (SHORT, "How many of them are not recited in full."),
            "dropped_share": (REAL, "Share of the suffixes' tokens that the mask drops."),
            **_RATE,
            "value": (REAL, "Share of the first divergences that lie on a dropped token."),
            "n": (SHORT, "Documents that diverged."),
        },
    ),
    "membership": (
        "E7: how well an attack tells documents that were shown, in each repetition.",
        {
            **_MARKS,
            "attack": (TEXT, "As in `scores`."),
            "measure": (
                TEXT,
                "auc; tpr_at_0.001, tpr_at_0.01 and tpr_at_0.05, the share of members found at so "
                "many false positives, where there are documents enough to show it.",
            ),
            "value": (REAL, "The measure."),
            "low": (
                REAL,
                "Lower end of its 95 % bootstrap interval over documents. Where all resamples "
                "agree: of a share Wilson's, over members; of auc NaN.",
            ),
            "high": (REAL, "Upper end of the interval."),
            "n": (SHORT, "Documents: members and others."),
        },
    ),
    "losses": (
        "E5: the validation loss at the end.",
        {
            **_ARM,
            "tokens_shown": (LONG, "Mean over repetitions."),
            "tokens_learned": (LONG, "Mean over repetitions."),
            **_ESTIMATE,
            "value": (REAL, "Mean over repetitions, nats per token."),
            "gap": (
                REAL,
                "Mean of what it is above that of the arm standard in the same repetition, nats.",
            ),
            "gap_low": (REAL, "Lower end of its 95 % t-interval; NaN where there is none."),
            "gap_high": (REAL, "Upper end of the interval."),
        },
    ),
    "extreme_epochs": (
        "E1: the share of passages recited and the losses, over passages and repetitions.",
        {
            **_ARM,
            **_LONG_ARM,
            **_EPOCH,
            **_RATE,
            "value": (REAL, "Share of passages whose suffix is recited in full."),
            "n": (SHORT, "Passages of all repetitions."),
            "accuracy": (REAL, "Mean share of the suffix's tokens that are the argmax."),
            "loss_learned": (REAL, "Mean loss of the tokens that are learned, nats per token."),
            "loss_dropped": (REAL, "The same of those dropped; null where none is."),
        },
    ),
    "extreme_overlap": (
        "E1: ROUGE-L of what is greedily written, over repetitions.",
        {
            **_ARM,
            **_LONG_ARM,
            **_EPOCH,
            "member": (FLAG, "Whether the passages are shown."),
            **_ESTIMATE,
            "value": (REAL, "Mean ROUGE-L over repetitions."),
        },
    ),
}

_described = described(_TABLES)

SCHEMAS: dict[str, pl.Schema] = _described.schemas
"""Every table of the study but those of the frame."""

ABOUT: dict[str, str] = _described.about
"""What the rows of a table are, by its name."""

COLUMNS: dict[str, str] = _described.columns
"""What a column means, by `table.column`."""
