"""Reading a filter back: its file says which kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from byrote.decoding import storage
from byrote.decoding.base import NGramFilter, Origin
from byrote.decoding.bloom import BloomFilter
from byrote.decoding.sets import NGramSet
from byrote.decoding.storage import damaged, mapped, read_file

__all__ = ["FILTERS", "load_filter", "read_header"]

# Kind in a header -> class.
FILTERS: dict[str, type[NGramFilter]] = {kind.kind: kind for kind in (BloomFilter, NGramSet)}

_ARRAYS = {"bloom": {"ngrams", "prefixes"}, "exact": {"tokens", "keys", "places"}}


def load_filter(path: str | Path, tokenizer: Any = None, *, verify: bool = True) -> NGramFilter:
    """Read a filter.

    Args:
        path: A file that `save` or `byrote filter build` wrote.
        tokenizer: The tokenizer of the model that the filter is for; None leaves it unchecked.
        verify: Compare the content with its sha256, which reads the whole file once.

    Raises:
        InputError: There is no such file, it is no filter, it is truncated or damaged, or it was
            built with another tokenizer.
    """
    path = Path(path)
    header, digest, start = read_file(path)
    if verify:
        storage.verify(path, digest)
    try:
        arrays = {
            entry["name"]: mapped(path, entry, start, header["size"]) for entry in header["arrays"]
        }
        origin = Origin(**header["origin"] | {"sources": tuple(header["origin"]["sources"])})
        kind = header["kind"]
        if arrays.keys() != _ARRAYS[kind]:
            raise damaged(path, "its arrays are not those of its kind")
        made = FILTERS[kind].restore(int(header["n"]), origin, header, arrays)
        made.count = int(header["count"])
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"its header does not say what it should ({error})") from error
    if tokenizer is not None:
        made.check_tokenizer(tokenizer, str(path))
    return made


def read_header(path: str | Path) -> dict[str, Any]:
    """What a filter's file says of itself; the arrays are not read.

    Raises:
        InputError: There is no such file, it is no filter, or it is truncated.
    """
    return read_file(Path(path))[0]
