"""`byrote erase`: take a passage out of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from byrote.cli.options import Common, integers

__all__ = ["erase"]

_PASSAGES = Group("Passages", sort_key=1)
_NEURONS = Group("Neurons", sort_key=2)
_LIMITS = Group("Limits", sort_key=3)
_MODEL = Group("Model", sort_key=4)
_RUN = Group("Run", sort_key=5)

_Words = Parameter(consume_multiple=True, negative="")


def erase(
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
    fraction: Annotated[float | None, Parameter(group=_NEURONS)] = None,
    scope: Annotated[Literal["layer", "model"], Parameter(group=_NEURONS)] = "layer",
    skip_layers: Annotated[
        tuple[int, ...],
        Parameter(group=_NEURONS, consume_multiple=True, converter=integers, negative=""),
    ] = (0,),
    combine: Annotated[Literal["union", "mean"], Parameter(group=_NEURONS)] = "union",
    enough: Annotated[float, Parameter(group=_LIMITS)] = 0.5,
    retain: Annotated[list[str], _Words, Parameter(group=_LIMITS)] | None = None,
    retain_floor: Annotated[float, Parameter(group=_LIMITS)] = 0.9,
    general: Annotated[list[str], _Words, Parameter(group=_LIMITS)] | None = None,
    text_ceiling: Annotated[float, Parameter(group=_LIMITS)] = 0.1,
    device: Annotated[str, Parameter(group=_MODEL)] = "auto",
    dtype: Annotated[str, Parameter(group=_MODEL)] = "auto",
    out: Annotated[Path | None, Parameter(group=_RUN)] = None,
    seed: Annotated[int, Parameter(group=_RUN)] = 0,
    common: Annotated[Common | None, Parameter(group=_RUN)] = None,
) -> None:
    """Take out of a model the neurons that hold a passage, and write the edited model.

    Ever larger shares of neurons are dropped until the passage is no longer recited, or a limit is
    crossed: passages to be kept, and general texts, are guarded. Before and after are printed; with
    --out the model is written as safetensors that plain transformers loads.

    Args:
        model: A hub id, a local folder, a GGUF file, bundled:smollm2-135m, bundled:gemma3-270m, or
            random:FAMILY?hidden_size=64 for a random one.
        text: The passage itself: its first tokens are given, the others asked.
        texts: In place of it sources, as for `byrote audit`; what the model recites of them is
            erased.
        prefix_len: Tokens given [default: 16, or a third of a short text].
        suffix_len: Tokens asked [default: 32 of a source's windows, the rest of a text].
        limit: Most passages to take from the sources.
        recited: A passage of which a smaller share of tokens is right is refused.
        force: Erase what is not recited, too.
        localizer: attribution, activations, zero-out, integrated-gradients, slimming,
            hard-concrete …, or contrast:NAME?kind=ratio against other passages [default: the most
            specific, see the user guide].
        fraction: Share of neurons to drop, in place of the search for the smallest that does it.
        scope: Whether the share is of each layer or of the whole model.
        skip_layers: Layers that are left alone.
        combine: Several passages: the neurons of each (union), or of the mean score.
        enough: A passage is erased when at most this share of its tokens is still right.
        retain: Sources of passages to be kept, and to contrast with [default: corpus:wellknown
            corpus:licenses].
        retain_floor: These must keep this share of their accuracy.
        general: Sources of general texts [default: corpus:stdlib].
        text_ceiling: What these may cost more, in nats per token.
        device: auto, cpu, cuda, mps …
        dtype: auto, float32, bfloat16 …
        out: A new folder for the edited model; without it nothing is written.
        seed: Of what is drawn.
    """
    common = common or Common()
    common.start()
    from byrote.localization.asking import asked_passages, check_asked
    from byrote.localization.erased_folder import check_new
    from byrote.localization.erasing import DEFAULT_ERASER, FRACTIONS, check_erasable
    from byrote.localization.erasing import erase as erase_passages
    from byrote.localization.erasure_bench import Limits
    from byrote.localization.registry import find_localizer
    from byrote.localization.surroundings import GENERAL_TEXTS, KNOWN_TEXTS, find_surroundings
    from byrote.models import load, parse_source
    from byrote.progress import task
    from byrote.texts import open_source

    limits = Limits(enough=enough, retain=retain_floor, text=text_ceiling, recited=recited)
    if out is not None:
        check_new(out)
    method = localizer or DEFAULT_ERASER
    find_localizer(method)
    parse_source(model).check()
    check_asked(text or [], texts or [], prefix_len, suffix_len)
    for source in (*(retain or ()), *(general or ())):
        open_source(source)
    loaded = load(model, device=device, dtype=dtype)
    passages = asked_passages(
        loaded,
        text or (),
        texts or (),
        prefix_len=prefix_len,
        suffix_len=suffix_len,
        accuracy=recited,
        limit=limit,
        seed=seed,
        force=force,
    )
    check_erasable(
        loaded,
        passages,
        FRACTIONS if fraction is None else (fraction,),
        scope=scope,
        skip_layers=skip_layers,
        recited=0.0 if force else recited,
    )
    around = find_surroundings(
        loaded,
        passages,
        known=retain or KNOWN_TEXTS,
        general=general or GENERAL_TEXTS,
        seed=seed,
    )
    with task("Erasing", 100) as advance:
        done = 0.0

        def told(share: float) -> None:
            nonlocal done
            advance(100 * (share - done))
            done = share

        erasure = erase_passages(
            loaded,
            passages,
            localizer=method,
            references=around.references,
            retain=around.retain,
            text=around.text,
            fraction=fraction,
            scope=scope,
            skip_layers=skip_layers,
            combine=combine,
            limits=limits,
            force=force,
            told=told,
        )
    if out is not None:
        erasure.write(out)
    from byrote.cli.location_output import show_erasure

    show_erasure(erasure, out, common)
