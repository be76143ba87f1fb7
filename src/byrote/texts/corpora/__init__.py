"""Texts that need no network, one file a corpus; `byrote.texts.sources` lists them."""
