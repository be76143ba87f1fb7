"""Let transformers parse a GGUF file once instead of once per use.

`from_pretrained(gguf_file=...)` builds `gguf.GGUFReader` anew for the configuration, the weights
and the tokenizer, and a name map per submodule; each reader takes seconds of Python on a large
vocabulary. Inside `shared_gguf_parsing` both are remembered. Only two public names of the `gguf`
package are replaced, and only while the block runs; where a future version does not have them or
transformers stops using them, loading is merely as slow as it was.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["shared_gguf_parsing"]

_lock = threading.Lock()


@contextmanager
def shared_gguf_parsing() -> Iterator[None]:
    """Within the block, parse each GGUF file once. One block at a time per process."""
    import gguf

    with (
        _lock,
        _replaced(gguf, "GGUFReader", _shared_reader),
        _replaced(gguf, "get_tensor_name_map", functools.lru_cache(maxsize=None)),
    ):
        yield


@contextmanager
def _replaced(module: ModuleType, name: str, wrap: Any) -> Iterator[None]:
    original = getattr(module, name, None)
    if original is None:
        yield
        return
    setattr(module, name, wrap(original))
    try:
        yield
    finally:
        setattr(module, name, original)


def _shared_reader(reader_class: type) -> Any:
    import numpy as np

    class PlainReader(reader_class):
        """Slices the mapped file as a plain array, in half the time that `np.memmap` takes."""

        @property
        def data(self) -> np.ndarray:
            return self._plain

        @data.setter
        def data(self, mapped: np.ndarray) -> None:
            self._plain = mapped.view(np.ndarray)

    return functools.lru_cache(maxsize=None)(PlainReader)
