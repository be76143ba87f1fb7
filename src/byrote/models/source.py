"""What a model source string means, and whether it can work, before anything heavy is loaded."""

from __future__ import annotations

import importlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import unquote

from byrote.errors import InputError
from byrote.models.bundled import bundled_files, find_bundled
from byrote.models.gguf_header import GgufHeader, read_gguf_header

__all__ = ["ModelSource", "check_gguf", "parse_source"]

Kind = Literal["bundled", "random", "gguf", "folder", "hub"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
_FORMS = (
    "a hub id (org/name), a folder saved by save_pretrained, a .gguf file, bundled:NAME, "
    "or random:FAMILY?key=value"
)
_PICKLED = ("*.bin", "*.pt", "*.pth")
_SAFE = "*.safetensors"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model source string, taken apart.

    Attributes:
        kind: Where the model comes from.
        text: The string as it was given.
        name: The bundled model's name, the random model's family, or the hub id.
        path: The GGUF file or the folder.
        revision: Of a hub id `org/name@revision`.
        options: The `key=value` pairs of a random model.
    """

    kind: Kind
    text: str
    name: str = ""
    path: Path | None = None
    revision: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def check(self) -> None:
        """See that the source can work, without loading weights.

        A hub id is not looked up: that needs the network.

        Raises:
            InputError: It cannot; the message names the thing, the value and the way out.
        """
        if self.kind == "bundled":
            bundled_files(find_bundled(self.name))
        elif self.kind == "random":
            from byrote.models.random_models import check_random

            check_random(self.name, dict(self.options))
        elif self.kind == "gguf":
            assert self.path is not None
            check_gguf(self.path)
        elif self.kind == "folder":
            assert self.path is not None
            _check_folder(self.path)


def parse_source(text: str | os.PathLike[str]) -> ModelSource:
    """Tell what a model source string means.

    Args:
        text: `bundled:NAME`, `random:FAMILY?key=value&…`, the path of a `.gguf` file or of a
            folder, or a hub id (`name`, `org/name`, either with `@revision`).

    Returns:
        The parts. What exists on disk wins over a hub id of the same shape.

    Raises:
        InputError: It is none of these, or a path that does not exist.
    """
    text = os.fspath(text)
    if not text.strip():
        raise InputError(f"The model source is empty. Give {_FORMS}.")
    prefix, colon, rest = text.partition(":")
    if colon and prefix in get_args(Kind):
        if prefix == "bundled":
            return ModelSource("bundled", text, name=rest)
        if prefix == "random":
            family, _, query = rest.partition("?")
            return ModelSource("random", text, name=family, options=_options(text, query))
    path = Path(text).expanduser()
    if path.is_dir():
        return ModelSource("folder", text, path=path)
    if path.is_file():
        return ModelSource("gguf", text, path=path)
    name, _, revision = text.partition("@")
    if _looks_like_a_path(text) or not _HUB_ID.fullmatch(text):
        raise InputError(f"There is no model at {text!r}: no such file or folder. Give {_FORMS}.")
    return ModelSource("hub", text, name=name, revision=revision or None)


def _looks_like_a_path(text: str) -> bool:
    if text.startswith((".", "~", "/")) or text.endswith((os.sep, ".gguf", ".safetensors", ".bin")):
        return True
    # `models/llama/final`: a hub id has at most one slash.
    return os.sep in text and (text.count(os.sep) > 1 or Path(text).parent.is_dir())


def _options(text: str, query: str) -> tuple[tuple[str, str], ...]:
    options: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(
                f"{text!r}: {pair!r} is not key=value. Write random:FAMILY?key=value&key=value, "
                "for example random:gpt2?hidden_size=64&num_hidden_layers=2."
            )
        if key in options:
            raise InputError(f"{text!r} gives {key!r} twice. Give it once.")
        options[unquote(key)] = unquote(value)
    return tuple(options.items())


def check_gguf(path: Path) -> GgufHeader:
    """See that a file is a whole GGUF file of an architecture that transformers knows.

    Returns:
        Its header.

    Raises:
        InputError: It is not.
    """
    header = read_gguf_header(path)
    if header.metadata.get("split.count", 0) > 1:
        raise InputError(
            f"{path} is one of {header.metadata['split.count']} parts of a split GGUF file. "
            "Join them first with llama.cpp: llama-gguf-split --merge FIRST-PART OUTPUT."
        )
    size = path.stat().st_size
    if header.data_bytes is not None and size < header.data_bytes:
        raise InputError(
            f"{path} is cut short: {size:,} bytes of {header.data_bytes:,}. Fetch the file again."
        )
    known = _gguf_architectures()
    if not any(header.architecture == name for name in known):
        raise InputError(
            f"{path} is a GGUF file of the architecture {header.architecture!r}, which the "
            f"installed transformers cannot read. It reads: {', '.join(sorted(known))}. Use the "
            "model's safetensors instead, or a newer transformers."
        )
    return header


def _gguf_architectures() -> set[str]:
    from transformers import modeling_gguf_pytorch_utils as reader

    known = set(reader.GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}
    # transformers looks architectures up under their own name, after these renamings.
    if "qwen2_moe" in known:
        known.add("qwen2moe")
    if "qwen3_moe" in known:
        known.add("qwen3moe")
    if "gpt_oss" in known:
        known.add("gpt-oss")
    # Newer releases have a second reader, with a list of its own.
    second: Any = importlib.import_module("transformers.integrations")
    newer = getattr(getattr(second, "gguf", None), "GGUF_CONFIG_ARCHS", {})
    return known | set(newer)


def _check_folder(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        if (folder / "adapter_config.json").is_file():
            raise InputError(
                f"{folder} holds an adapter, not a model. Merge it into its base model "
                "(peft: merge_and_unload, then save_pretrained) and give that folder."
            )
        ggufs = sorted(folder.glob("*.gguf"))
        hint = f" It holds {ggufs[0].name}: give {ggufs[0]} itself." if ggufs else ""
        raise InputError(
            f"{folder} has no config.json, so it is no saved model.{hint or f' Give {_FORMS}.'}"
        )
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{config} is not valid JSON: {error}. Save the model again.") from error
    if not isinstance(content, dict) or "model_type" not in content:
        raise InputError(
            f"{config} names no model_type, so it is not the configuration of a transformers "
            "model. Save the model with save_pretrained and give that folder."
        )
    if not any(folder.glob(_SAFE)) and not any(p for g in _PICKLED for p in folder.glob(g)):
        raise InputError(
            f"{folder} holds no weights (looked for {_SAFE}, {', '.join(_PICKLED)}). Save the "
            "model with save_pretrained and give that folder."
        )
