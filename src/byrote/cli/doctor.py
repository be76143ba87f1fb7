"""`byrote doctor`: what byrote finds in a model."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from byrote.cli.options import Common

__all__ = ["doctor"]


def doctor(
    model: str,
    /,
    *,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common | None = None,
) -> None:
    """Print what byrote finds in a model, and what will not work with it.

    Args:
        model: A hub id, a local folder, a GGUF file, bundled:NAME or random:FAMILY.
        device: auto, cpu, cuda, mps …
        dtype: auto, float32, bfloat16 …
        trust_remote_code: Run Python code that comes with a hub model.
    """
    common = common or Common()
    common.start()
    from byrote.cli.output import show_diagnosis
    from byrote.models import diagnose, load

    loaded = load(model, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    show_diagnosis(diagnose(loaded), common)
