"""Score once, then judge: what a model can recite, under greedy decoding and under sampling."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.recall.context import (
        CONTEXT_CONDITIONS,
        CONTEXT_SCHEMA,
        ContextSources,
        context_recall,
        ordinary_tokens,
    )
    from byrote.recall.coverage import Coverage, greedy_coverage, probability_coverage
    from byrote.recall.curves import count_table, survival_table
    from byrote.recall.extraction import (
        discoverable,
        discoverable_rate,
        draws_needed,
        extractable,
        first_miss,
        longest_run,
        nll,
        perplexity,
        recited_spans,
        token_accuracy,
    )
    from byrote.recall.generation import continuations
    from byrote.recall.intervals import Estimate, bootstrap_mean, clopper_pearson, wilson
    from byrote.recall.laws import LogLinearFit, log_linear_fit
    from byrote.recall.letters import LetterMeasures, letter_measures
    from byrote.recall.membership import attack, attacks, auc, tpr_at_fpr
    from byrote.recall.oracles import guess_accuracy, kgram_ceiling, modal_frequency
    from byrote.recall.overlap import bleu, edit_distance, edit_similarity, rouge_l
    from byrote.recall.phases import PhaseRule, Phases, PhaseTimes, detect_phases, phase_times
    from byrote.recall.sampling import sampled_logprob
    from byrote.recall.schemas import COLUMNS
    from byrote.recall.scores import SamplingScheme, Scores
    from byrote.recall.scoring import Scorer
    from byrote.recall.tables import coverage_table, discoverable_table, fit_table, summarise
    from byrote.recall.verdicts import first_misses

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "COLUMNS",
    "CONTEXT_CONDITIONS",
    "CONTEXT_SCHEMA",
    "ContextSources",
    "Coverage",
    "Estimate",
    "LetterMeasures",
    "LogLinearFit",
    "PhaseRule",
    "PhaseTimes",
    "Phases",
    "SamplingScheme",
    "Scorer",
    "Scores",
    "attack",
    "attacks",
    "auc",
    "bleu",
    "bootstrap_mean",
    "clopper_pearson",
    "context_recall",
    "continuations",
    "count_table",
    "coverage_table",
    "detect_phases",
    "discoverable",
    "discoverable_rate",
    "discoverable_table",
    "draws_needed",
    "edit_distance",
    "edit_similarity",
    "extractable",
    "first_miss",
    "first_misses",
    "fit_table",
    "greedy_coverage",
    "guess_accuracy",
    "kgram_ceiling",
    "letter_measures",
    "log_linear_fit",
    "longest_run",
    "modal_frequency",
    "nll",
    "ordinary_tokens",
    "perplexity",
    "phase_times",
    "probability_coverage",
    "recited_spans",
    "rouge_l",
    "sampled_logprob",
    "summarise",
    "survival_table",
    "token_accuracy",
    "tpr_at_fpr",
    "wilson",
]
