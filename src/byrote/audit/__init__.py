"""The main job: how much of a set of texts a model can recite, and how sure that is."""

from typing import TYPE_CHECKING

from byrote._lazy import lazy

if TYPE_CHECKING:
    from byrote.audit.config import AuditConfig
    from byrote.audit.job import resume_audit, run_audit

__getattr__, __dir__ = lazy(__name__)
__all__ = ["AuditConfig", "resume_audit", "run_audit"]
