"""The claims of the goldfish paper and of its neighbours, and how each is judged here."""

from __future__ import annotations

from byrote.studies.claims import Claim
from byrote.studies.goldfish import judges, judges_beyond, judges_membership

__all__ = ["CLAIMS"]

_TABLE_1 = {
    "static": "94.1, 92.5, 61.7, 73.7, 51.1 % at k = 3, 4, 8, 32, 128",
    "hash": "77.6, 81.4, 74.3, 50.0, 40.8 % at k = 3, 4, 8, 32, 128",
}

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "extreme-standard",
        "A trained model that is shown a few passages again and again recites most of them",
        "section 4.1, Figure 1 (E1)",
        "84 of 100 pages; 85 % in the figure (Llama-2-7B, 100 epochs)",
        "F",
        "share of passages whose suffix is recited in full, arm standard, last epoch",
        judges.extreme_standard,
    ),
    Claim(
        "extreme-goldfish",
        "With a goldfish mask of k = 4 it recites none of them",
        "section 4.1, Figure 1 (E1)",
        "0 of 100 pages",
        "F",
        "the same under each hash mask with k = 3 or 4, none of at least 16 passages; tested where "
        "standard training recites more",
        judges.extreme_goldfish,
    ),
    Claim(
        "extreme-overlap",
        "What it then writes is nearer to the passage than an untrained model's, and farther than "
        "after standard training",
        "Figure 1 (E1)",
        "ROUGE-L 26 % untrained, 51 % with k = 4, 96 % standard",
        "F",
        "ROUGE-L of the continuation with the suffix, differences within a repetition",
        judges.extreme_overlap,
    ),
    Claim(
        "control-unaware",
        "A model that never saw the documents recites none",
        "Figure 2 (E2)",
        "0 %",
        "F",
        "share of documents recited by the arm control, none of at least 16",
        judges.control_unaware,
    ),
    Claim(
        "standard-recites",
        "Documents that repeat in ordinary training are recited",
        "section 4.2, Figure 2 (E2)",
        "a spike at ROUGE-L 1; not published as a number",
        "F",
        "share recited by the arm standard less that of the control",
        judges.standard_recites,
    ),
    Claim(
        "like-control",
        "With k = 3 and k = 4 what is recited is hardly distinguishable from the control",
        "section 4.2, Figure 2 (E2)",
        "histograms of ROUGE-L largely overlap",
        "F",
        "what the mask adds to the control's ROUGE-L, as a share of what standard training adds: "
        "at most a quarter",
        judges.like_control,
    ),
    Claim(
        "monotone",
        "The fewer tokens are dropped, the more is recited",
        "section 4.2, Figures 2 and 9 (E2)",
        "not published as a number",
        "F",
        "rank correlation of k with mean ROUGE-L, in each repetition",
        judges.monotone,
    ),
    *(
        Claim(
            f"divergence-{strategy}",
            f"Under the {strategy} mask a continuation leaves the document at a dropped token "
            "far more often than chance",
            "Table 1, Figure 4 (E3)",
            published,
            "F",
            "share of first divergences that lie on a dropped token, less twice the share of "
            "tokens dropped",
            judges.drops_where_diverged(strategy),
        )
        for strategy, published in _TABLE_1.items()
    ),
    Claim(
        "benchmarks",
        "Goldfish training costs nothing on benchmarks",
        "section 5.1, Figure 3 (E4)",
        "no systematic gap on seven benchmarks",
        "F",
        "not measured",
        judges_beyond.not_measured(
            "byrote runs no benchmarks, at no size of this study; models of the smaller presets "
            "would be at chance. The validation loss of each arm is in the table of losses"
        ),
    ),
    Claim(
        "equal-input",
        "After the same number of tokens shown, goldfish training has the higher loss",
        "section 5.2, Figure 5 (E5)",
        "trails slightly; not published as a number",
        "F",
        "validation loss of 4-goldfish less that of standard training, as many tokens shown",
        judges.equal_input_trails,
    ),
    Claim(
        "equal-learned",
        "After the same number of tokens learned, the losses are nearly the same",
        "section 5.2, Figure 5 (E5)",
        "final losses nearly equal",
        "F",
        "validation loss less that of standard training with a third more input, by more steps and "
        "by larger ones; at most 0.05 nats apart",
        judges.equal_learned,
    ),
    Claim(
        "mauve",
        "What a goldfish model writes is as fluent (Mauve)",
        "section 5.3, Figure 6 (E6)",
        "a minimal drop under greedy decoding",
        "F",
        "not measured",
        judges_beyond.not_measured(
            "byrote has no Mauve, at no size of this study: it compares thousands of long texts by "
            "a large model's features"
        ),
    ),
    Claim(
        "membership-stays",
        "That a document was trained on still shows under every k",
        "section 5.5, Table 2 (E7)",
        "AUC of loss over zlib bytes from .9963 (k = 3) to 1.000 (k = 128)",
        "F",
        "AUC of the same attack, members against documents never shown, at three k or more",
        judges_membership.membership_stays,
    ),
    Claim(
        "membership-low-fpr",
        "At a low false-positive rate small k hide membership better",
        "Table 2 (E7)",
        "at .1 % false positives the loss attack finds 3.45 % (k = 3) against 97.6 % (standard)",
        "F",
        "true positives of the loss attack at .1 % false ones, or 1 % where there are too few "
        "documents, 3-goldfish less standard; tested where it does not find all under both",
        judges_membership.membership_low_fpr,
    ),
    Claim(
        "beam-resists",
        "A search with 30 beams gets nothing out of a model trained with k = 3",
        "section 5.4, Figure 8 (E8)",
        "0 % greedy, 0 % with beams",
        "F",
        "share recited with beams, none of at least 16; tested where beams get more out of "
        "standard training",
        judges.beam_resists,
    ),
    Claim(
        "beam-gain",
        "The beam attack gains more the fewer tokens were dropped",
        "Figure 8 (E8)",
        "k = 8: 3 to 6 %; k = 128: about 20 to 27 %; standard: 27 to 35 %",
        "F",
        "gain by beams at k = 128 less that at k = 3",
        judges.beam_gain,
    ),
    Claim(
        "random-worse",
        "A mask drawn anew each time prevents less than the hash mask",
        "Figure 9 (E9)",
        "slightly worse at equal k; not published as a number",
        "F",
        "ROUGE-L of random less hash at the same k",
        judges.random_worse,
    ),
    Claim(
        "width",
        "h = 4 and h = 13 prevent memorisation alike",
        "Figure 9 (E9)",
        "not published as a number",
        "F",
        "ROUGE-L with h = 4 less that with h = 13, at most 0.1 apart, and both below standard "
        "training",
        judges.width_matters,
    ),
    Claim(
        "edited-leak",
        "Copies in which single tokens differ defeat the mask",
        "Apertus, 2509.14233 (beyond the paper)",
        "22 of 10,672 probes are recited, all of texts with differing web copies",
        "N",
        "ROUGE-L with edits in half of the copies less that with exact ones",
        judges_beyond.near_duplicates_leak("edited"),
    ),
    Claim(
        "reformatted-leak",
        "Copies that differ in line breaks and spaces defeat the mask",
        "Apertus, 2509.14233 (beyond the paper)",
        "the same texts differ in line breaks or tokens",
        "N",
        "ROUGE-L with half of the copies reformatted less that with exact ones",
        judges_beyond.near_duplicates_leak("reformatted"),
    ),
    Claim(
        "normalized-edited",
        "A mask of the normalised text withstands edited copies better than one of the tokens",
        "section 3.1 advises normalisation",
        "not published",
        "beyond",
        "ROUGE-L with edited copies, mask of the text less mask of the tokens",
        judges_beyond.normalized_helps("edited"),
    ),
    Claim(
        "normalized-reformatted",
        "A mask of the normalised text withstands reformatted copies",
        "section 3.1 advises normalisation",
        "not published",
        "beyond",
        "ROUGE-L with reformatted copies, mask of the text less mask of the tokens",
        judges_beyond.normalized_helps("reformatted"),
    ),
    Claim(
        "memfree-verbatim",
        "Under MemFree decoding nothing is recited verbatim",
        "Ippolito et al., 2210.17546",
        "0 by construction",
        "N",
        "share recited by the arm standard when no n-gram of a document may be completed; tested "
        "where it recites more without",
        judges_beyond.memfree_verbatim,
    ),
    Claim(
        "memfree-overlap",
        "MemFree leaves near copies: what is written still resembles the document",
        "Ippolito et al., 2210.17546",
        "not published as one number",
        "N",
        "ROUGE-L of the arm standard under MemFree less that of the control",
        judges_beyond.memfree_overlap,
    ),
)
"""All claims, in the order of the table."""
