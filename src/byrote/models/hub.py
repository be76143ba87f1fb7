"""The hub: whether it can be reached, and what to do when it or a checkpoint cannot be read."""

from __future__ import annotations

import pickle
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huggingface_hub import constants
from safetensors import SafetensorError

from byrote.errors import InputError
from byrote.models.bundled import BUNDLED
from byrote.models.source import ModelSource

__all__ = ["explained", "hub_reachable"]

_HUB_SECONDS = 5.0


def hub_reachable() -> bool:
    """Ask the hub's address once, for a few seconds at most."""
    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return True  # it answers
    except OSError as error:
        # The hub's own client may have certificates that Python does not know.
        return isinstance(getattr(error, "reason", None), ssl.SSLError)
    return True


@contextmanager
def explained(source: ModelSource, options: dict[str, Any]) -> Iterator[None]:
    """Turn what transformers raises into one message with a way out.

    Args:
        source: What is being loaded.
        options: What `from_pretrained` is given.

    Raises:
        InputError: Loading failed.
    """
    try:
        yield
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{source.text} holds pickled weights with more than weights in them, which could run "
            "code when read; they were not. Save the model as safetensors where you trust it: "
            "model.save_pretrained(folder)."
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        text = " ".join(str(error).split())
        if "trust_remote_code" in text and not options["trust_remote_code"]:
            raise InputError(
                f"{source.text} comes with code of its own, which does not run unless asked for. "
                "If you trust it, allow it: trust_remote_code=True (--trust-remote-code)."
            ) from error
        if "Unrecognized configuration class" in text:
            raise InputError(
                f"{source.text} is not a causal language model: transformers has no causal head "
                "for its architecture. Give a model that continues text."
            ) from error
        if source.kind == "hub":
            offline = bool(options.get("local_files_only"))
            raise InputError(_hub_message(source, text, offline)) from error
        raise InputError(f"{source.text} could not be loaded: {text}") from error


def _hub_message(source: ModelSource, text: str, offline: bool) -> str:
    low = text.lower()
    if offline or "connect" in low:
        reason = (
            "it is not in the local cache and the hub cannot be reached. Check the network, or "
            "download it elsewhere and give its folder"
        )
    elif "gated" in low or "401" in low or "403" in low:
        reason = (
            "the hub refused it: a gated or private model. Accept its terms on its page and log in "
            "with `hf auth login`"
        )
    elif "is not a valid model identifier" in low or "404" in low:
        reason = "the hub has no such model. Check the name on https://huggingface.co/models"
    else:
        reason = f"transformers says: {text[:400]}"
    return (
        f"{source.text!r} is no local file or folder, and it could not be loaded as a hub id: "
        f"{reason}. Models that need no network: {', '.join(f'bundled:{n}' for n in BUNDLED)}."
    )
