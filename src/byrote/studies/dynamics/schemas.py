"""The columns of the study's tables: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

_Columns = dict[str, tuple[pl.DataType, str]]

_TEXT, _SHORT, _LONG, _REAL, _FLAG = (
    pl.String(), pl.Int32(), pl.Int64(), pl.Float64(), pl.Boolean(),
)  # fmt: skip

_CELL: _Columns = {"cell": (_TEXT, "Id of the cell that measured the row.")}
_EXPOSURE = "Name of the exposure: model, kind of string, length, part; one name for all strings."
_STRING = "Which of the configuration's strings, from 0; string i is the same for every model."
_TRAINED: _Columns = {"training": (_TEXT, _EXPOSURE), "string": (_SHORT, _STRING)}
_DERIVED: _Columns = {"training": (_TEXT, _EXPOSURE), "string": (_LONG, _STRING)}

_ALPHABET = {
    "distribution": (_TEXT, "uniform, skewed (one letter more likely), or markov."),
    "letters": (_SHORT, "Size of the alphabet, ℓ."),
    "entropy": (_REAL, "Entropy of one letter of the source, nats."),
    "entropy_rate": (_REAL, "Entropy given all letters before, nats; less for markov only."),
}

_MEASURES: _Columns = {
    "loss": (_REAL, "Mean negative log-probability of the string's tokens, nats per token."),
    "accuracy": (_REAL, "Share of tokens that are the argmax over the whole vocabulary."),
    "mass": (_REAL, "Probability on the letters of the alphabet, mean over positions."),
    "entropy": (_REAL, "Entropy of the next-token distribution over the vocabulary, nats."),
    "entropy_letters": (_REAL, "The same, renormalised on the alphabet, nats."),
    "kl_model_source": (_REAL, "KL(model ‖ source), the model renormalised on the alphabet, nats."),
    "kl_source_model": (_REAL, "KL(source ‖ model), the model over the vocabulary, nats."),
    "kl_model_empirical": (
        _REAL,
        "As kl_model_source, for the string's own letter frequencies; infinite where a letter of "
        "the alphabet does not occur.",
    ),
    "kl_empirical_model": (_REAL, "As kl_source_model, for the string's own letter frequencies."),
}

_TRAININGS: _Columns = {
    **_TRAINED,
    "model": (_TEXT, "Name in the config's models."),
    "source": (_TEXT, "Where the weights, or their shape, come from."),
    "init": (_TEXT, "pretrained, or random for fresh weights."),
    "family": (_TEXT, "Architecture, as transformers names it."),
    "parameters": (_LONG, "Numbers in the model."),
    "part": (_TEXT, "Which parameters learn, as in `byrote.exposure.PARTS`."),
    "trained_parameters": (_LONG, "How many these are."),
    **_ALPHABET,
    "string_entropy": (_REAL, "Entropy of the letter frequencies in the string itself, nats."),
    "guess": (_REAL, "Accuracy of the best constant guess for the source."),
    "modal": (_REAL, "Share of the string's most frequent letter: the best guess afterwards."),
    "n": (_SHORT, "Length of the string, tokens."),
    "targets": (_SHORT, "Tokens asked for: n behind a BOS, n - 1 without."),
    "bos": (_LONG, "Token put in front of the string; null for none."),
    "lr": (_REAL, "Highest learning rate."),
    "schedule": (_TEXT, "constant, linear or cosine."),
    "warmup": (_REAL, "Warm-up steps; below 1, a share of all steps."),
    "precision": (_TEXT, "float32, or bf16 with float32 weights."),
    "dropout": (_TEXT, "off, or model."),
    "epochs": (_SHORT, "How often the string was shown."),
    "epochs_at_most": (_SHORT, "How often it could have been."),
    "ended": (_TEXT, "epochs: all were shown; observer: memorised for good before."),
    "seconds": (_REAL, "Time of the exposure."),
    "ids": (pl.List(pl.Int64()), "The string's token ids."),
}

_CHAIN: _Columns = {
    "model": (_TEXT, "Name in the config's models."),
    "optimiser": (_TEXT, "fresh for each string, or carried on with its moments."),
    "chain": (_SHORT, "Which of the independent sequences of strings, from 0."),
}
_LONG_CHAIN: _Columns = {**_CHAIN, "chain": (_LONG, _CHAIN["chain"][1])}

_T_GUESS = "Last epoch of the guessing phase; null where it did not end."
_T_MEM = "Epoch at which the string was memorised; null where it was not."
_T_IN = "First epoch with a mass of at least 0.95; null where there is none."

_KEYS: _Columns = {
    "model": _TRAININGS["model"],
    "init": (_TEXT, "As in `trainings`; random also for a published checkpoint at step 0."),
    "part": _TRAININGS["part"],
    "parameters": _TRAININGS["parameters"],
    **_ALPHABET,
    "letters": (_LONG, _ALPHABET["letters"][1]),
    "n": (_LONG, _TRAININGS["n"][1]),
}

_INTERVAL: _Columns = {
    "strings": (_SHORT, "Strings that the value was computed from."),
    "value": (_REAL, "Mean over strings."),
    "low": (_REAL, "Lower end of its 95 % t-interval; NaN where there is none."),
    "high": (_REAL, "Upper end of the interval."),
}

_TABLES: dict[str, tuple[str, _Columns]] = {
    "trainings": ("One row for each exposure of one string.", {**_CELL, **_TRAININGS}),
    "epochs": (
        "One row for each epoch of an exposure, 0 (before training) to the last: means over the "
        "positions asked.",
        {
            **_CELL,
            **_TRAINED,
            "epoch": (_SHORT, "How often the string had been shown."),
            **_MEASURES,
        },
    ),
    "positions": (
        "One row for each epoch and position: the raster of E5.",
        {
            **_CELL,
            **_TRAINED,
            "epoch": (_SHORT, "How often the string had been shown."),
            "position": (_SHORT, "Place of the token in the string, from 0."),
            "hit": (_FLAG, "Whether the token is the argmax."),
            "loss": (pl.Float32(), "Its negative log-probability, nats."),
        },
    ),
    "heldout": (
        "The same measures of strings of the same source that are never trained on (E9).",
        {
            **_CELL,
            **_TRAINED,
            "heldout": (_SHORT, "Which held-out string, from 0."),
            **_MEASURES,
            "position_loss": (
                pl.List(pl.Float64()),
                "Loss of each token, nats; null for one that is not asked.",
            ),
            "epoch": (_SHORT, "How often the string that is trained on had been shown."),
        },
    ),
    "context": (
        "One row for each token asked for behind an altered global context (E6).",
        {
            **_CELL,
            **_TRAINED,
            "condition": (_TEXT, "What stands in place of the global context."),
            "k": (_SHORT, "Length of the local prefix, tokens; null for the whole prefix."),
            "draw": (_SHORT, "Which altered context, from 0."),
            "position": (_SHORT, "Place of the token in the string, from 0."),
            "hit": (_FLAG, "Whether the token is the argmax over the vocabulary."),
            "nll": (_REAL, "Its negative log-probability, nats."),
            "epoch": (_SHORT, "How often the string had been shown."),
        },
    ),
    "ceilings": (
        "What the last k tokens of a string determine, without any model.",
        {
            **_CELL,
            **_TRAINED,
            "k": (_SHORT, "Length of the local prefix, tokens."),
            "accuracy": (_REAL, "Accuracy of the best predictor from k tokens alone."),
        },
    ),
    "sequential": (
        "Loss and accuracy on every string while one after the other is learned (E7).",
        {
            **_CELL,
            **_CHAIN,
            "stage": (_SHORT, "Place in the sequence, from 0; in the last, string 0 comes again."),
            "learned": (_SHORT, "The string that is being learned."),
            "epoch": (_SHORT, "How often it had been shown in this stage."),
            "measured": (_SHORT, "The string that the row is about."),
            "loss": (_REAL, "Of the measured string, nats per token."),
            "accuracy": (_REAL, "Of the measured string."),
        },
    ),
    "sequential_text": (
        "The loss on natural text between the stages; not there for models without a tokenizer.",
        {
            **_CELL,
            **_CHAIN,
            "stage": (_SHORT, "The stage just ended; -1 before the first."),
            "loss": (_REAL, "Mean over the windows, nats per token."),
        },
    ),
    "pretraining": (
        "The loss of the byte-level model at each pretraining step (E8).",
        {
            **_CELL,
            "step": (_SHORT, "Steps taken before."),
            "loss": (_REAL, "Of the step's batch, nats per byte."),
        },
    ),
    "experiments": (
        "Which exposures an experiment reads; E5 and E9 read those of `phases`.",
        {
            "experiment": (
                _TEXT,
                "phases, entropy, length, size, context, untrained, checkpoints or partial.",
            ),
            "training": (_TEXT, _EXPOSURE),
            "ladder": (_TEXT, "Family of models, for size."),
            "step": (_SHORT, "Pretraining step, for checkpoints."),
        },
    ),
    "phases": (
        "One row for each exposure of one string: when its phases ended.",
        {
            **_DERIVED,
            **_KEYS,
            "guess": _TRAININGS["guess"],
            "modal": _TRAININGS["modal"],
            "string_entropy": _TRAININGS["string_entropy"],
            "floor": (
                _REAL,
                "The loss below which no guess gets, nats: string_entropy; for markov at most the "
                "entropy rate.",
            ),
            "t_in_alphabet": (_LONG, _T_IN),
            "t_guess": (_LONG, _T_GUESS),
            "t_mem": (_LONG, _T_MEM),
            "t_below": (
                _LONG,
                "First epoch from which the loss stays clearly below the floor; null where there "
                "is none.",
            ),
            "t_best_guess": (
                _LONG,
                "Epoch up to t_guess at which the model guesses best: lowest divergence from the "
                "string's letter frequencies (from the source's rule for markov).",
            ),
            "guess_loss": (_REAL, "Loss at t_best_guess, nats."),
            "guess_accuracy": (_REAL, "Accuracy at t_best_guess."),
            "guess_mass": (_REAL, "Mass on the alphabet at t_best_guess."),
            "guess_entropy": (_REAL, "Entropy over the vocabulary at t_best_guess, nats."),
            "first_loss": (_REAL, "Loss before training, nats."),
            "last_epoch": (_LONG, "The last epoch measured."),
            "last_loss": (_REAL, "Loss at it, nats."),
            "last_accuracy": (_REAL, "Accuracy at it."),
        },
    ),
    "phase_times": (
        "The ends of the phases over the strings of an exposure.",
        {
            "training": (_TEXT, _EXPOSURE),
            **_KEYS,
            "which": (_TEXT, "t_in_alphabet, t_guess or t_mem."),
            "strings": (_LONG, "Strings."),
            "censored": (_LONG, "Strings that did not get there."),
            "median": (_REAL, "Median epoch; infinite where too many did not get there."),
            "median_low": (_REAL, "Lower end of its interval of order statistics."),
            "median_high": (_REAL, "Upper end of the interval; may be infinite."),
            "median_confidence": (_REAL, "What that interval really has: 0.75 for 3 strings."),
            "mean": (_REAL, "Mean epoch; NaN where some did not get there."),
            "mean_low": (_REAL, "Lower end of its 95 % t-interval."),
            "mean_high": (_REAL, "Upper end of the interval."),
        },
    ),
    "order": (
        "E5: whether early positions are learned first.",
        {
            **_TRAINED,
            "positions": (_SHORT, "Positions asked."),
            "memorised": (_SHORT, "How many are right for good at the end."),
            "spearman": (
                _REAL,
                "Rank correlation of the position with the epoch from which it is right for good; "
                "null below 8 positions.",
            ),
        },
    ),
    "control": (
        "E9: the loss on held-out strings beside each exposure, mean over them.",
        {
            **_TRAINED,
            "first_loss": (_REAL, "Before training, nats."),
            "least_loss": (_REAL, "At the epoch where it is lowest, nats."),
            "least_epoch": (_SHORT, "That epoch."),
            "last_loss": (_REAL, "At the last epoch at which they were measured, nats."),
            "last_accuracy": (_REAL, "Accuracy on them at that epoch."),
            "last_epoch": (_SHORT, "That epoch."),
            "trained_loss": (
                _REAL,
                "Loss of the string that is trained on, at last_epoch as well, nats.",
            ),
            "trained_accuracy": (_REAL, "Accuracy on it at last_epoch."),
            "between": (
                _SHORT,
                "At how many epochs from t_in_alphabet to t_mem held-out strings were measured; 0 "
                "also where one of the two was not reached.",
            ),
            "entropy_rate": _ALPHABET["entropy_rate"],
            "guess": _TRAININGS["guess"],
        },
    ),
    "asked_ceilings": (
        "E6: the ceilings at the positions that the model was asked for.",
        {
            **_TRAINED,
            "k": (_SHORT, "Length of the local prefix, tokens."),
            "positions": (_SHORT, "How many positions these are."),
            "accuracy": (
                _REAL,
                "Accuracy there of the best predictor from k tokens, made from the whole string.",
            ),
        },
    ),
    "contexts": (
        "E6: recall by condition and k, over strings; and the ceiling from k tokens.",
        {
            "training": (_TEXT, _EXPOSURE),
            "epoch": (_SHORT, "How often the string had been shown; null for the ceiling."),
            "condition": (_TEXT, "As in `context`, or k-gram ceiling."),
            "k": (_SHORT, "Length of the local prefix, tokens; null for the whole prefix."),
            "measure": (_TEXT, "accuracy, or nll in nats."),
            **_INTERVAL,
            "positions": (_SHORT, "Positions asked for in each string; fewer for shuffle."),
        },
    ),
    "stages": (
        "E7: one row for each stage of a sequence.",
        {
            **_LONG_CHAIN,
            "stage": (_LONG, "Place in the sequence, from 0."),
            "learned": (_LONG, "The string that is learned."),
            "again": (_FLAG, "Whether it was learned before."),
            "t_mem": (
                _LONG,
                "Epoch at which the string was memorised; null for never.",
            ),
            "first_loss": (_REAL, "Loss before the stage, nats."),
            "first_accuracy": (_REAL, "Accuracy before the stage."),
            "last_accuracy": (_REAL, "Accuracy after the stage."),
            "text_loss": (_REAL, "Loss on natural text after the stage, if measured, nats."),
        },
    ),
    "retention": (
        "E7: what is left of each earlier string at the end of each stage.",
        {
            **_CHAIN,
            "stage": (_SHORT, "The stage just ended."),
            "measured": (_SHORT, "The earlier string."),
            "since": (_SHORT, "Strings learned since; 0 for the one just learned."),
            "loss": (_REAL, "On the earlier string, nats per token."),
            "accuracy": (_REAL, "On the earlier string."),
        },
    ),
}

SCHEMAS: dict[str, pl.Schema] = {
    name: pl.Schema({column: kind for column, (kind, _) in columns.items()})
    for name, (_, columns) in _TABLES.items()
}
"""Every table of the study but those of the frame; columns that may be absent are among them."""

ABOUT: dict[str, str] = {name: about for name, (about, _) in _TABLES.items()}
"""What the rows of a table are, by its name."""

COLUMNS: dict[str, str] = {
    f"{name}.{column}": meaning
    for name, (_, columns) in _TABLES.items()
    for column, (_, meaning) in columns.items()
}
"""What a column means, by `table.column`."""
