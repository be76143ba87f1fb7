"""Load a causal language model from anywhere."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM

from byrote.errors import ByroteError, InputError
from byrote.models import convert
from byrote.models.bundled import find_bundled
from byrote.models.hub import explained, hub_reachable
from byrote.models.quiet import quiet_transformers
from byrote.models.random_models import build_random
from byrote.models.source import ModelSource, parse_source
from byrote.models.tokenizers import load_tokenizer, prepended_ids, quick_tokenizer
from byrote.models.weights import check_complete, hash_weights
from byrote.progress import task

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from byrote.models.neurons import NeuronMap

__all__ = ["LoadedModel", "load"]

_log = logging.getLogger("byrote")

_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
)


@dataclass(eq=False)
class LoadedModel:
    """A causal language model and what byrote needs to know of it.

    Attributes:
        model: In evaluation mode, on its device.
        tokenizer: None where a `random:` model was given none.
        source: The string it was loaded from.
        bos_id: The token that the tokenizer itself puts before a text by default; None if nothing.
        licence: Its licence's name, where known.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    source: str
    bos_id: int | None
    licence: str | None = None
    _known_hash: str | None = field(default=None, repr=False)

    @property
    def config(self) -> Any:
        """The configuration of the text model (a part of the whole, in multimodal ones)."""
        return self.model.config.get_text_config()

    @cached_property
    def neurons(self) -> NeuronMap:
        """Where the neurons are.

        Raises:
            InputError: They could not be found in this architecture.
        """
        from byrote.models.discovery import find_neurons

        return find_neurons(self.model)

    @cached_property
    def weights_hash(self) -> str:
        """Content hash of the weights (`hash_weights`), as they are when it is first asked for."""
        if self._known_hash is not None:
            return self._known_hash
        return hash_weights(self.model)

    @property
    def bos_token(self) -> int | None:
        """The model's BOS token, whether or not a text begins with it by default (`bos_id`)."""
        return bos_token(self.tokenizer, self.model.config, self.vocab_size)

    @property
    def lead(self) -> tuple[int, ...]:
        """What the tokenizer itself puts before a text: nothing, or `bos_id` and what follows."""
        if self.tokenizer is not None and len(ids := prepended_ids(self.tokenizer)) > 1:
            return tuple(ids)
        return () if self.bos_id is None else (self.bos_id,)

    @property
    def vocab_size(self) -> int:
        """How many token ids the model takes: 0 … vocab_size - 1."""
        embeddings: Any = self.model.get_input_embeddings()
        return int(embeddings.weight.shape[0])

    @property
    def max_len(self) -> int | None:
        """The context in tokens; None where the configuration names none."""
        return context_len(self.config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are."""
        return self.model.dtype

    @property
    def family(self) -> str:
        """The architecture, as transformers calls it (`config.model_type`)."""
        return str(self.model.config.model_type)

    @property
    def parameters(self) -> int:
        """How many numbers the weights are; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def context_len(config: Any) -> int | None:
    """The context in tokens that a text model's configuration names; None where it names none."""
    for key in _CONTEXT_KEYS:
        value = getattr(config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    return None


def bos_token(
    tokenizer: PreTrainedTokenizerBase | None, config: Any, vocab_size: int | None
) -> int | None:
    """The BOS token that the tokenizer names, or else the configuration; None if neither does.

    Args:
        tokenizer: The model's, if it has one.
        config: The model's.
        vocab_size: Ids that the model takes; one that it does not take is none. None where unknown.
    """
    bos = getattr(tokenizer, "bos_token_id", None)
    if bos is None:
        bos = getattr(config, "bos_token_id", None)
    if isinstance(bos, int) and bos >= 0 and (vocab_size is None or bos < vocab_size):
        return bos
    return None


def load(
    source: str | os.PathLike[str] | ModelSource,
    *,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    trust_remote_code: bool = False,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> LoadedModel:
    """Load a causal language model.

    Args:
        source: `bundled:NAME`, `random:FAMILY?key=value&…`, the path of a GGUF file or of a folder
            saved by `save_pretrained`, or a hub id (`org/name`, `org/name@revision`). Only a hub
            id makes network access.
        device: "auto" takes CUDA (the GPU of `LOCAL_RANK` under `torchrun`), then MPS, then the
            CPU.
        dtype: "auto" is float32 on the CPU and the checkpoint's own elsewhere; else a torch dtype
            or its name.
        trust_remote_code: Whether code that comes with the model may run.
        tokenizer: The model's own, where it has been read before (`outline`).

    Returns:
        The model in evaluation mode, with its tokenizer.

    Raises:
        InputError: The source, the device or the dtype cannot be used.
        ByroteError: Loading failed.
    """
    parsed = source if isinstance(source, ModelSource) else parse_source(source)
    target = _device(device)
    wanted = _dtype(dtype, target)
    parsed.check()
    with quiet_transformers():
        if parsed.kind == "random":
            loaded = _load_random(parsed, wanted)
        elif parsed.kind in ("bundled", "gguf"):
            loaded = _load_converted(parsed, wanted, tokenizer)
        else:
            loaded = _load_pretrained(parsed, wanted, trust_remote_code, tokenizer)
    loaded.model.eval()
    loaded.model.to(target)  # pyright: ignore[reportArgumentType]
    return loaded


def check_placement(device: str | torch.device, dtype: str | torch.dtype) -> None:
    """Check that a model could be loaded there and so, before there is one.

    Raises:
        InputError: The device or the dtype cannot be used.
    """
    _dtype(dtype, _device(device))


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return _own_gpu()
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"The device {str(device)!r} cannot be used here ({first}). Use cpu, or auto."
        ) from error
    return chosen


def _own_gpu() -> torch.device:
    """The GPU of this process among those that `torchrun` or `accelerate launch` started here."""
    rank, gpus = os.environ.get("LOCAL_RANK", ""), torch.cuda.device_count()
    if not rank.isdecimal() or gpus == 1:  # Some launchers show each process its own one only.
        return torch.device("cuda")
    if int(rank) >= gpus:
        raise InputError(
            f"Process {rank} on this machine (LOCAL_RANK) has no GPU of its own: there are {gpus}. "
            "Start as many processes as there are GPUs, or use device cpu."
        )
    return torch.device("cuda", int(rank))


def _dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype | None:
    """The dtype to load in; None for the checkpoint's own."""
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else None
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(
            f"The dtype {str(dtype)!r} cannot be used. Use auto, float32, bfloat16 or float16."
        )
    return found


def _bos(tokenizer: PreTrainedTokenizerBase | None) -> int | None:
    if tokenizer is None:
        return None
    prepended = prepended_ids(tokenizer)
    return prepended[0] if prepended else None


def _load_random(source: ModelSource, dtype: torch.dtype | None) -> LoadedModel:
    options = dict(source.options)
    tokenizer = None
    if "tokenizer" in options:
        tokenizer = _borrowed_tokenizer(options["tokenizer"])
        options.setdefault("vocab_size", str(len(tokenizer)))
        if int(options["vocab_size"]) < len(tokenizer):
            raise InputError(
                f"{source.text}: vocab_size={options['vocab_size']} is smaller than the "
                f"tokenizer's {len(tokenizer)} tokens. Leave vocab_size out, or raise it."
            )
    model = build_random(source.name, options)
    if dtype is not None:
        model.to(dtype)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return LoadedModel(model, tokenizer, source.text, _bos(tokenizer))


def _borrowed_tokenizer(text: str) -> PreTrainedTokenizerBase:
    source = parse_source(text)
    if source.kind == "bundled":
        source.check()
        return load_tokenizer(convert.cached_bundled(find_bundled(source.name)).folder)
    if source.kind == "gguf" and source.path is not None:
        return load_tokenizer(convert.cached_gguf(source.path).folder)
    return load_tokenizer(source.path or source.name)


def cached_copy(source: ModelSource) -> convert.CachedModel:
    """The converted copy of a bundled model or a GGUF file; made if it is not there."""
    if source.kind == "bundled":
        return convert.cached_bundled(find_bundled(source.name))
    assert source.path is not None
    return convert.cached_gguf(source.path)


def hub_options(source: ModelSource, trust_remote_code: bool) -> dict[str, Any]:
    """What transformers is told when it reads a folder or a hub id."""
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if source.revision:
        options["revision"] = source.revision
    if source.kind == "hub":
        # Asked once, without the minute of retries that each file would cost.
        options["local_files_only"] = not hub_reachable()
    return options


def _load_converted(
    source: ModelSource, dtype: torch.dtype | None, tokenizer: PreTrainedTokenizerBase | None
) -> LoadedModel:
    for _ in range(2):
        cached = cached_copy(source)
        loaded = _load_cached(cached, source.text, dtype, tokenizer)
        if loaded is not None:
            return loaded
        _log.warning("The cached copy of %s is damaged; it is converted again.", source.text)
        convert.discard(cached)
    raise ByroteError(
        f"The cached copy of {source.text} in {convert.cache_dir()} is damaged again right after "
        "it was made. Check the disk, or set BYROTE_CACHE to a folder on another one."
    )


def cached_tokenizer(cached: convert.CachedModel) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a converted model."""
    read = quick_tokenizer if cached.quick_tokenizer else load_tokenizer
    return read(cached.folder)


def _load_cached(
    cached: convert.CachedModel,
    source: str,
    dtype: torch.dtype | None,
    tokenizer: PreTrainedTokenizerBase | None,
) -> LoadedModel | None:
    """Load a converted model; None if its weights are not what was written.

    The hash and the tokenizer, a second or more each, are read beside each other; the weights are
    only read when the hash is right.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            if not cached.tokenizer_is_whole():
                return None
            hashed = pool.submit(convert.sha256_of_file, cached.weights)
            tokenizer = tokenizer or cached_tokenizer(cached)
            if hashed.result() != cached.weights_sha256:
                return None
        except (OSError, InputError):
            return None
    model = AutoModelForCausalLM.from_pretrained(cached.folder, dtype=dtype or torch.float32)
    known = cached.weights_hash if model.dtype == torch.float32 else None
    return LoadedModel(model, tokenizer, source, _bos(tokenizer), cached.licence, known)


def _load_pretrained(
    source: ModelSource,
    dtype: torch.dtype | None,
    trust_remote_code: bool,
    tokenizer: PreTrainedTokenizerBase | None,
) -> LoadedModel:
    where = source.path or source.name
    options = hub_options(source, trust_remote_code)
    with explained(source, options), task(f"Loading {source.text}"):
        tokenizer = tokenizer or load_tokenizer(where, **options)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where, dtype=dtype or "auto", weights_only=True, output_loading_info=True, **options
        )
        model, info = loaded
        check_complete(info, source.text)
    return LoadedModel(model, tokenizer, source.text, _bos(tokenizer), _card_licence(source.path))


def _card_licence(folder: Path | None) -> str | None:
    """The licence that a folder's model card names in its first block."""
    card = folder / "README.md" if folder else None
    if card is None or not card.is_file():
        return None
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:200]
    if not lines or lines[0].strip() != "---":
        return None
    for line in lines[1:]:
        if line.strip() == "---":
            break
        key, _, value = line.partition(":")
        if key.strip() == "license" and value.strip():
            return value.strip()
    return None
