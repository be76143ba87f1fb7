"""The sections of the study's report: what each chart shows, what to look for, what was published.

An experiment whose tables are missing or empty has no section.
"""

from __future__ import annotations

import polars as pl

from byrote.report.page import Block, Section
from byrote.report.study import StudyData, verdict_facts
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.figures_deletion import (
    confusion_figures,
    curve_figures,
    deletion_figures,
    together_figures,
)
from byrote.studies.localization.figures_injection import recall_figures, scope_figures
from byrote.studies.localization.figures_layers import (
    layer_figures,
    one_layer_figures,
    overlap_figures,
)
from byrote.studies.localization.report_tables import (
    deletion_tables,
    passages_table,
    recall_tables,
    significance_table,
    timing_table,
    together_table,
    tuning_tables,
)
from byrote.studies.looks import charts_of, section_of, table

__all__ = ["facts", "sections"]


def sections(data: StudyData, config: LocalizationConfig) -> list[Section]:
    """The sections of a run, in the order of the experiments.

    Args:
        data: The finished run.
        config: What was asked.
    """
    found = [
        _injection(data, config),
        _deletion(data, config),
        _specificity(data, config),
        _confusion(data, config),
        _layers(data, config),
        _together(data, config),
    ]
    return [section for section in found if section is not None]


def facts(data: StudyData, config: LocalizationConfig) -> list[tuple[str, str, str]]:
    """The tiles at the top: verdicts, and how much was measured."""
    tiles = list(verdict_facts(data.claims)) if not data.claims.is_empty() else []
    injections = table(data, "injections")
    if injections is not None:
        models = injections["model"].n_unique()
        done = int(injections["recited"].sum())
        words = f"of {len(injections):,}, {models} model{'s' if models != 1 else ''}"
        tiles.append((f"{done:,}", "sentences injected", words))
    passages = table(data, "passages")
    if passages is not None:
        test = passages.filter(pl.col("split") == "test")
        settings = test["setting"].n_unique()
        words = f"{settings} setting{'s' if settings != 1 else ''}"
        tiles.append((f"{len(test):,}", "recited passages, deleted one by one", words))
    return tiles


def _injection(data: StudyData, config: LocalizationConfig) -> Section | None:
    blocks: list[Block | None] = [
        charts_of(
            recall_figures(data, config),
            "Darker: more neurons are taken. Left dashed line: what random scores reach at the "
            "smallest k; right one: what the best scores could, as the draw is uneven over the "
            "layers. Open marks: the paper's, where it has the model.",
        ),
        charts_of(
            scope_figures(data, config),
            "The same scores: as many neurons taken of every layer, or the highest of all.",
        ),
        *recall_tables(data, config),
        significance_table(data, config, "inj"),
        tuning_tables(data, config, "inj"),
        timing_table(data, config, "inj"),
    ]
    return section_of(
        "injection",
        "INJ: finding neurons that a sentence was written into",
        "INJ",
        [
            "A new sentence is written into a random share r of the model's neurons, by training "
            "what these alone write; each method then scores all neurons for it. Recall@k is the "
            "share of the sentence's neurons among the k with the highest scores.",
            "Look at which methods stand far to the right of chance, how near they come to the "
            "ceiling, and whether the smaller share is the easier one to find.",
            "Published: the pruning methods lead everywhere, at r = 0.1 % of GPT2 with Recall@r of "
            "58.9 and 56.4 %, before Zero-Out and Integrated Gradients (54.1 and 53.5 %) and "
            "Activations (11.1 %); on the larger models they lead by more (2311.09060, Table 2, "
            "156 sentences).",
        ],
        blocks,
    )


def _deletion(data: StudyData, config: LocalizationConfig) -> Section | None:
    blocks: list[Block | None] = [
        charts_of(
            deletion_figures(data, config),
            "Right: more is lost. Circles far right with diamonds at 0 are what erasing wants.",
        ),
        *deletion_tables(data, config),
        significance_table(data, config, "del"),
        tuning_tables(data, config, "del"),
        timing_table(data, config, "del"),
        passages_table(data, config),
    ]
    return section_of(
        "deletion",
        "DEL: dropping what is found",
        "DEL",
        [
            "The model recites some passages. For each of them the neurons with the highest scores "
            "are set to zero, at all positions; then the passage, the other passages and general "
            "text are asked for.",
            "Look at how much of the target is lost (circles), and whether other passages lose as "
            "much (diamonds): a method that wrecks the model erases too.",
            "Published: at 0.5 % of GPT2-XL the target loses 57 to 58 points by the pruning "
            "methods, 46 by Zero-Out, 41 by Integrated Gradients, 30 by Activations, others 3 to 6 "
            "(2311.09060, Table 3). Its perplexity is 2 to the loss in nats; the tables have both.",
        ],
        blocks,
    )


def _specificity(data: StudyData, config: LocalizationConfig) -> Section | None:
    return section_of(
        "specificity",
        "Beyond the paper: how specific, by how much is dropped",
        "Specificity",
        [
            "The same scores, cut at more and more neurons. Contrasted scores are set against "
            "those of other texts: their difference to, or their ratio to, what the neuron does "
            "there; none of those texts is a passage that is then to be spared.",
            "Look for a full line that rises while its dotted one stays low: the room between the "
            "two is what is specific to the target.",
            "Published: nothing of this; the paper leaves it open that what it finds serves many "
            "sequences (2311.09060).",
        ],
        [
            charts_of(
                curve_figures(data, config),
                "Full: what the target loses; dotted: what the other passages lose on average.",
            )
        ],
    )


def _confusion(data: StudyData, config: LocalizationConfig) -> Section | None:
    return section_of(
        "confusion",
        "Who is hurt, and who shares neurons with whom",
        "Confusion",
        [
            "Each row drops the neurons of one passage; each column is what a passage loses by it.",
            "Look at whether only the diagonal is dark (each passage has neurons of its own), "
            "whole columns are (passages that anything hurts), or blocks of one kind.",
            "Published: addresses hurt one another, poems, Shakespeare, the Bible and quotes "
            "confuse one another, with all methods alike (2311.09060, Figures 2, 5, 6; GPT2-XL). "
            "How many neurons the sets share was not published.",
        ],
        [
            charts_of(
                confusion_figures(data, config),
                "Passages are in the order of their kinds. White: nothing is lost.",
            ),
            charts_of(
                overlap_figures(data, config),
                "Pairs of passages, the same number of neurons each.",
            ),
        ],
    )


def _layers(data: StudyData, config: LocalizationConfig) -> Section | None:
    return section_of(
        "layers",
        "Which layers, and whether one is enough",
        "Layers",
        [
            "Left to rank over the whole model, methods favour some layers. And as many neurons "
            "as are otherwise spread over all layers are taken from a single one.",
            "Look at whether any single layer comes up to the dashed lines, and what the others "
            "lose there.",
            "Published: spreading 301 neurons of GPT2-XL over its layers erases more than taking "
            "them from any one, but for layer 1, where all other passages suffer as well "
            "(2311.09060, Figures 3 and 4); scores are largest in the bottom layers.",
        ],
        [
            charts_of(layer_figures(data, config), "Mean over passages; layer 0 is among them."),
            charts_of(
                one_layer_figures(data, config),
                "Dashed: the same number of neurons spread over all layers but the first.",
            ),
        ],
    )


def _together(data: StudyData, config: LocalizationConfig) -> Section | None:
    return section_of(
        "together",
        "Beyond the paper: several passages at once",
        "Several at once",
        [
            "The neurons of half of the passages are dropped together; BalancedSubnet, for "
            "comparison, takes single weights out of the feed-forward maps, learned on the same "
            "passages and on the held-out texts.",
            "Look at whether what is deleted is lost and the other half stays, and at what general "
            "text pays.",
            "Published: nothing of this comparison. BalancedSubnet is of 2410.02159; it is trained "
            "for far fewer steps here.",
        ],
        [
            charts_of(together_figures(data, config), "Right: more is lost."),
            together_table(data, config),
        ],
    )
