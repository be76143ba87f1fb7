"""The sections of the study's report: what each chart shows, what to look for, what was published.

An experiment whose tables are missing or empty has no section.
"""

from __future__ import annotations

from itertools import chain, repeat

import polars as pl

from byrote.report.page import Block, Section
from byrote.report.study import StudyData, verdict_facts
from byrote.studies.dynamics.charts import table
from byrote.studies.dynamics.charts_times import CENSORED_NOTE
from byrote.studies.dynamics.config import DynamicsConfig
from byrote.studies.dynamics.figures_context import context_figures, context_rows
from byrote.studies.dynamics.figures_control import control_figures, position_figures
from byrote.studies.dynamics.figures_phases import (
    order_figures,
    phase_figures,
    raster_figures,
)
from byrote.studies.dynamics.figures_sequence import sequence_figures
from byrote.studies.dynamics.figures_times import (
    checkpoint_figures,
    entropy_figures,
    length_figures,
    partial_figures,
    size_figures,
    untrained_figures,
)
from byrote.studies.dynamics.section_tables import context_table, partial_table, times_table
from byrote.studies.looks import charts_of, section_of

__all__ = ["facts", "sections"]


def sections(data: StudyData, config: DynamicsConfig) -> list[Section]:
    """The sections of a run, in the order of the experiments.

    Args:
        data: The finished run.
        config: What was asked.
    """
    found = [
        _phases(data),
        _entropy(data),
        _length(data),
        _size(data),
        _order(data),
        _context(data),
        _sequence(data),
        _pretraining(data),
        _control(data, config),
        _partial(data),
    ]
    return [section for section in found if section is not None]


def facts(data: StudyData, config: DynamicsConfig) -> list[tuple[str, str, str]]:
    """The tiles at the top: verdicts, and how much was run."""
    tiles = list(verdict_facts(data.claims)) if not data.claims.is_empty() else []
    trainings = table(data, "trainings")
    if trainings is not None:
        strings = f"of {config.strings} strings each"
        tiles.append((f"{trainings['training'].n_unique():,}", "kinds of exposure", strings))
        models = trainings["source"].n_unique()
        epochs = int(trainings["epochs"].sum())
        tiles.append((f"{epochs:,}", "exposures in all", f"{models:,} models"))
    return tiles


def _phases(data: StudyData) -> Section | None:
    readings = chain(
        (
            "One line an alphabet size, darker with more letters. Dashed: what guessing without "
            "the prefix gives, that is the entropy of the strings' own letter frequencies (a "
            "little below ln ℓ) for loss and entropy, and the share of the commonest letter for "
            "accuracy. A square marks the end of guessing, a circle memorisation (each "
            "the median over strings, set on the mean curve), a triangle strings that were not "
            "memorised. A string that ended early because it was memorised is held at its last "
            "value until the last one ends.",
        ),
        repeat("Read as above."),
    )
    blocks: list[Block | None] = [
        charts_of(figures, reading)
        for (_, figures), reading in zip(phase_figures(data), readings, strict=False)
    ]
    blocks.append(times_table(data))
    return section_of(
        "phases",
        "The two phases, for every alphabet size",
        "E1 Phases",
        [
            "A model is shown a random string again and again. First it learns which tokens occur "
            "and how often (guessing), then which one follows each prefix (memorisation).",
            "Look for a loss that pauses near the dashed level while the probability on the "
            "alphabet is already near 1, the lowest distance to the letters' distribution at the "
            "end of the pause, and an accuracy that leaves the guess level only after it.",
            "Published: the two phases are consistent across model families (2407.19262, section "
            "3); Llama-2-13B ends at about 96 % accuracy for ℓ = 2 after 100 epochs (read from "
            "figure 1c by others).",
        ],
        blocks,
    )


def _entropy(data: StudyData) -> Section | None:
    return section_of(
        "entropy",
        "Entropy: fewer letters, or letters less alike",
        "E2 Entropy",
        [
            "The entropy of a string falls with its alphabet, or, with all letters kept, when one "
            "of them becomes more likely than the others; where the run has them, strings whose "
            "letters hint at the next one are there too (beyond the paper).",
            "Look at whether the lines fall towards the right, and whether they fall together: "
            "then entropy decides, not the number of letters.",
            "Published: strings of low entropy are easier to guess and slower to memorise "
            "(2407.19262, section 4; no numbers at hand).",
        ],
        [
            charts_of(
                entropy_figures(data),
                "Large marks are medians over strings, bars their intervals, small marks the "
                f"strings. {_note()}",
            )
        ],
    )


def _length(data: StudyData) -> Section | None:
    return section_of(
        "length",
        "Length of the string",
        "E3 Length",
        [
            "How many exposures a string of n tokens takes.",
            "Look at how little (or how much) the epochs rise with each doubling of n, with and "
            "without pretraining.",
            "Grey, open and dotted: the paper authors' public logs of Pythia-1B at ℓ = 26, one "
            "string each, unpublished and with another learning rate. They count epochs until the "
            "loss is below 0.1, which comes later than an accuracy of 95 %. They are for "
            "orientation, not a result of the paper.",
        ],
        [
            charts_of(
                length_figures(data),
                "Large marks are medians over strings, bars their intervals, small marks the "
                f"strings. {_note()}",
            )
        ],
    )


def _size(data: StudyData) -> Section | None:
    return section_of(
        "size",
        "Size of the model",
        "E4 Size",
        [
            "How many exposures models of one family and different size need for the same strings.",
            "Look at whether larger models need fewer.",
            "Published: larger models memorise faster (from memory of the paper, unverified; "
            "Tirumala et al., 2205.10770, find the same for text).",
        ],
        [
            charts_of(
                size_figures(data),
                "A line a family; large marks are medians over strings, bars their intervals, "
                f"small marks the strings. {_note()}",
            )
        ],
    )


def _order(data: StudyData) -> Section | None:
    return section_of(
        "order",
        "Order: which positions are memorised first",
        "E5 Order",
        [
            "Each panel follows one string: a row is a position (the first on top), a column an "
            "epoch, coloured where the model's first choice is right.",
            "Look at whether the coloured starts are scattered over the rows (no order) or form an "
            "edge that runs from the top left to the bottom right (early positions first). The "
            "rank correlation ρ of position and epoch says the same in a number: 0 for no order, "
            "1 where early positions come first.",
            "Published: tokens are memorised one by one, in no particular order of position "
            "(reviews of the predecessor). The authors' public rasters of Pythia-1B agree for the "
            "pretrained model; the untrained one learns early positions first.",
        ],
        [
            charts_of(
                raster_figures(data),
                "A position counts as memorised from the epoch on from which it stays right. Long "
                "strings and long exposures are drawn in bins, whose shade is the share of hits.",
            ),
            charts_of(
                order_figures(data),
                "Positions that are never right for good come last. An interval that leaves out "
                "the line at 0 speaks for an order.",
            ),
        ],
    )


def _context(data: StudyData) -> Section | None:
    return section_of(
        "context",
        "Cues: the local prefix against the global context",
        "E6 Context",
        [
            "A memorised token is asked for after its true last k tokens, while all tokens before "
            "those are replaced. The k-gram ceiling is what the best predictor reaches that knows "
            "the string and sees those k tokens alone: short prefixes are nearly unique, so that "
            "reaching it proves no use of the global context.",
            "Look at whether lines whose replacement keeps the letters' distribution (shuffled, "
            "another string, fresh draw) rise to the solid line of the whole prefix, and how far "
            "those that change it, or drop it, stay behind.",
            "Published: by epoch 30 local prefixes below 5 % and 10 % of the string reach about "
            "100 %, as the full prefix does; the global context may be altered but must keep the "
            "string's token distribution (reviews of the predecessor).",
        ],
        [
            charts_of(
                context_figures(data),
                "Solid black: the whole prefix. Dotted black over grey: the k-gram ceiling at the "
                "same positions. Blues and green keep the distribution of the letters, orange and "
                "purple do not. Bars are 95 % t-intervals over strings; the marks of one k stand "
                f"beside each other.{_fewer_positions(data)}",
            ),
            context_table(data),
        ],
    )


def _fewer_positions(data: StudyData) -> str:
    """Shuffled contexts cannot be shared between positions, so that fewer are asked for."""
    rows = context_rows(data)
    if rows is None:
        return ""
    counts = dict(rows.group_by("condition").agg(pl.col("positions").max()).rows())
    few, all_of_them = counts.get("shuffle"), max(v for v in counts.values() if v is not None)
    if few is None or few >= all_of_them:
        return ""
    return f" Shuffled contexts were asked for {few} of the {all_of_them} positions."


def _sequence(data: StudyData) -> Section | None:
    blocks = []
    for index, group in enumerate(sequence_figures(data)):
        if index % 2 == 0:
            reading = (
                "Between two grey lines one string is learned; the number on top says which. The "
                "lines of the others show what that does to them. The last stage learns the first "
                "string once more."
            )
        else:
            reading = (
                "Left of “1 again” the strings are new; “1 again” below “1” is what re-learning "
                f"saves. {_note()} Retention is the accuracy on a string at the end of later "
                "stages, 0 being its own."
            )
        blocks.append(charts_of(group, reading))
    return section_of(
        "sequence",
        "One string after the other",
        "E7 Sequence",
        [
            "One model learns string after string, with an optimiser that begins anew for each or "
            "one that carries its moments over.",
            "Look at how far the loss on earlier strings climbs back while later ones are learned, "
            "whether later strings take fewer epochs, what re-learning the first one saves, and "
            "what it all costs on natural text.",
            "Published: sequential exposure affects memorisation significantly (2407.19262, "
            "section 6); earlier strings are forgotten as new ones are learned, new ones are "
            "memorised faster as more were seen (no numbers at hand).",
        ],
        blocks,
    )


def _pretraining(data: StudyData) -> Section | None:
    return section_of(
        "pretraining",
        "With and without pretraining",
        "E8 Pretraining",
        [
            "The same strings learned from pretrained and from random weights, and from the "
            "checkpoints of one pretraining.",
            "Look for the pause at the guess level, which untrained models are said to lack, and "
            "for the pretraining step from which memorisation is quick.",
            "The authors' public logs of Pythia-1B (n = 1024, one string): not memorised in 100 "
            "epochs from step 64, 87 epochs from step 256, 36 from step 1,000, 17 from step "
            "10,000, 22 from the last; the loss before exposure rises after step 256.",
        ],
        [
            charts_of(
                untrained_figures(data),
                "Blue: pretrained, orange and dashed: untrained. Horizontal: ln ℓ, or the share of "
                "the commonest letter.",
            ),
            charts_of(
                checkpoint_figures(data),
                f"Each point is a copy of the model at that step, shown the strings. {_note()}",
            ),
        ],
    )


def _control(data: StudyData, config: DynamicsConfig) -> Section | None:
    return section_of(
        "control",
        "The control: never-seen strings of the same source",
        "E9 Control",
        [
            "While one string is learned, others of the same source are only measured. Whatever "
            "their loss falls below ln ℓ would be learned from context or from the source, not by "
            "rote.",
            "Look at whether their loss falls to the dashed ln ℓ with guessing, and parts from the "
            "learned string's when memorisation begins.",
            "Published: the strings are chosen so that neither earlier exposure nor patterns "
            "explain a low loss (2407.19262, section 2).",
        ],
        [
            charts_of(
                control_figures(data),
                f"Never-seen strings are measured every {config.training.heldout_every} epochs; a "
                f"dashed line is the mean of the {config.training.heldout} that go with one "
                "learned string.",
            ),
            charts_of(
                position_figures(data),
                "Were a low loss inferred in context, it would fall along the string. Each learned "
                "string has its own epoch of the lowest loss.",
            ),
        ],
    )


def _partial(data: StudyData) -> Section | None:
    return section_of(
        "partial",
        "Beyond the paper: training a part of the model",
        "Parts",
        [
            "The same strings, with only some of the parameters allowed to learn (their number in "
            "brackets).",
            "Look at which small parts suffice, and which never do.",
            "The authors' public logs of Pythia-1B (n = 1024, 500 epochs, one string): loss below "
            "0.1 after 31 epochs with everything, 34 with the MLPs only, 53 with attention only, "
            "101 to 276 with one layer; never with biases, norms or embeddings only.",
        ],
        [
            charts_of(
                partial_figures(data),
                f"Large marks are medians over strings, bars their intervals. {_note()}",
            ),
            partial_table(data),
        ],
    )


def _note() -> str:
    return CENSORED_NOTE[0].upper() + CENSORED_NOTE[1:] + "."
