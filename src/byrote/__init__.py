"""byrote: what a causal language model has learned by rote.

`byrote.models` loads a model, `byrote.texts` cuts texts into passages, `byrote.recall` scores and
judges them, `byrote.audit` does the whole job. Nothing heavy is imported until it is used.
"""

from typing import TYPE_CHECKING

from byrote._lazy import lazy
from byrote._version import __version__

if TYPE_CHECKING:
    from byrote.audit import AuditConfig, run_audit
    from byrote.errors import ByroteError, InputError
    from byrote.models import load

__getattr__, __dir__ = lazy(__name__)
__all__ = ["AuditConfig", "ByroteError", "InputError", "__version__", "load", "run_audit"]
