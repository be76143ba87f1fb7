"""The sections of the study's report: what each chart shows, what to look for, what was published.

An experiment whose tables are missing or empty has no section.
"""

from __future__ import annotations

from byrote.report.page import Block, Section
from byrote.report.study import StudyData, verdict_facts
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.copies import stretches
from byrote.studies.goldfish.figures_costs import (
    ATTACKS,
    loss_figures,
    membership_figures,
    tradeoff_figures,
)
from byrote.studies.goldfish.figures_extraction import (
    beam_figures,
    distribution_figures,
    rate_figures,
)
from byrote.studies.goldfish.figures_extreme import extreme_figures
from byrote.studies.goldfish.figures_masks import (
    divergence_figures,
    duplicate_figures,
    strategy_figures,
    width_figures,
)
from byrote.studies.goldfish.report_tables import (
    divergence_table,
    loss_table,
    membership_table,
    objectives_table,
)
from byrote.studies.looks import charts_of, section_of, table

__all__ = ["facts", "sections"]


def sections(data: StudyData, config: GoldfishConfig) -> list[Section]:
    """The sections of a run, in the order of the experiments.

    Args:
        data: The finished run.
        config: What was asked.
    """
    found = [
        _extreme(data, config),
        _extraction(data, config),
        _divergence(data, config),
        _loss(data, config),
        _membership(data, config),
        _beams(data, config),
        _strategies(data, config),
        _copies(data, config),
        _objectives(data, config),
    ]
    return [section for section in found if section is not None]


def facts(data: StudyData, config: GoldfishConfig) -> list[tuple[str, str, str]]:
    """The tiles at the top: verdicts, and how much was run."""
    tiles = list(verdict_facts(data.claims)) if not data.claims.is_empty() else []
    trainings = table(data, "trainings")
    if trainings is not None:
        size = int(trainings["parameters"].max() or 0)  # type: ignore[arg-type]
        more = f"of {trainings['arm'].n_unique()} arms, {size:,} parameters"
        tiles.append((f"{len(trainings):,}", "models trained from scratch", more))
    extreme = table(data, "extreme")
    if extreme is not None:
        runs = extreme.select("arm", "seed", "long").unique()
        tiles.append((f"{len(runs):,}", "models fine-tuned", f"of {runs['arm'].n_unique()} arms"))
    return tiles


def _extreme(data: StudyData, config: GoldfishConfig) -> Section | None:
    blocks: list[Block | None] = []
    for number, figures in enumerate(extreme_figures(data, config)):
        reading = (
            "Recited in full means that every token of the suffix is the model's first choice. In "
            "the losses a full line is of tokens that are learned, a dotted one of tokens that the "
            "mask drops; standard training drops none. Dashed, where it was asked for: passages "
            "that no arm is shown."
        )
        if number:
            reading = (
                "The same for the arms that were shown for longer, with one repetition: what is "
                "not recited here is so of few passages, and there is no interval of the ROUGE-L."
            )
        blocks.append(charts_of(figures, reading))
    return section_of(
        "extreme",
        "Extreme memorisation: a few passages, again and again",
        "E1 Extreme",
        [
            "A trained model is fine-tuned on a few passages, all of them in every step, and asked "
            "for their second halves.",
            "Look for a share recited that climbs to 1 under standard training and stays at 0 "
            "under small k, although the loss of the learned tokens falls as fast; and at how the "
            "loss of dropped tokens parts from it.",
            "Published: after 100 epochs of Llama-2-7B on 100 Wikipedia pages, standard training "
            "recites 84 of 100 pages, 4-goldfish none; ROUGE-L is 26 % untrained, 51 % with k = 4, "
            "96 % standard (2406.10209, section 4.1, Figure 1).",
        ],
        blocks,
    )


def _extraction(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "extraction",
        "Repeated documents in ordinary training",
        "E2 Extraction",
        [
            f"A model is trained from scratch on text of which {config.scratch.documents} "
            f"documents are shown {config.scratch.repeats} times; it is then given their "
            f"beginnings ({config.scratch.prefix} tokens, its BOS included).",
            "Look at whether the filled shape lies on its outline (nothing is known of the "
            "documents), stands farther to the right, or has a spike at 1 (recited), and how that "
            "grows with k.",
            "Published: the distributions for k = 3 and k = 4 largely overlap the control's, "
            "standard training has a spike at 1 (2406.10209, section 4.2, Figure 2; TinyLlama-1.1B "
            "on 20 B tokens, 2,000 documents 50 times each).",
        ],
        [
            charts_of(
                distribution_figures(data, config),
                "A row is an arm. Filled: documents that all arms but the control repeat; "
                "outlined: documents that no arm was shown, asked of the same model. Heights are "
                "shares of documents, alike in all rows.",
            ),
            charts_of(
                rate_figures(data, config),
                "Large marks are over all documents, small ones over those of one repetition. The "
                "grey squares are what can be had without having seen the text.",
            ),
        ],
    )


def _divergence(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "divergence",
        "Where what is written leaves the document",
        "E3 Divergence",
        [
            "If a document is learned but for its dropped tokens, what is written should follow it "
            "until one of those comes.",
            "Look at how far the marks stand above the short lines, which are what chance would "
            "give. Where even standard training does not recite, a continuation goes astray before "
            "the first dropped token comes, and the marks come down.",
            "Published: 77.6, 81.4, 74.3, 50.0 and 40.8 % at k = 3, 4, 8, 32 and 128 under the "
            "hash mask; 94.1, 92.5, 61.7, 73.7 and 51.1 % under the static one (2406.10209, "
            "Table 1, of 2,000 documents).",
        ],
        [
            charts_of(
                divergence_figures(data, config),
                "Of documents whose greedy continuation differs somewhere. Grey and open: the "
                "paper's. Random masks are drawn anew for each copy, so no token is a dropped one.",
            ),
            divergence_table(data, config),
        ],
    )


def _loss(data: StudyData, config: GoldfishConfig) -> Section | None:
    blocks: list[Block | None] = []
    for figures in loss_figures(data, config):
        reading = (
            "The same trainings, left against what was shown, right against what was learned: a "
            "mask leaves out one token in k. The loss is of all tokens of text that no arm is "
            "shown."
        )
        if len(figures) == 1:
            reading = "Above the dashed line the model is worse than after standard training."
        blocks.append(charts_of(figures, reading))
    blocks.append(loss_table(data, config))
    return section_of(
        "loss",
        "What it costs: validation loss",
        "E5 Loss",
        [
            "Dropped tokens teach nothing, so that a mask should cost as much as the tokens that "
            "it drops, and no more.",
            "Look at whether lines that part on the left fall together on the right, and where the "
            "two arms with a third more input end.",
            "Published: at equal input 4-goldfish trails slightly; with as many learned tokens the "
            "losses end nearly equal, and the run with larger batches follows standard training "
            "all along (2406.10209, section 5.2, Figure 5; no numbers printed).",
        ],
        blocks,
    )


def _membership(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "membership",
        "Whether it still shows that a document was trained on",
        "E7 Membership",
        [
            "An attack gives every document a score; documents that were shown should have higher "
            "ones than documents that never were.",
            "Look at whether the AUC stays high although nothing is recited, and whether few "
            "members are found at few false alarms: both must be seen, since an AUC of .99 can go "
            "with a low rate there. The control shows what the attack finds where there is "
            "nothing.",
            "Published: AUC of loss over zlib bytes .9963 (k = 3) to 1.000 (k = 128, standard); at "
            "0.1 % false alarms the loss attack finds 3.45 % (k = 3) against 97.6 % (standard) "
            "(2406.10209, Table 2, 2,000 members and as many others).",
        ],
        [
            charts_of(
                membership_figures(data, config),
                f"Of {config.scratch.documents} members and {config.scratch.heldout} others in "
                "each repetition. Grey and open: the paper's AUC. Its rates are at 0.1 % false "
                "alarms; where so few cannot show such a rate, they are in the tables only. Where "
                "all members are told apart in every repetition there is no interval of an AUC: "
                "that all agree does not make it sure. That of a rate is over all members.",
            ),
            *(membership_table(data, config, attack) for attack in ATTACKS),
        ],
    )


def _beams(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "beams",
        "Asking with a search",
        "E8 Beams",
        [
            f"A search with {config.scratch.beams} beams looks for the most likely continuation, "
            "which can be the document where greedy decoding once takes another turn.",
            "Look at how much the search adds to greedy decoding, and whether that grows with k.",
            "Published, with 30 beams: nothing is recited at k = 3, 1 % at k = 4 both ways; 3 to "
            "6 % at k = 8, about 19 to 27 % at k = 32, 20 to 27 % at k = 128, 27 to 35 % after "
            "standard training (2406.10209, section 5.4, Figure 8; which bar is which was inferred "
            "from k = 8 on).",
        ],
        [
            charts_of(
                beam_figures(data, config),
                "The same models and beginnings; only the decoding differs.",
            )
        ],
    )


def _strategies(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "strategies",
        "Which tokens are dropped",
        "E9 Strategies",
        [
            "The hash of the h tokens before it decides of each token, so that copies of a text "
            "drop the same ones wherever they stand; static masks drop every k-th token of a "
            "sequence, random ones draw anew for each copy.",
            "Look at whether random masks let more be written than the hash at the same k (after "
            "enough copies every token has been learned), and whether h matters. A static mask can "
            "look better than the hash here, only because documents always begin a sequence: where "
            "copies stand at other places of a row, it drops other tokens of each.",
            "Published: random is slightly worse at equal k; h = 4 and h = 13 prevent alike "
            "(2406.10209, Figure 9, no numbers printed).",
        ],
        [
            charts_of(
                strategy_figures(data, config),
                "Dashed lines: what the control and standard training come to.",
            ),
            charts_of(width_figures(data, config), "Read as above."),
        ],
    )


def _copies(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "copies",
        "Beyond the paper: copies that are nearly the same",
        "Near-duplicates",
        [
            "Half of the copies of each document differ: one token of each stretch of about "
            f"{config.scratch.edit_every} is another one, {_edits(config)} of a document (edited), "
            "or line breaks, spaces and soft hyphens are (reformatted). "
            "Where copies differ, a mask of the tokens drops different ones in each, and all may "
            "be learned from some copy.",
            "Look at whether the mask of the tokens rises from exact to differing copies, and "
            "whether the mask of the normalised text stays where it was.",
            "Published: Apertus found 22 of 10,672 probes recited in spite of the mask, all of "
            "texts whose web copies differ in line breaks or tokens (2509.14233); the paper "
            "advises to normalise text before hashing and does not measure it.",
        ],
        [
            charts_of(
                duplicate_figures(data, config),
                "Dashed line: the control, which was shown none of the documents. Standard "
                "training is there as well, since differing copies teach it less of the exact "
                "document too.",
            )
        ],
    )


def _edits(config: GoldfishConfig) -> str:
    tokens = config.scratch.tokens - 1
    return f"{stretches(tokens, config.scratch.edit_every)} of the {tokens} tokens"


def _objectives(data: StudyData, config: GoldfishConfig) -> Section | None:
    return section_of(
        "objectives",
        "Beyond the paper: other ways not to recite",
        "Objectives",
        [
            "The same documents, order and weights under other objectives, and standard training "
            "with a filter when decoding (MemFree: no n-gram of a repeated document may be "
            f"completed, n = {config.scratch.ngram}).",
            "Look at what is still recited or resembled, and what it costs in validation loss. An "
            "objective that prevents reciting by learning little is not a success: compare its "
            "loss with that of the control. Each has one setting, its default, at the learning "
            "rate of all arms; none was tuned, and what is seen holds for these settings alone.",
            "Published: nothing of this comparison. MiLe (2310.19531), focal loss, "
            "self-contrastive training (2307.01542) and patch-level training (2407.12665) were "
            "made for other ends; MemFree (2210.17546) prevents verbatim text by construction and "
            "leaves near copies.",
        ],
        [
            objectives_table(data, config),
            charts_of(
                tradeoff_figures(data, config),
                "Bars are 95 % intervals. MemFree has the loss of the model that it decodes.",
            ),
        ],
    )
