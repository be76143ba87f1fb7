"""byrote: what a causal language model has learned by rote.

`byrote.models` loads a model, `byrote.texts` cuts texts into passages, `byrote.recall` scores and
judges them, `byrote.audit` does the whole job. Nothing heavy is imported until it is used.
"""

from byrote._lazy import attach
from byrote._version import __version__

_EXPORTS = {
    "ByroteError": "errors",
    "InputError": "errors",
}

__getattr__, __dir__, _names = attach(__name__, _EXPORTS)
__all__ = ["__version__", *_names]
