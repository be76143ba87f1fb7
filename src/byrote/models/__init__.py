"""Load a causal language model from anywhere, and reach its neurons."""

from byrote._lazy import attach

_EXPORTS = {
    "Activations": "neurons",
    "BUNDLED": "bundled",
    "BundledModel": "bundled",
    "Diagnosis": "doctor",
    "LoadedModel": "loading",
    "ModelSource": "source",
    "NeuronMap": "neurons",
    "NeuronSite": "neurons",
    "OutputHead": "head",
    "RANDOM_FAMILIES": "random_models",
    "cache_dir": "convert",
    "diagnose": "doctor",
    "find_neurons": "discovery",
    "hash_weights": "weights",
    "load": "loading",
    "parse_source": "source",
    "split_head": "head",
}

__getattr__, __dir__, _names = attach(__name__, _EXPORTS)
__all__ = [*_names]
