"""Where texts come from: the one place that knows all formats and corpora.

To add a file format, write one file in `formats/` with a `TextSource` and add a line to
`FORMATS`; to add a corpus, write one file in `corpora/` with a `CORPUS` and add a line to
`CORPORA`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from byrote.errors import InputError
from byrote.texts.base import TextSource
from byrote.texts.corpora.base import Corpus, CorpusSource

__all__ = ["CORPORA", "FORMATS", "corpus", "open_source"]

# End of a path -> "module:class" below byrote.texts.formats, imported when first used.
FORMATS: dict[str, str] = {
    ".jsonl": "jsonl:JsonLines",
    ".ndjson": "jsonl:JsonLines",
    ".json": "jsonl:JsonLines",
    ".parquet": "parquet:Parquet",
    ".csv": "delimited:Delimited",
    ".tsv": "delimited:Delimited",
    ".txt": "plain:PlainText",
    ".text": "plain:PlainText",
    ".md": "plain:PlainText",
    ".rst": "plain:PlainText",
}

# Name after `corpus:` -> module below byrote.texts.corpora.
CORPORA: dict[str, str] = {
    "kjv": "kjv",
    "licenses": "licenses",
    "stdlib": "stdlib",
    "wellknown": "wellknown",
}


def open_source(spec: str, *, text_field: str = "text") -> TextSource:
    """Open a source of texts by what the user wrote.

    Args:
        spec: A path that ends in .jsonl, .ndjson, .json, .parquet, .csv, .tsv, .txt or .md; a
            folder of text files, or one that `datasets` saved; `hf:NAME?split=train&field=text`;
            or `corpus:NAME?option=value` (kjv, licenses, stdlib, wellknown).
        text_field: The field or column that holds the text.

    Returns:
        The source. Nothing but the kind of path has been looked at; `check()` reads it.

    Raises:
        InputError: If the spec names no kind of source that is known, or no such file.
    """
    if spec.startswith("corpus:"):
        name = spec.removeprefix("corpus:").partition("?")[0]
        return CorpusSource(spec, corpus(name))
    if spec.startswith("hf:"):
        return _format("hub:HubDataset", spec, text_field)
    if not spec.strip():
        raise InputError(f"No source of texts is named; {_known()}")
    path = Path(spec).expanduser()
    if path.is_dir():
        if (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file():
            return _format("hub:SavedDataset", spec, text_field)
        return _format("plain:TextFolder", spec, None)
    suffix = path.suffix.lower()
    if suffix in FORMATS:
        return _format(FORMATS[suffix], spec, text_field)
    if path.exists():
        what = f'files ending in "{suffix}"' if suffix else "files without an ending"
        raise InputError(f"{spec}: {what} are of no known kind; {_known()}")
    if spec in CORPORA:
        raise InputError(f"{spec} does not exist; did you mean corpus:{spec}?")
    raise InputError(f"{spec} does not exist; {_known()}")


def corpus(name: str) -> Corpus:
    """Find a corpus by its name.

    Raises:
        InputError: If there is none of that name; the message lists those there are.
    """
    if name not in CORPORA:
        known = ", ".join(f"corpus:{known}" for known in CORPORA)
        raise InputError(f"corpus:{name}: there is no such corpus; known are {known}.")
    return importlib.import_module(f"byrote.texts.corpora.{CORPORA[name]}").CORPUS


def _format(target: str, spec: str, text_field: str | None) -> TextSource:
    module, _, name = target.partition(":")
    kind = getattr(importlib.import_module(f"byrote.texts.formats.{module}"), name)
    return kind(spec) if text_field is None else kind(spec, text_field)


def _known() -> str:
    return (
        f"give a file ({', '.join(FORMATS)}), a folder of text files, a folder saved by datasets, "
        f"hf:NAME, or {', '.join(f'corpus:{name}' for name in CORPORA)}."
    )
