"""Load a causal language model from anywhere, and reach its neurons."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.models.bundled import BUNDLED, BundledModel
    from byrote.models.cache import can_drop_rows
    from byrote.models.convert import cache_dir
    from byrote.models.discovery import find_neurons
    from byrote.models.doctor import Diagnosis, diagnose
    from byrote.models.head import OutputHead, split_head
    from byrote.models.loading import LoadedModel, load
    from byrote.models.memory import keep_freed_memory
    from byrote.models.neurons import Activations, NeuronMap, NeuronSite
    from byrote.models.random_models import RANDOM_FAMILIES
    from byrote.models.source import ModelSource, parse_source
    from byrote.models.twins import twin
    from byrote.models.weights import hash_weights

__getattr__, __dir__ = lazy(__name__)
__all__ = [
    "BUNDLED",
    "RANDOM_FAMILIES",
    "Activations",
    "BundledModel",
    "Diagnosis",
    "LoadedModel",
    "ModelSource",
    "NeuronMap",
    "NeuronSite",
    "OutputHead",
    "cache_dir",
    "can_drop_rows",
    "diagnose",
    "find_neurons",
    "hash_weights",
    "keep_freed_memory",
    "load",
    "parse_source",
    "split_head",
    "twin",
]
