"""The columns of the study's tables: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

from byrote.studies.columns import CELL, FLAG, LONG, REAL, SHORT, TEXT, Columns, described

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

_EXPOSURE = "Name of the exposure: model, kind of string, length, part; one name for all strings."
_STRING = "Which of the configuration's strings, from 0; string i is the same for every model."
_TRAINED: Columns = {"training": (TEXT, _EXPOSURE), "string": (SHORT, _STRING)}
_DERIVED: Columns = {"training": (TEXT, _EXPOSURE), "string": (LONG, _STRING)}

_ALPHABET = {
    "distribution": (TEXT, "uniform, skewed (one letter more likely), or markov."),
    "letters": (SHORT, "Size of the alphabet, ℓ."),
    "entropy": (REAL, "Entropy of one letter of the source, nats."),
    "entropy_rate": (REAL, "Entropy given all letters before, nats; less for markov only."),
}

_MEASURES: Columns = {
    "loss": (REAL, "Mean negative log-probability of the string's tokens, nats per token."),
    "accuracy": (REAL, "Share of tokens that are the argmax over the whole vocabulary."),
    "mass": (REAL, "Probability on the letters of the alphabet, mean over positions."),
    "entropy": (REAL, "Entropy of the next-token distribution over the vocabulary, nats."),
    "entropy_letters": (REAL, "The same, renormalised on the alphabet, nats."),
    "kl_model_source": (REAL, "KL(model ‖ source), the model renormalised on the alphabet, nats."),
    "kl_source_model": (REAL, "KL(source ‖ model), the model over the vocabulary, nats."),
    "kl_model_empirical": (
        REAL,
        "As kl_model_source, for the string's own letter frequencies; infinite where a letter of "
        "the alphabet does not occur.",
    ),
    "kl_empirical_model": (REAL, "As kl_source_model, for the string's own letter frequencies."),
}

_TRAININGS: Columns = {
    **_TRAINED,
    "model": (TEXT, "Name in the config's models."),
    "source": (TEXT, "Where the weights, or their shape, come from."),
    "init": (TEXT, "pretrained, or random for fresh weights."),
    "family": (TEXT, "Architecture, as transformers names it."),
    "parameters": (LONG, "Numbers in the model."),
    "part": (TEXT, "Which parameters learn, as in `byrote.exposure.PARTS`."),
    "trained_parameters": (LONG, "How many these are."),
    **_ALPHABET,
    "string_entropy": (REAL, "Entropy of the letter frequencies in the string itself, nats."),
    "guess": (REAL, "Accuracy of the best constant guess for the source."),
    "modal": (REAL, "Share of the string's most frequent letter: the best guess afterwards."),
    "n": (SHORT, "Length of the string, tokens."),
    "targets": (SHORT, "Tokens asked for: n behind a BOS, n - 1 without."),
    "bos": (LONG, "Token put in front of the string; null for none."),
    "lr": (REAL, "Highest learning rate."),
    "schedule": (TEXT, "constant, linear or cosine."),
    "warmup": (REAL, "Warm-up steps; below 1, a share of all steps."),
    "precision": (TEXT, "float32, or bf16 with float32 weights."),
    "dropout": (TEXT, "off, or model."),
    "epochs": (SHORT, "How often the string was shown."),
    "epochs_at_most": (SHORT, "How often it could have been."),
    "ended": (TEXT, "epochs: all were shown; observer: memorised for good before."),
    "seconds": (REAL, "Time of the exposure."),
    "ids": (pl.List(pl.Int64()), "The string's token ids."),
}

_CHAIN: Columns = {
    "model": (TEXT, "Name in the config's models."),
    "optimiser": (TEXT, "fresh for each string, or carried on with its moments."),
    "chain": (SHORT, "Which of the independent sequences of strings, from 0."),
}
_LONG_CHAIN: Columns = {**_CHAIN, "chain": (LONG, _CHAIN["chain"][1])}

_T_GUESS = "Last epoch of the guessing phase; null where it did not end."
_T_MEM = "Epoch at which the string was memorised; null where it was not."
_T_IN = "First epoch with a mass of at least 0.95; null where there is none."

_KEYS: Columns = {
    "model": _TRAININGS["model"],
    "init": (TEXT, "As in `trainings`; random also for a published checkpoint at step 0."),
    "part": _TRAININGS["part"],
    "parameters": _TRAININGS["parameters"],
    **_ALPHABET,
    "letters": (LONG, _ALPHABET["letters"][1]),
    "n": (LONG, _TRAININGS["n"][1]),
}

_INTERVAL: Columns = {
    "strings": (SHORT, "Strings that the value was computed from."),
    "value": (REAL, "Mean over strings."),
    "low": (REAL, "Lower end of its 95 % t-interval; NaN where there is none."),
    "high": (REAL, "Upper end of the interval."),
}

_TABLES: dict[str, tuple[str, Columns]] = {
    "trainings": ("One row for each exposure of one string.", {**CELL, **_TRAININGS}),
    "epochs": (
        "One row for each epoch of an exposure, 0 (before training) to the last: means over the "
        "positions asked.",
        {
            **CELL,
            **_TRAINED,
            "epoch": (SHORT, "How often the string had been shown."),
            **_MEASURES,
        },
    ),
    "positions": (
        "One row for each epoch and position: the raster of E5.",
        {
            **CELL,
            **_TRAINED,
            "epoch": (SHORT, "How often the string had been shown."),
            "position": (SHORT, "Place of the token in the string, from 0."),
            "hit": (FLAG, "Whether the token is the argmax."),
            "loss": (pl.Float32(), "Its negative log-probability, nats."),
        },
    ),
    "heldout": (
        "The same measures of strings of the same source that are never trained on (E9).",
        {
            **CELL,
            **_TRAINED,
            "heldout": (SHORT, "Which held-out string, from 0."),
            **_MEASURES,
            "position_loss": (
                pl.List(pl.Float64()),
                "Loss of each token, nats; null for one that is not asked.",
            ),
            "epoch": (SHORT, "How often the string that is trained on had been shown."),
        },
    ),
    "context": (
        "One row for each token asked for behind an altered global context (E6).",
        {
            **CELL,
            **_TRAINED,
            "condition": (TEXT, "What stands in place of the global context."),
            "k": (SHORT, "Length of the local prefix, tokens; null for the whole prefix."),
            "draw": (SHORT, "Which altered context, from 0."),
            "position": (SHORT, "Place of the token in the string, from 0."),
            "hit": (FLAG, "Whether the token is the argmax over the vocabulary."),
            "nll": (REAL, "Its negative log-probability, nats."),
            "epoch": (SHORT, "How often the string had been shown."),
        },
    ),
    "ceilings": (
        "What the last k tokens of a string determine, without any model.",
        {
            **CELL,
            **_TRAINED,
            "k": (SHORT, "Length of the local prefix, tokens."),
            "accuracy": (REAL, "Accuracy of the best predictor from k tokens alone."),
        },
    ),
    "sequential": (
        "Loss and accuracy on every string while one after the other is learned (E7).",
        {
            **CELL,
            **_CHAIN,
            "stage": (SHORT, "Place in the sequence, from 0; in the last, string 0 comes again."),
            "learned": (SHORT, "The string that is being learned."),
            "epoch": (SHORT, "How often it had been shown in this stage."),
            "measured": (SHORT, "The string that the row is about."),
            "loss": (REAL, "Of the measured string, nats per token."),
            "accuracy": (REAL, "Of the measured string."),
        },
    ),
    "sequential_text": (
        "The loss on natural text between the stages; not there for models without a tokenizer.",
        {
            **CELL,
            **_CHAIN,
            "stage": (SHORT, "The stage just ended; -1 before the first."),
            "loss": (REAL, "Mean over the windows, nats per token."),
        },
    ),
    "pretraining": (
        "The loss of the byte-level model at each pretraining step (E8).",
        {
            **CELL,
            "step": (SHORT, "Steps taken before."),
            "loss": (REAL, "Of the step's batch, nats per byte."),
        },
    ),
    "experiments": (
        "Which exposures an experiment reads; E5 and E9 read those of `phases`.",
        {
            "experiment": (
                TEXT,
                "phases, entropy, length, size, context, untrained, checkpoints or partial.",
            ),
            "training": (TEXT, _EXPOSURE),
            "ladder": (TEXT, "Family of models, for size."),
            "step": (SHORT, "Pretraining step, for checkpoints."),
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
                REAL,
                "The loss below which no guess gets, nats: string_entropy; for markov at most the "
                "entropy rate.",
            ),
            "t_in_alphabet": (LONG, _T_IN),
            "t_guess": (LONG, _T_GUESS),
            "t_mem": (LONG, _T_MEM),
            "t_below": (
                LONG,
                "First epoch from which the loss stays clearly below the floor; null where there "
                "is none.",
            ),
            "t_best_guess": (
                LONG,
                "Epoch up to t_guess at which the model guesses best: lowest divergence from the "
                "string's letter frequencies (from the source's rule for markov).",
            ),
            "guess_loss": (REAL, "Loss at t_best_guess, nats."),
            "guess_accuracy": (REAL, "Accuracy at t_best_guess."),
            "guess_mass": (REAL, "Mass on the alphabet at t_best_guess."),
            "guess_entropy": (REAL, "Entropy over the vocabulary at t_best_guess, nats."),
            "first_loss": (REAL, "Loss before training, nats."),
            "last_epoch": (LONG, "The last epoch measured."),
            "last_loss": (REAL, "Loss at it, nats."),
            "last_accuracy": (REAL, "Accuracy at it."),
        },
    ),
    "phase_times": (
        "The ends of the phases over the strings of an exposure.",
        {
            "training": (TEXT, _EXPOSURE),
            **_KEYS,
            "which": (TEXT, "t_in_alphabet, t_guess or t_mem."),
            "strings": (LONG, "Strings."),
            "censored": (LONG, "Strings that did not get there."),
            "median": (REAL, "Median epoch; infinite where too many did not get there."),
            "median_low": (REAL, "Lower end of its interval of order statistics."),
            "median_high": (REAL, "Upper end of the interval; may be infinite."),
            "median_confidence": (REAL, "What that interval really has: 0.75 for 3 strings."),
            "mean": (REAL, "Mean epoch; NaN where some did not get there."),
            "mean_low": (REAL, "Lower end of its 95 % t-interval."),
            "mean_high": (REAL, "Upper end of the interval."),
        },
    ),
    "order": (
        "E5: whether early positions are learned first.",
        {
            **_TRAINED,
            "positions": (SHORT, "Positions asked."),
            "memorised": (SHORT, "How many are right for good at the end."),
            "spearman": (
                REAL,
                "Rank correlation of the position with the epoch from which it is right for good; "
                "null below 8 positions.",
            ),
        },
    ),
    "control": (
        "E9: the loss on held-out strings beside each exposure, mean over them.",
        {
            **_TRAINED,
            "first_loss": (REAL, "Before training, nats."),
            "least_loss": (REAL, "At the epoch where it is lowest, nats."),
            "least_epoch": (SHORT, "That epoch."),
            "last_loss": (REAL, "At the last epoch at which they were measured, nats."),
            "last_accuracy": (REAL, "Accuracy on them at that epoch."),
            "last_epoch": (SHORT, "That epoch."),
            "trained_loss": (
                REAL,
                "Loss of the string that is trained on, at last_epoch as well, nats.",
            ),
            "trained_accuracy": (REAL, "Accuracy on it at last_epoch."),
            "between": (
                SHORT,
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
            "k": (SHORT, "Length of the local prefix, tokens."),
            "positions": (SHORT, "How many positions these are."),
            "accuracy": (
                REAL,
                "Accuracy there of the best predictor from k tokens, made from the whole string.",
            ),
        },
    ),
    "contexts": (
        "E6: recall by condition and k, over strings; and the ceiling from k tokens.",
        {
            "training": (TEXT, _EXPOSURE),
            "epoch": (SHORT, "How often the string had been shown; null for the ceiling."),
            "condition": (TEXT, "As in `context`, or k-gram ceiling."),
            "k": (SHORT, "Length of the local prefix, tokens; null for the whole prefix."),
            "measure": (TEXT, "accuracy, or nll in nats."),
            **_INTERVAL,
            "positions": (SHORT, "Positions asked for in each string; fewer for shuffle."),
        },
    ),
    "stages": (
        "E7: one row for each stage of a sequence.",
        {
            **_LONG_CHAIN,
            "stage": (LONG, "Place in the sequence, from 0."),
            "learned": (LONG, "The string that is learned."),
            "again": (FLAG, "Whether it was learned before."),
            "t_mem": (
                LONG,
                "Epoch at which the string was memorised; null for never.",
            ),
            "first_loss": (REAL, "Loss before the stage, nats."),
            "first_accuracy": (REAL, "Accuracy before the stage."),
            "last_accuracy": (REAL, "Accuracy after the stage."),
            "text_loss": (REAL, "Loss on natural text after the stage, if measured, nats."),
        },
    ),
    "retention": (
        "E7: what is left of each earlier string at the end of each stage.",
        {
            **_CHAIN,
            "stage": (SHORT, "The stage just ended."),
            "measured": (SHORT, "The earlier string."),
            "since": (SHORT, "Strings learned since; 0 for the one just learned."),
            "loss": (REAL, "On the earlier string, nats per token."),
            "accuracy": (REAL, "On the earlier string."),
        },
    ),
}

_described = described(_TABLES)

SCHEMAS: dict[str, pl.Schema] = _described.schemas
"""Every table of the study but those of the frame; columns that may be absent are among them."""

ABOUT: dict[str, str] = _described.about
"""What the rows of a table are, by its name."""

COLUMNS: dict[str, str] = _described.columns
"""What a column means, by `table.column`."""
