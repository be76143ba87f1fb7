"""Which neurons hold a memorised sequence, how well methods find them, and erasing it."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.localization.activations import ActivationSize
    from byrote.localization.attribution import Attribution
    from byrote.localization.balanced_subnet import BalancedSubnet, RemovedWeights
    from byrote.localization.base import Localizer
    from byrote.localization.contrast import CONTRASTS, Background, Contrast, contrasted
    from byrote.localization.definitions import make_definitions, read_ecbd, sentence_passages
    from byrote.localization.deletion import (
        Deletion,
        DeletionBench,
        changes,
        delete_and_measure,
    )
    from byrote.localization.effects import (
        Gauge,
        ablated,
        measure_recital,
        perplexities,
        text_loss,
    )
    from byrote.localization.erasing import DEFAULT_ERASER, Erasure, erase
    from byrote.localization.erasure_bench import Limits
    from byrote.localization.hard_concrete import HardConcrete
    from byrote.localization.inj import (
        MULTIPLES,
        InjectionBenchmark,
        ceiling,
        expected_ceiling,
        mean_recall,
        random_recall,
        recall_at,
        run_injection_benchmark,
    )
    from byrote.localization.injected import Injected
    from byrote.localization.injection import PUBLISHED_RATES, Injection, choose_neurons
    from byrote.localization.integrated_attribution import IntegratedAttribution
    from byrote.localization.integrated_gradients import IntegratedGradients
    from byrote.localization.knowledge_neurons import KnowledgeNeurons
    from byrote.localization.locating import Location, locate
    from byrote.localization.location_run import (
        LocateConfig,
        read_location,
        run_location,
        write_location_report,
    )
    from byrote.localization.memorised import Memorised, collect_memorised
    from byrote.localization.overlap import (
        layer_counts,
        one_layer_selection,
        overlaps,
        spread_selection,
    )
    from byrote.localization.paired import paired_tests
    from byrote.localization.pruning import Pruned, Pruning
    from byrote.localization.published_options import PUBLISHED, published
    from byrote.localization.random_scores import RandomScores
    from byrote.localization.references import general_references, negatives
    from byrote.localization.registry import LOCALIZERS, find_localizer
    from byrote.localization.screened import ScreenedZeroOut, agreement
    from byrote.localization.selection import SCOPES, Selection, jaccard, select
    from byrote.localization.slimming import Slimming
    from byrote.localization.specific import (
        pooled_specificity,
        specificity,
        specificity_curve,
    )
    from byrote.localization.surroundings import Surroundings, find_surroundings, general_rows
    from byrote.localization.zero_out import Zeroing, ZeroOut
    from byrote.localization.zeroing import zeroed

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "CONTRASTS",
    "DEFAULT_ERASER",
    "LOCALIZERS",
    "MULTIPLES",
    "PUBLISHED",
    "PUBLISHED_RATES",
    "SCOPES",
    "ActivationSize",
    "Attribution",
    "Background",
    "BalancedSubnet",
    "Contrast",
    "Deletion",
    "DeletionBench",
    "Erasure",
    "Gauge",
    "HardConcrete",
    "Injected",
    "Injection",
    "InjectionBenchmark",
    "IntegratedAttribution",
    "IntegratedGradients",
    "KnowledgeNeurons",
    "Limits",
    "Localizer",
    "LocateConfig",
    "Location",
    "Memorised",
    "Pruned",
    "Pruning",
    "RandomScores",
    "RemovedWeights",
    "ScreenedZeroOut",
    "Selection",
    "Slimming",
    "Surroundings",
    "ZeroOut",
    "Zeroing",
    "ablated",
    "agreement",
    "ceiling",
    "changes",
    "choose_neurons",
    "collect_memorised",
    "contrasted",
    "delete_and_measure",
    "erase",
    "expected_ceiling",
    "find_localizer",
    "find_surroundings",
    "general_references",
    "general_rows",
    "jaccard",
    "layer_counts",
    "locate",
    "make_definitions",
    "mean_recall",
    "measure_recital",
    "negatives",
    "one_layer_selection",
    "overlaps",
    "paired_tests",
    "perplexities",
    "pooled_specificity",
    "published",
    "random_recall",
    "read_ecbd",
    "read_location",
    "recall_at",
    "run_injection_benchmark",
    "run_location",
    "select",
    "sentence_passages",
    "specificity",
    "specificity_curve",
    "spread_selection",
    "text_loss",
    "write_location_report",
    "zeroed",
]
