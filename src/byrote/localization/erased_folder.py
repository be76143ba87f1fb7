"""Write an edited model to a folder, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byrote._version import __version__
from byrote.errors import ByroteError, InputError
from byrote.models.quiet import quiet_transformers
from byrote.progress import task

if TYPE_CHECKING:
    from byrote.localization.erasing import Erasure
    from byrote.models.loading import LoadedModel

__all__ = ["ERASURE_FILE", "check_new", "write_erased", "written_model"]

ERASURE_FILE = "erasure.json"
"""What was done to the model, beside its weights."""

_SLACK = 1.05


def check_new(folder: Path) -> None:
    """See that a folder can be made, before any work.

    Raises:
        InputError: Something is there already.
    """
    if folder.exists() or folder.is_symlink():
        raise InputError(f"{folder} exists; nothing is overwritten. Give a new folder.")


def write_erased(erasure: Erasure, folder: Path) -> Path:
    """Write the model without the neurons; see `Erasure.write`."""
    about = {
        "byrote": __version__,
        "model": _origin(erasure.loaded),
        "weights_hash": erasure.loaded.weights_hash,
        "localizer": erasure.localizer,
        "fraction": erasure.fraction,
        "erased": erasure.erased,
        "stopped": erasure.stopped,
        "neurons": {layer: chosen.tolist() for layer, chosen in erasure.selection.layers()},
        "passages": erasure.passages.filter(group="erased")["passage"].to_list(),
        "summary": erasure.summary.to_dicts(),
        "steps": erasure.steps.to_dicts(),
    }
    what = (
        f"{len(erasure.selection):,} neurons (columns of the feed-forward down-projections) were "
        f"set to zero, so that it no longer recites {len(about['passages'])} passage(s)."
    )
    with written_model(erasure.loaded, folder, what) as temporary:
        with erasure.applied():
            save_model(erasure.loaded, temporary)
        text = json.dumps(about, indent=1, ensure_ascii=False)
        (temporary / ERASURE_FILE).write_text(text + "\n", encoding="utf-8")
    return folder


@contextmanager
def written_model(loaded: LoadedModel, folder: Path, what: str) -> Iterator[Path]:
    """Give a temporary folder that becomes `folder`, with a model card, when the block ends well.

    Args:
        loaded: The model that was changed.
        folder: A new one.
        what: What was changed, as a sentence for the card.

    Raises:
        InputError: The folder exists, or cannot be made.
        ByroteError: The disk has no room for the weights.
    """
    check_new(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error}. Give another folder.") from error
    try:
        need = sum(p.nbytes for p in loaded.model.parameters()) * _SLACK
        free = shutil.disk_usage(temporary).free
        if free < need:
            raise ByroteError(
                f"The weights take {need / 1e9:.2f} GB and the disk of {folder} has "
                f"{free / 1e9:.2f} GB left. Free some space, or give a folder on another disk."
            )
        with task(f"Writing the edited model to {folder}"):
            yield temporary
            (temporary / "README.md").write_text(_card(loaded, what), encoding="utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_model(loaded: LoadedModel, folder: Path) -> None:
    model: Any = loaded.model
    # Where the weights lie on this machine is nobody's business.
    name, model.config._name_or_path = model.config._name_or_path, ""
    try:
        with quiet_transformers():
            model.save_pretrained(folder)
            if loaded.tokenizer is not None:
                loaded.tokenizer.save_pretrained(folder)
    finally:
        model.config._name_or_path = name


def _origin(loaded: LoadedModel) -> str:
    """The model's source; of a path just the end, since the folder may be given away."""
    path = Path(loaded.source)
    return path.name if path.exists() else loaded.source


def _card(loaded: LoadedModel, what: str) -> str:
    head = f"---\nlicense: {loaded.licence}\n---\n\n" if loaded.licence else ""
    terms = "its licence and terms" + (f" ({loaded.licence})" if loaded.licence else "")
    return (
        f"{head}# An edited model\n\nThis is {_origin(loaded)} with modified weights: {what} The "
        f"original model is provided under {terms}, which hold for this one too. "
        f"`{ERASURE_FILE}` says what was done and what it cost, where it is there.\n"
    )
