"""The columns of the study's tables: names, types, and what each one means."""

from __future__ import annotations

import polars as pl

from byrote.studies.columns import CELL, FLAG, LONG, REAL, SHORT, TEXT, Columns, described

__all__ = ["ABOUT", "COLUMNS", "SCHEMAS"]

_METHOD: Columns = {"method": (TEXT, "Name in the config's methods.")}
_INJ: Columns = {
    "model": (TEXT, "What was injected into."),
    "fraction": (REAL, "Share of all neurons that each sentence was written into, r."),
}
_SETTING: Columns = {"setting": (TEXT, "Name in the config's deletion.settings.")}
_DROPPED: Columns = {
    "fraction": (REAL, "Share of the neurons that is dropped: of each layer, or of all layers."),
    "scope": (TEXT, "layer: the same share of every layer; model: ranked over all layers."),
}
_BENCH: Columns = {
    "benchmark": (TEXT, "inj or del."),
    "where": (TEXT, "Of INJ the model, of DEL the setting."),
    "fraction": (REAL, "Of INJ the share of neurons injected into; null of DEL."),
}
_RECALL: Columns = {
    "scope": (TEXT, "layer: the highest of every layer are taken; model: of the whole model."),
    "multiple": (REAL, "k as a multiple of the fraction."),
    "k": (REAL, "Share of neurons that is taken."),
}
_INTERVAL: Columns = {
    "value": (REAL, "Mean over examples or passages."),
    "low": (REAL, "Lower end of its 95 % t-interval; NaN where there is none."),
    "high": (REAL, "Upper end of the interval."),
    "se": (REAL, "Standard error of the mean; NaN for one."),
    "n": (SHORT, "Examples or passages that it was taken over."),
}
_TARGET: Columns = {"target": (TEXT, "Id of the passage whose neurons are dropped.")}
_BEFORE_AFTER: Columns = {
    "accuracy_before": (REAL, "Share of suffix tokens that are the argmax, nothing dropped."),
    "accuracy_after": (REAL, "The same with the neurons dropped."),
    "distance_before": (
        LONG,
        "Characters (Levenshtein) between the prefix with the argmax suffix and the whole "
        "passage, nothing dropped.",
    ),
    "distance_after": (LONG, "The same with the neurons dropped."),
    "nll_before": (REAL, "Mean loss of the suffix, nothing dropped, nats per token."),
    "nll_after": (REAL, "The same with the neurons dropped."),
}
_TEXT_AFTER: Columns = {
    "text_nll_before": (REAL, "Loss on general text, nothing dropped, nats per token."),
    "text_nll_after": (REAL, "The same with the neurons dropped."),
}


def _deletions() -> Columns:
    who = {"self": "the target", "neg": "the other test passages, mean"}
    what = {
        "accuracy": "Share of suffix tokens that are the argmax",
        "distance": "Levenshtein distance in characters to the passage",
        "nll": "Loss of the suffix in nats per token",
        "recited": "Share recited in full",
    }
    when = {"before": "nothing dropped", "after": "the target's neurons dropped"}
    found: Columns = {
        f"{a}_{b}_{c}": (REAL, f"{what[b]}, of {who[a]}, {when[c]}.")
        for a in who
        for b in what
        for c in when
    }
    text = {
        "text_nll": "Loss on general text, nats per token",
        "perplexity": "Its perplexity, e to that power",
        "paper_perplexity": "What the paper calls perplexity, 2 to that power",
    }
    found |= {f"{a}_{c}": (REAL, f"{text[a]}, {when[c]}.") for a in text for c in when}
    return found


_TABLES: dict[str, tuple[str, Columns]] = {
    "injections": (
        "INJ: one row for each sentence of the test split that was injected.",
        {
            **CELL,
            **_INJ,
            "example": (LONG, "Number of the sentence, which decides its neurons."),
            "passage": (TEXT, "Id of the sentence."),
            "tokens": (LONG, "Tokens that are learned: all but the first."),
            "neurons": (LONG, "Neurons that it was written into."),
            "steps": (LONG, "Updates taken."),
            "loss_before": (REAL, "Loss before the first update, nats per token."),
            "loss_stop": (REAL, "Last loss of the training, nats per token."),
            "nll": (REAL, "Loss of the injected model at rest, nats per token."),
            "recited": (FLAG, "Whether greedy decoding then writes the sentence."),
        },
    ),
    "recalls": (
        "INJ: one row for each sentence, method, k and scope.",
        {
            **CELL,
            **_INJ,
            **_METHOD,
            "example": (LONG, "Number of the sentence."),
            "passage": (TEXT, "Id of the sentence."),
            **_RECALL,
            "recall": (REAL, "Share of the sentence's neurons among those taken."),
            "ceiling": (REAL, "Highest that any scores could reach on this sentence."),
            "random": (REAL, "What scores by chance reach on average."),
            "neurons": (LONG, "Neurons taken."),
            "tied": (LONG, "How many of them are as high as one that was left out."),
            "recited": (FLAG, "Whether the injection succeeded."),
        },
    ),
    "tuning": (
        "One row for each method with a grid and each combination of its options.",
        {
            **CELL,
            **_BENCH,
            **_METHOD,
            "options": (TEXT, "The combination, as JSON."),
            "value": (
                REAL,
                "Mean over the dev split: of INJ Recall@r per layer; of DEL the accuracy lost at "
                "the largest fraction, less that of the other dev passages where the method is "
                "contrasted or retains.",
            ),
            "examples": (SHORT, "Passages of the dev split."),
            "chosen": (FLAG, "Whether it is the best, and so the one that was tested."),
        },
    ),
    "timings": (
        "How long the methods took to score passages of the test split.",
        {
            **CELL,
            **_BENCH,
            **_METHOD,
            "passages": (SHORT, "Passages scored, references of a contrast not counted."),
            "seconds": (REAL, "Time for all of them, references included."),
            "threads": (SHORT, "Threads that were computed with."),
        },
    ),
    "passages": (
        "DEL: the passages, as the model recites them; one row each.",
        {
            **CELL,
            **_SETTING,
            "model": (TEXT, "What recites it."),
            "passage": (TEXT, "Its id."),
            "split": (TEXT, "test: deleted, and a negative of the others; dev: for tuning."),
            "source": (TEXT, "Where it is from."),
            "record": (TEXT, "Id of the record that it was cut from."),
            "category": (TEXT, "What kind of text it is; null where that is not known."),
            "prefix_text": (TEXT, "What is given."),
            "suffix_text": (TEXT, "What is asked."),
            "tokens": (SHORT, "Tokens asked."),
            "accuracy": (REAL, "Share of them that are the argmax."),
            "distance": (LONG, "Characters between the greedy and the true text."),
            "nll": (REAL, "Mean loss of the suffix, nats per token."),
        },
    ),
    "filters": (
        "DEL: how many windows fell to which filter; one row a filter.",
        {
            **CELL,
            **_SETTING,
            "filter": (TEXT, "Its name."),
            "meaning": (TEXT, "What is asked of a window."),
            "before": (LONG, "Windows that came to it."),
            "fell": (LONG, "How many were left out."),
            "left": (LONG, "How many went on."),
        },
    ),
    "deletions": (
        "DEL: one row for each method, fraction and passage of the test split.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            **_DROPPED,
            **_TARGET,
            "neurons": (LONG, "Neurons dropped."),
            "tied": (LONG, "How many of them have the score of one that was left out."),
            "negatives": (LONG, "Other passages measured."),
            **_deletions(),
        },
    ),
    "confusion": (
        "DEL: what dropping one passage's neurons does to each passage, itself included.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            **_DROPPED,
            **_TARGET,
            "passage": (TEXT, "The passage that is measured."),
            **{name: _BEFORE_AFTER[name] for name in ("accuracy_before", "accuracy_after")},
        },
    ),
    "overlaps": (
        "DEL: how many neurons the sets of two passages share; one row for each pair.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            **_DROPPED,
            "one": (TEXT, "A passage."),
            "other": (TEXT, "Another one."),
            "shared": (LONG, "Neurons in both sets."),
            "jaccard": (REAL, "These over the neurons in either."),
            "by_chance": (REAL, "What that would be of blind draws in each layer."),
        },
    ),
    "layers": (
        "DEL: in which layers the highest scores lie, ranked over the whole model.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            "fraction": (REAL, "Share of all neurons that is taken."),
            **_TARGET,
            "layer": (LONG, "The layer, from 0."),
            "neurons": (LONG, "How many of those taken lie in it."),
            "share": (REAL, "Their share of all taken."),
        },
    ),
    "one_layer": (
        "DEL: as many neurons from one layer as are otherwise spread over all.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            **_TARGET,
            "layer": (LONG, "The layer that all are taken from; null where they are spread."),
            "neurons": (LONG, "Neurons dropped."),
            "self_lost": (REAL, "Accuracy that the target loses."),
            "neg_lost": (REAL, "Mean accuracy that the other test passages lose."),
        },
    ),
    "curves": (
        "DEL: accuracy lost as more and more neurons are dropped.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            "fraction": (REAL, "Share of each layer's neurons that is dropped."),
            **_TARGET,
            "self_lost": (REAL, "Accuracy that the target loses."),
            "neg_lost": (REAL, "Mean accuracy that the other test passages lose."),
        },
    ),
    "together": (
        "DEL: half of the test passages deleted at once; one row for each passage.",
        {
            **CELL,
            **_SETTING,
            **_METHOD,
            "passage": (TEXT, "Its id."),
            "erased": (FLAG, "Whether it is one of those that were to be deleted."),
            "removed": (REAL, "Share of neurons (or weights) of the layers that was removed."),
            **_BEFORE_AFTER,
            **_TEXT_AFTER,
        },
    ),
    "recall_means": (
        "INJ: Recall@k of each method, over the sentences of the test split.",
        {
            **_INJ,
            **_METHOD,
            **_RECALL,
            **_INTERVAL,
            "ceiling": (REAL, "Mean of the highest that any scores could reach."),
            "random": (REAL, "What scores by chance reach on average."),
        },
    ),
    "deletion_means": (
        "DEL: what dropping neurons changes, over the passages of the test split.",
        {
            **_SETTING,
            **_METHOD,
            **_DROPPED,
            "measure": (
                TEXT,
                "self_accuracy, self_distance, neg_accuracy, neg_distance, text_nll, perplexity, "
                "paper_perplexity: after less before; specificity: accuracy that the target loses "
                "less that of the others.",
            ),
            **_INTERVAL,
        },
    ),
    "significance": (
        "One-tailed paired t-tests of the pruning methods against Integrated Gradients.",
        {
            **_BENCH,
            "part": (TEXT, "hard-concrete or slimming."),
            **_METHOD,
            "against": (TEXT, "The method that plays Integrated Gradients."),
            "at": (REAL, "INJ: k as a multiple of the fraction; DEL: the fraction dropped."),
            "n": (SHORT, "Pairs."),
            "difference": (REAL, "Mean of recall, or of accuracy lost, less that of the other."),
            "low": (REAL, "Lower end of its two-sided 95 % t-interval; NaN where there is none."),
            "high": (REAL, "Upper end of the interval."),
            "p": (REAL, "One-tailed; null where no test can be made."),
            "threshold": (REAL, "0.05 over the method's tests in this run (Bonferroni)."),
            "significant": (FLAG, "Whether p is below it."),
        },
    ),
    "agreement": (
        "Whether INJ and DEL rank the methods alike; one row for each target of DEL.",
        {
            "model": (TEXT, "Of INJ."),
            "injected": (REAL, "Fraction of INJ."),
            **_SETTING,
            "dropped": (REAL, "Fraction of DEL."),
            **_TARGET,
            "methods": (SHORT, "Methods that both measured."),
            "correlation": (
                REAL,
                "Spearman's, of mean Recall@r with the accuracy that this target loses.",
            ),
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
