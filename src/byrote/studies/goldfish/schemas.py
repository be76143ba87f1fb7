"""The columns of the study's tables: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

_Columns = dict[str, tuple[pl.DataType, str]]

_TEXT, _SHORT, _LONG, _REAL, _FLAG = (
    pl.String(), pl.Int32(), pl.Int64(), pl.Float64(), pl.Boolean(),
)  # fmt: skip

_CELL: _Columns = {"cell": (_TEXT, "Id of the cell that measured the row.")}
_ARM: _Columns = {"arm": (_TEXT, "Name in the config's arms.")}
_MARKS: _Columns = {
    **_ARM,
    "seed": (
        _SHORT,
        "Which repetition, from 0; it has the same documents, order and weights for every arm.",
    ),
}
_LONG_ARM: _Columns = {
    "long": (_FLAG, "Whether the arm was shown for extreme.long_epochs."),
}
_EPOCH: _Columns = {"epoch": (_SHORT, "How often the passage had been shown.")}

_ESTIMATE: _Columns = {
    "value": (_REAL, "Rate, or mean over repetitions."),
    "low": (_REAL, "Lower end of its 95 % interval; NaN where there is none."),
    "high": (_REAL, "Upper end of the interval."),
    "seeds": (_SHORT, "Repetitions that it was taken over."),
    "n": (_SHORT, "Rows that it was taken over: documents, or trainings."),
}
_RATE: _Columns = {
    **_ESTIMATE,
    "low": (
        _REAL,
        "Lower end of its 95 % interval: Wilson's, for the effective number of documents, "
        "repetitions being clusters.",
    ),
}

_RECITAL: _Columns = {
    "document": (_TEXT, "Id of the record that the document begins."),
    "member": (_FLAG, "Whether arms other than the control repeat it; else no arm is shown it."),
    "decoding": (_TEXT, "greedy, beams, or memfree: greedy, under the filter."),
    "exact": (_FLAG, "Whether what was written is the suffix, token by token."),
    "rouge_l": (_REAL, "F1 of the longest common subsequence of words with the suffix."),
    "edit_similarity": (_REAL, "1 less the normalised edit distance of the characters."),
    "first_divergence": (
        _SHORT,
        "Place in the suffix, from 0, of the first token that differs; null where none does.",
    ),
    "at_dropped": (
        _FLAG,
        "Whether the mask drops that token; null where nothing diverges or no mask is fixed.",
    ),
    "dropped_share": (
        _REAL,
        "Share of the suffix's tokens that the mask drops in an exact copy; null without a fixed "
        "mask. Of documents never shown: that it would drop.",
    ),
}

_TRAINING: _Columns = {
    "objective": (_TEXT, "What is learned from a sequence, as in `byrote.exposure.OBJECTIVES`."),
    "k": (_SHORT, "Goldfish: one token in k is dropped; null for other objectives."),
    "h": (_SHORT, "Goldfish: tokens (of the text: words) that decide."),
    "strategy": (_TEXT, "Goldfish: hash, static, random or official."),
    "normalize": (_FLAG, "Goldfish: whether the mask is that of the normalised text."),
    "copies": (_TEXT, "exact, edited, reformatted, or none for the control."),
    "parameters": (_LONG, "Numbers in the model."),
    "vocab": (_SHORT, "Tokens in its vocabulary."),
    "sequences": (_SHORT, "Sequences shown."),
    "batch": (_SHORT, "Sequences in a step."),
    "steps": (_SHORT, "Optimiser steps."),
    "tokens_shown": (_LONG, "Tokens of these sequences, without BOS."),
    "tokens_learned": (_LONG, "How many of them had a loss; fewer under a mask."),
    "seconds": (_REAL, "Time of the training."),
    "epsilon": (
        _REAL,
        "DP-SGD: privacy spent at the arm's delta, if one sequence is what it protects; else null.",
    ),
    "validation_loss": (_REAL, "Loss after the last step, nats per token."),
}

_TABLES: dict[str, tuple[str, _Columns]] = {
    "extreme": (
        "E1: one row for each epoch and passage, read from the training pass.",
        {
            **_CELL,
            **_MARKS,
            **_LONG_ARM,
            **_EPOCH,
            "document": (_TEXT, "Id of the record that the passage begins."),
            "exact": (_FLAG, "Whether every token of the suffix is the argmax."),
            "accuracy": (_REAL, "Share of the suffix's tokens that are the argmax."),
            "loss_learned": (_REAL, "Mean loss of the tokens that are learned, nats per token."),
            "loss_dropped": (_REAL, "The same of those dropped; null where none is."),
        },
    ),
    "extreme_texts": (
        "E1: one row for each passage and epoch at which it was continued.",
        {
            **_CELL,
            **_MARKS,
            **_LONG_ARM,
            **_RECITAL,
            "member": (_FLAG, "True: all passages are shown."),
            **_EPOCH,
        },
    ),
    "trainings": ("One row for each model trained from scratch.", {**_CELL, **_MARKS, **_TRAINING}),
    "documents": (
        "One row for each document, shown or never shown, and way of decoding.",
        {**_CELL, **_MARKS, **_RECITAL},
    ),
    "scores": (
        "One row for each document and membership attack.",
        {
            **_CELL,
            **_MARKS,
            "document": _RECITAL["document"],
            "member": _RECITAL["member"],
            "attack": (_TEXT, "loss, zlib, min_k or min_k_pp, as in the columns mia_* of audits."),
            "score": (_REAL, "High for members; of the whole document, nats (per token, or byte)."),
        },
    ),
    "validation": (
        "The loss on text that no arm is shown, in the course of a training.",
        {
            **_CELL,
            **_MARKS,
            "step": (_SHORT, "Optimiser steps taken."),
            "tokens_shown": (_LONG, "Tokens shown until then, without BOS."),
            "tokens_learned": (_LONG, "How many of them had a loss."),
            "loss": (_REAL, "Of all tokens, whatever the arm learns, nats per token."),
        },
    ),
    "extraction": (
        "E2, E8: rates and means of every arm and way of decoding.",
        {
            **_ARM,
            "decoding": _RECITAL["decoding"],
            "member": _RECITAL["member"],
            "measure": (_TEXT, "exact (a rate), rouge_l or edit_similarity."),
            **_RATE,
            "low": (
                _REAL,
                "Lower end of its 95 % interval: of exact Wilson's, repetitions being clusters, "
                "else of t over repetitions; NaN where there is none.",
            ),
        },
    ),
    "divergence": (
        "E3: where what is greedily written first leaves a repeated document.",
        {
            **_ARM,
            "strategy": (_TEXT, "hash, static or official; normalized for a mask of the text."),
            "k": (_SHORT, "One token in k is dropped."),
            "copies": (_TEXT, "exact, edited or reformatted."),
            "documents": (_SHORT, "Documents of all repetitions."),
            "diverged": (_SHORT, "How many of them are not recited in full."),
            "dropped_share": (_REAL, "Share of the suffixes' tokens that the mask drops."),
            **_RATE,
            "value": (_REAL, "Share of the first divergences that lie on a dropped token."),
            "n": (_SHORT, "Documents that diverged."),
        },
    ),
    "membership": (
        "E7: how well an attack tells documents that were shown, in each repetition.",
        {
            **_MARKS,
            "attack": (_TEXT, "As in `scores`."),
            "measure": (
                _TEXT,
                "auc; tpr_at_0.01 and tpr_at_0.05, the share of members found at so many false "
                "positives.",
            ),
            "value": (_REAL, "The measure."),
            "low": (_REAL, "Lower end of its 95 % bootstrap interval over documents."),
            "high": (_REAL, "Upper end of the interval."),
            "n": (_SHORT, "Documents: members and others."),
        },
    ),
    "losses": (
        "E5: the validation loss at the end.",
        {
            **_ARM,
            "tokens_shown": (_LONG, "Mean over repetitions."),
            "tokens_learned": (_LONG, "Mean over repetitions."),
            **_ESTIMATE,
            "value": (_REAL, "Mean over repetitions, nats per token."),
            "gap": (
                _REAL,
                "Mean of what it is above that of the arm standard in the same repetition, nats.",
            ),
            "gap_low": (_REAL, "Lower end of its 95 % t-interval; NaN where there is none."),
            "gap_high": (_REAL, "Upper end of the interval."),
        },
    ),
    "extreme_epochs": (
        "E1: the share of passages recited and the losses, over passages and repetitions.",
        {
            **_ARM,
            **_LONG_ARM,
            **_EPOCH,
            **_RATE,
            "value": (_REAL, "Share of passages whose suffix is recited in full."),
            "n": (_SHORT, "Passages of all repetitions."),
            "accuracy": (_REAL, "Mean share of the suffix's tokens that are the argmax."),
            "loss_learned": (_REAL, "Mean loss of the tokens that are learned, nats per token."),
            "loss_dropped": (_REAL, "The same of those dropped; null where none is."),
        },
    ),
    "extreme_overlap": (
        "E1: ROUGE-L of what is greedily written, over repetitions.",
        {
            **_ARM,
            **_LONG_ARM,
            **_EPOCH,
            **_ESTIMATE,
            "value": (_REAL, "Mean ROUGE-L over repetitions."),
        },
    ),
}

SCHEMAS: dict[str, pl.Schema] = {
    name: pl.Schema({column: kind for column, (kind, _) in columns.items()})
    for name, (_, columns) in _TABLES.items()
}
"""Every table of the study but those of the frame."""

ABOUT: dict[str, str] = {name: about for name, (about, _) in _TABLES.items()}
"""What the rows of a table are, by its name."""

COLUMNS: dict[str, str] = {
    f"{name}.{column}": meaning
    for name, (_, columns) in _TABLES.items()
    for column, (_, meaning) in columns.items()
}
"""What a column means, by `table.column`."""
