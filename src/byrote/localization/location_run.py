"""`byrote locate` as a run: its config, its tables, its folder."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from byrote._options import between, one_of, whole
from byrote.errors import InputError
from byrote.localization.asking import asked_passages, check_asked
from byrote.localization.erasing import DEFAULT_ERASER, check_erasable
from byrote.localization.locating import Location, locate
from byrote.localization.registry import find_localizer
from byrote.localization.selection import SCOPES
from byrote.localization.surroundings import KNOWN_TEXTS, find_surroundings
from byrote.models.loading import LoadedModel, check_placement, load
from byrote.models.source import parse_source
from byrote.progress import task
from byrote.runs import Run, now, write_parquet
from byrote.texts.pieces import token_pieces
from byrote.texts.sources import open_source

__all__ = ["KIND", "LocateConfig", "read_location", "run_location", "write_location_report"]

KIND = "locate"
"""The kind of these runs."""

_TABLES = ("recital", "dependence", "layers", "neurons")


@dataclass(frozen=True, slots=True)
class LocateConfig:
    """What is asked of `byrote locate`; the options are described there."""

    model: str
    text: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    localizer: str = DEFAULT_ERASER
    references: tuple[str, ...] = KNOWN_TEXTS
    fraction: float = 0.005
    scope: str = "layer"
    skip_layers: tuple[int, ...] = (0,)
    top: int = 20
    prefix_len: int | None = None
    suffix_len: int | None = None
    limit: int = 5
    recited: float = 0.9
    force: bool = False
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def check(self) -> None:
        """See that the options can be used, before a model is loaded.

        Raises:
            InputError: One cannot.
        """
        between("location", "fraction", self.fraction, 0.0, 1.0)
        between("location", "recited", self.recited, 0.0, 1.0)
        one_of("location", "scope", self.scope, SCOPES)
        whole("location", "top", self.top, 1)
        whole("location", "limit", self.limit, 1)
        find_localizer(self.localizer)
        parse_source(self.model).check()
        check_placement(self.device, self.dtype)
        check_asked(self.text, self.texts, self.prefix_len, self.suffix_len)
        for source in self.references:
            open_source(source)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def run_location(config: LocateConfig, *, out: Path | None = None) -> Run:
    """Locate passages and write tables, charts and a report into a run folder.

    Args:
        config: What is asked.
        out: A new folder, or one with a finished run of the same config, which is given back; None
            makes `byrote-runs/DATE-locate-MODEL`.

    Raises:
        InputError: An option cannot be used, or a passage is not recited (unless forced).
        ByroteError: The model's logits are not finite.
    """
    config.check()
    folder = out or _new_folder(config.model)
    if (folder / "run.json").exists():
        run = Run.start(folder, KIND, config.to_json())
        if run.done:
            return run
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists; nothing is overwritten. Give a new folder.")
    began = time.monotonic()
    loaded = load(config.model, device=config.device, dtype=config.dtype)
    location, table = _located(loaded, config)
    run = Run.start(folder, KIND, config.to_json(), seed=config.seed)
    with run.locked():
        run.update(model=_about(loaded))
        recital = location.passages.join(table, on="passage", how="left", maintain_order="left")
        for name in _TABLES:
            frame = recital if name == "recital" else getattr(location, name)
            write_parquet(run.table(name), frame)
        run.update(status="done", end=now(), seconds=round(time.monotonic() - began, 1))
        write_location_report(run)
    return run


def read_location(run: Run) -> tuple[Location, pl.DataFrame]:
    """Read what a run holds: the tables, and the passages with their texts.

    Raises:
        InputError: The run is of another kind, or not finished.
    """
    if run.info["kind"] != KIND:
        raise InputError(f"{run.folder} is a run of kind {run.info['kind']!r}, not of locate")
    if not run.done:
        raise InputError(f"{run.folder} is not finished; run the same `byrote locate` again")
    tables = {name: pl.read_parquet(run.table(name)) for name in _TABLES}
    recital = tables.pop("recital")
    fraction = float(run.info["config"]["fraction"])
    return Location(fraction, recital.drop("prefix_text", "suffix_text"), **tables), recital


def write_location_report(run: Run) -> Path:
    """Draw the charts and the report of a run."""
    from byrote.localization.location_page import location_page
    from byrote.report import write_run_page

    location, recital = read_location(run)
    return write_run_page(location_page(run.info, location, recital), run.folder)


def _located(loaded: LoadedModel, config: LocateConfig) -> tuple[Location, pl.DataFrame]:
    passages = asked_passages(
        loaded,
        config.text,
        config.texts,
        prefix_len=config.prefix_len,
        suffix_len=config.suffix_len,
        accuracy=config.recited,
        limit=config.limit,
        seed=config.seed,
        force=config.force,
    )
    skipped = _within(config.skip_layers, loaded)
    check_erasable(
        loaded,
        passages,
        (config.fraction,),
        scope="model",
        skip_layers=skipped,
        recited=0.0 if config.force else config.recited,
    )
    around = find_surroundings(
        loaded, passages, known=config.references, general=(), seed=config.seed
    )
    with task("Locating", 100) as advance:
        location = locate(
            loaded,
            passages,
            localizer=config.localizer,
            references=around.references,
            others=around.retain,
            fraction=config.fraction,
            scope=config.scope,
            skip_layers=skipped,
            top=config.top,
            seed=config.seed,
            recited=0.0 if config.force else config.recited,
            told=_told(advance),
        )
    texts = [
        {
            "passage": passage.id,
            "prefix_text": "".join(token_pieces(loaded.tokenizer, passage.prefix_ids.tolist())),
            "suffix_text": "".join(token_pieces(loaded.tokenizer, passage.suffix_ids.tolist())),
        }
        for passage in passages
    ]
    return location, pl.DataFrame(texts)


def _within(layers: Collection[int], loaded: LoadedModel) -> tuple[int, ...]:
    # A model of one layer has no other to be located in.
    return () if tuple(layers) == (0,) and loaded.neurons.layers == 1 else tuple(layers)


def _told(advance: Any) -> Any:
    done = 0.0

    def told(share: float) -> None:
        nonlocal done
        advance(100 * (share - done))
        done = share

    return told


def _about(loaded: LoadedModel) -> dict[str, Any]:
    return {
        "source": loaded.source,
        "family": loaded.family,
        "parameters": loaded.parameters,
        "weights_hash": loaded.weights_hash,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "licence": loaded.licence,
        "layers": loaded.neurons.layers,
        "neurons_per_layer": loaded.neurons.width,
    }


def _new_folder(model: str) -> Path:
    source = parse_source(model)
    word = (source.path or Path(source.name)).name
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in word)
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d")
    base = Path("byrote-runs") / f"{stamp}-locate-{name.strip('-') or 'model'}"
    number, folder = 2, base
    while folder.exists():
        folder, number = base.with_name(f"{base.name}-{number}"), number + 1
    return folder
