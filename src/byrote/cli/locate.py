"""`byrote locate`: which neurons hold a passage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from byrote.cli.options import Common, integers

__all__ = ["locate"]

_PASSAGES = Group("Passages", sort_key=1)
_NEURONS = Group("Neurons", sort_key=2)
_MODEL = Group("Model", sort_key=3)
_RUN = Group("Run", sort_key=4)

_Words = Parameter(consume_multiple=True, negative="")


def locate(
    model: Annotated[str, Parameter(group=_MODEL)],
    /,
    *,
    text: Annotated[list[str], _Words, Parameter(group=_PASSAGES)] | None = None,
    texts: Annotated[list[str], _Words, Parameter(group=_PASSAGES)] | None = None,
    prefix_len: Annotated[int | None, Parameter(group=_PASSAGES)] = None,
    suffix_len: Annotated[int | None, Parameter(group=_PASSAGES)] = None,
    limit: Annotated[int, Parameter(group=_PASSAGES)] = 5,
    recited: Annotated[float, Parameter(group=_PASSAGES)] = 0.9,
    force: Annotated[bool, Parameter(group=_PASSAGES, negative="", show_default=False)] = False,
    localizer: Annotated[str | None, Parameter(group=_NEURONS)] = None,
    references: Annotated[list[str], _Words, Parameter(group=_NEURONS)] | None = None,
    fraction: Annotated[float, Parameter(group=_NEURONS)] = 0.005,
    scope: Annotated[Literal["layer", "model"], Parameter(group=_NEURONS)] = "layer",
    skip_layers: Annotated[
        tuple[int, ...],
        Parameter(group=_NEURONS, consume_multiple=True, converter=integers, negative=""),
    ] = (0,),
    top: Annotated[int, Parameter(group=_NEURONS)] = 20,
    device: Annotated[str, Parameter(group=_MODEL)] = "auto",
    dtype: Annotated[str, Parameter(group=_MODEL)] = "auto",
    out: Annotated[Path | None, Parameter(group=_RUN)] = None,
    seed: Annotated[int, Parameter(group=_RUN)] = 0,
    common: Annotated[Common | None, Parameter(group=_RUN)] = None,
) -> None:
    """Say which layers and neurons hold a passage, and how much of it depends on them.

    A localizer scores the neurons; then they are dropped, and so are as many random ones, and the
    passage is measured again beside other passages. The result is a table, a run folder and an HTML
    report.

    Args:
        model: A hub id, a local folder, a GGUF file, bundled:smollm2-135m, bundled:gemma3-270m, or
            random:FAMILY?hidden_size=64 for a random one.
        text: The passage itself: its first tokens are given, the others asked.
        texts: In place of it sources, as for `byrote audit`; what the model recites of them is
            looked for.
        prefix_len: Tokens given [default: 16, or a third of a short text].
        suffix_len: Tokens asked [default: 32 of a source's windows, the rest of a text].
        limit: Most passages to take from the sources.
        recited: A passage of which a smaller share of tokens is right is refused.
        force: Locate what is not recited, too.
        localizer: attribution, activations, zero-out, integrated-gradients, slimming,
            hard-concrete …, or contrast:NAME?kind=ratio against other passages [default: what
            `byrote erase` uses].
        references: Sources of those other passages [default: corpus:wellknown corpus:licenses].
        fraction: Share of all neurons that the table of layers is about.
        scope: Whether shares are of each layer or of the whole model.
        skip_layers: Layers that are left alone.
        top: Neurons that are dropped one by one.
        device: auto, cpu, cuda, mps …
        dtype: auto, float32, bfloat16 …
        out: Run folder [default: byrote-runs/DATE-locate-MODEL].
        seed: Of what is drawn.
    """
    common = common or Common()
    common.start()
    from byrote.cli.location_output import show_location
    from byrote.localization import DEFAULT_ERASER, LocateConfig, run_location

    given = {"references": tuple(references)} if references else {}
    config = LocateConfig(
        model=model,
        text=tuple(text or ()),
        texts=tuple(texts or ()),
        localizer=localizer or DEFAULT_ERASER,
        fraction=fraction,
        scope=scope,
        skip_layers=skip_layers,
        top=top,
        prefix_len=prefix_len,
        suffix_len=suffix_len,
        limit=limit,
        recited=recited,
        force=force,
        seed=seed,
        device=device,
        dtype=dtype,
        **given,
    )
    show_location(run_location(config, out=out), common)
