"""One file per file format; `byrote.texts.sources` lists them."""
