"""Turn a GGUF file into a cached safetensors folder, once.

transformers needs tens of seconds for a GGUF file and a tenth of one for safetensors. The cache is
keyed by the file's content, the version of this converter and the transformers release, and each
folder carries a manifest with the sha256 of its weights, which is checked on every load.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from byrote.errors import ByroteError
from byrote.models.bundled import BundledModel, bundled_files, check_sha256
from byrote.models.source import check_gguf
from byrote.progress import task

__all__ = ["CachedModel", "cache_dir", "cached_bundled", "cached_gguf", "discard", "sha256_of_file"]

_log = logging.getLogger("byrote")

# Raise this when what the converter writes changes: every cached model is then converted again.
_CONVERTER = 1
_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_MANIFEST = "byrote-manifest.json"
_STALE_SECONDS = 3600.0
_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A converted model in the cache.

    Attributes:
        folder: What `from_pretrained` takes.
        weights_sha256: Of the safetensors file.
        tokenizer_sha256: Of the tokenizer.json.
        weights_hash: Of the weights themselves (`hash_weights`), as float32.
        licence: What the GGUF file says of its licence, if anything.
        quick_tokenizer: Whether its tokenizer.json alone gives the same tokenizer.
    """

    folder: Path
    weights_sha256: str
    tokenizer_sha256: str
    weights_hash: str
    licence: str | None
    quick_tokenizer: bool

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / _WEIGHTS

    def tokenizer_is_whole(self) -> bool:
        """Whether the tokenizer is what was written; the weights are checked while it loads."""
        try:
            return sha256_of_file(self.folder / _TOKENIZER) == self.tokenizer_sha256
        except FileNotFoundError:
            return False


def cache_dir() -> Path:
    """Where converted models are kept: BYROTE_CACHE, else byrote in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("BYROTE_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "byrote"
    return Path.home() / ".cache" / "byrote"


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file, read in one piece so that the interpreter lock is free meanwhile."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return hashlib.sha256().hexdigest()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return hashlib.sha256(data).hexdigest()


def cached_bundled(model: BundledModel) -> CachedModel:
    """Give the converted form of a bundled model, converting it if need be.

    Raises:
        InputError: Its package is not installed.
        ByroteError: Its weights are not the pinned ones, or the disk is full.
    """
    target = _folder(model.sha256)
    if cached := _read(target):
        return cached
    files = bundled_files(model)
    size = sum(path.stat().st_size for path in files)
    with _scratch(target, size) as scratch:
        gguf = scratch / "model.gguf"
        with task(f"Checking the weights of bundled:{model.name}"):
            check_sha256(model, _join(files, gguf))
        _log.info("bundled:%s: %s", model.name, model.notice)
        return _convert(gguf, scratch, target, f"bundled:{model.name}", model.licence)


def cached_gguf(path: Path) -> CachedModel:
    """Give the converted form of a GGUF file, converting it if need be.

    Raises:
        InputError: The file cannot be read as GGUF.
        ByroteError: The disk is full, or transformers failed on the file.
    """
    target = _folder(_known_sha256(path))
    if cached := _read(target):
        return cached
    header = check_gguf(path)
    with _scratch(target, 0) as scratch:
        return _convert(
            path, scratch, target, str(path), header.metadata.get("general.license") or None
        )


def discard(cached: CachedModel) -> None:
    """Remove a converted model, because it is damaged."""
    shutil.rmtree(cached.folder, ignore_errors=True)


def _folder(sha256: str) -> Path:
    import transformers

    # A release may read a file differently (a fixed tokenizer, say), so it is part of the key.
    release = ".".join(transformers.__version__.split(".")[:2])
    return cache_dir() / "models" / f"{sha256[:32]}-c{_CONVERTER}-transformers-{release}"


def _read(folder: Path) -> CachedModel | None:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        return CachedModel(
            folder=folder,
            weights_sha256=manifest["weights_sha256"],
            tokenizer_sha256=manifest["tokenizer_sha256"],
            weights_hash=manifest["weights_hash"],
            licence=manifest["licence"],
            quick_tokenizer=manifest["quick_tokenizer"],
        )
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError):
        _log.warning("%s has a damaged manifest; the model is converted again.", folder)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _known_sha256(path: Path) -> str:
    """The sha256 of a file, remembered by place, size and time: it takes 1 s per GB."""
    path = path.resolve()
    stat = path.stat()
    stamp = [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino]
    name = hashlib.sha256(str(path).encode()).hexdigest()[:32]
    note = cache_dir() / "seen" / f"{name}.json"
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, KeyError, TypeError, ValueError):
        pass  # never seen, or not readable: hash it (again)
    with task(f"Hashing {path.name}"):
        digest = sha256_of_file(path)
    with _disk_errors(note.parent):
        note.parent.mkdir(parents=True, exist_ok=True)
        _write_json(note, {"stamp": stamp, "sha256": digest})
    return digest


def _join(files: list[Path], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for path in files:
            with path.open("rb") as part:
                while block := part.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
    return digest.hexdigest()


@contextmanager
def _scratch(target: Path, extra_bytes: int) -> Iterator[Path]:
    """A folder beside the target, gone afterwards whatever happens."""
    with _disk_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        _need_space(target.parent, extra_bytes)
        scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed conversions left behind."""
    for left in folder.glob(".converting-*"):
        try:
            newest = max(p.stat().st_mtime for p in (left, *left.rglob("*")))
        except FileNotFoundError:
            continue  # its owner just finished
        if time.time() - newest > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _need_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ByroteError(
            f"The disk that holds the model cache {folder} is too full: {needed / 1e9:.1f} GB are "
            f"needed, {free / 1e9:.1f} GB are free. Free some space, or set BYROTE_CACHE to a "
            "folder on another disk."
        )


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left" in str(error):
            raise ByroteError(
                f"The disk that holds the model cache {folder} is full ({error}). Free some space, "
                "or set BYROTE_CACHE to a folder on another disk. Nothing half-written was kept."
            ) from error
        if isinstance(error, PermissionError):
            raise ByroteError(
                f"The model cache {folder} cannot be written ({error}). Set BYROTE_CACHE to a "
                "folder that can."
            ) from error
        raise


def _convert(
    gguf: Path, scratch: Path, target: Path, source: str, licence: str | None
) -> CachedModel:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from byrote.models.gguf_sharing import shared_gguf_parsing
    from byrote.models.quiet import quiet_transformers
    from byrote.models.tokenizers import (
        explained_tokenizer,
        quick_tokenizer,
        same_tokenizer,
        save_for_quick_loading,
    )
    from byrote.models.weights import check_complete, hash_weights

    header = check_gguf(gguf)
    _need_space(target.parent, header.elements * 4)
    built = scratch / "model"
    where, name = str(gguf.parent), gguf.name
    with (
        task(f"Converting {source} (once; then it is read from {target.parent})"),
        quiet_transformers(),
        shared_gguf_parsing(),
    ):
        with explained_tokenizer(f"The tokenizer of {source}"):
            tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name)
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                where, gguf_file=name, dtype=torch.float32, output_loading_info=True
            )
            model, info = loaded
        except (ValueError, KeyError, NotImplementedError, RuntimeError) as error:
            raise ByroteError(
                f"transformers could not read {source} (architecture {header.architecture!r}): "
                f"{error}. Use the model's safetensors instead."
            ) from error
        check_complete(info, source)
        # The weights are plain float32 from here on; without this they are saved as quantized.
        vars(model.config).pop("quantization_config", None)
        vars(model)["hf_quantizer"] = None
        model.config._name_or_path = ""
        model.save_pretrained(built, max_shard_size="1000GB")
        save_for_quick_loading(tokenizer, built)
        manifest = CachedModel(
            folder=target,
            weights_sha256=sha256_of_file(built / _WEIGHTS),
            tokenizer_sha256=sha256_of_file(built / _TOKENIZER),
            weights_hash=hash_weights(model),
            licence=licence,
            quick_tokenizer=same_tokenizer(tokenizer, quick_tokenizer(built)),
        )
    fields = {key: value for key, value in asdict(manifest).items() if key != "folder"}
    _write_json(built / _MANIFEST, {"source": source, **fields})
    return _put(built, target) or manifest


def _put(built: Path, target: Path) -> CachedModel | None:
    """Rename a complete folder to its place; if another process was first, give what it made."""
    try:
        built.rename(target)
    except OSError:
        if first := _read(target):
            return first
        # What is there has no manifest: some of its files were removed.
        shutil.rmtree(target, ignore_errors=True)
        built.rename(target)
    return None


def _write_json(path: Path, content: object) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
