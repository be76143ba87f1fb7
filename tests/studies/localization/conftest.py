"""A corpus, and one run of every method and experiment, made once."""

from __future__ import annotations

import pytest

from tests.studies.goldfish.tiny import write_corpus
from tests.studies.localization.tiny import everything, run


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> str:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def whole(corpus):
    """The config of everything."""
    return everything(corpus)


@pytest.fixture(scope="session")
def measured(whole, tmp_path_factory):
    """The tables of its cells."""
    return run(whole, tmp_path_factory.mktemp("cells"))
