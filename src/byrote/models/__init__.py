"""Load a causal language model from anywhere, and reach its neurons."""

from byrote._lazy import attach

_EXPORTS = {
    "BUNDLED": "bundled",
    "BundledModel": "bundled",
    "LoadedModel": "loading",
    "ModelSource": "source",
    "RANDOM_FAMILIES": "random_models",
    "cache_dir": "convert",
    "hash_weights": "weights",
    "load": "loading",
    "parse_source": "source",
}

__getattr__, __dir__, _names = attach(__name__, _EXPORTS)
__all__ = [*_names]
