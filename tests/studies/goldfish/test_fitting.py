"""What models cannot take is said before anything is run, without their weights."""

from __future__ import annotations

import pytest

from byrote.errors import InputError
from byrote.models import load
from byrote.studies.goldfish.fitting import fit
from byrote.studies.goldfish.plan import cells
from tests.studies.goldfish.tiny import MODEL, tiny, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def test_every_cell_has_its_memory_weights_gradients_and_moments_at_least(corpus):
    config = tiny(corpus, scratch__arms=("standard", "wider"))
    needed = fit(config)
    assert set(needed) == {cell.id for cell in cells(config)}
    sized = load(f"{MODEL}&vocab_size={config.scratch.vocab}")
    standard = needed["scratch.standard.s0"]
    logits = 12 * config.scratch.batch * config.scratch.tokens * config.scratch.vocab
    assert standard == 16 * sized.parameters + logits
    assert needed["scratch.wider.s0"] > standard


def test_documents_beyond_the_context_are_told_before_the_run(corpus):
    with pytest.raises(InputError, match=r"scratch: documents of 65 tokens .* 64 tokens"):
        fit(tiny(corpus, scratch__tokens=65))
    fit(tiny(corpus, scratch__tokens=64))


def test_a_model_without_a_fast_tokenizer_is_told(corpus):
    config = tiny(corpus, scratch__vocab=0, scratch__model=MODEL)
    with pytest.raises(InputError, match=r"scratch: .* no fast tokenizer"):
        fit(config)
