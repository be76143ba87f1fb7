"""The early-exit verdict and the continuations against `generate` and the full scoring pass."""

import pytest
import torch

from byrote.errors import ByroteError
from byrote.models import load
from byrote.recall import Scorer, continuations, first_misses
from tests.recall.passages import follow, random_passages

FAMILIES = ("gpt2", "llama", "gemma3_text", "opt", "mixtral")


def generated(loaded, passage, lead):
    """What transformers' own greedy decoding writes, one passage at a time."""
    ids = torch.tensor([[*lead, *passage.prefix_ids.tolist()]])
    out = loaded.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=passage.suffix_len,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_verdicts_equal_generate_and_scoring(random_model, family):
    loaded = random_model(family)
    lead = Scorer(loaded).lead
    passages = follow(loaded, random_passages(12, loaded.vocab_size, seed=9, suffix=(3, 14)), lead)
    scores = Scorer(loaded, batch_size=5).score(passages)
    misses = first_misses(loaded, passages, batch_size=5)
    for passage, score, miss in zip(passages, scores, misses, strict=True):
        written = generated(loaded, passage, lead)
        suffix = passage.suffix_ids.tolist()
        wanted = next(
            (i for i, (a, b) in enumerate(zip(written, suffix, strict=True)) if a != b), 99
        )
        assert miss == min(wanted, len(suffix))
        assert bool(score.hit.all()) == (written == suffix)
    assert sum(m == p.suffix_len for m, p in zip(misses, passages, strict=True)) == 8


@pytest.mark.parametrize("batch_size", [1, 3, 32, None])
def test_verdicts_do_not_depend_on_batch_or_order(random_model, batch_size):
    loaded = random_model("llama")
    passages = follow(loaded, random_passages(20, loaded.vocab_size, seed=2, suffix=(6, 9)))
    reference = first_misses(loaded, passages, batch_size=4)
    assert first_misses(loaded, passages[::-1], batch_size=batch_size)[::-1] == reference


def test_rows_stop_at_their_first_miss(random_model):
    """Most suffixes fail at once: later steps see only those still verbatim."""
    loaded = random_model("gpt2")
    shape = {"prefix": (5, 5), "suffix": (16, 16)}
    wrong = random_passages(15, loaded.vocab_size, seed=4, **shape)
    right = follow(loaded, random_passages(1, loaded.vocab_size, seed=5, **shape))
    rows = []
    handle = loaded.model.base_model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(args[0] if args else kwargs["input_ids"])),
        with_kwargs=True,
    )
    try:
        misses = first_misses(loaded, [*wrong, *right], batch_size=16)
    finally:
        handle.remove()
    assert misses[-1] == 16
    assert max(misses[:-1]) < 4
    assert rows[-3:] == [16, 1, 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_continuations_equal_generate(random_model, family):
    loaded = random_model(family)
    lead = Scorer(loaded).lead
    passages = follow(loaded, random_passages(12, loaded.vocab_size, seed=8), lead)
    scores = Scorer(loaded, batch_size=5).score(passages)
    written = continuations(loaded, passages, scores, lead=lead)
    ends = loaded.model.generation_config.eos_token_id
    for passage, ids in zip(passages, written, strict=True):
        wanted = generated(loaded, passage, lead)
        if ends in wanted:
            wanted = wanted[: wanted.index(ends)]
        assert ids == wanted


def test_a_recited_suffix_is_not_generated(random_model, monkeypatch):
    loaded = random_model("gpt2")
    passages = [
        p for i, p in enumerate(follow(loaded, random_passages(6, 64, seed=1))) if i % 3 != 1
    ]
    scores = Scorer(loaded).score(passages)
    assert all(score.hit.all() for score in scores)
    monkeypatch.setattr(
        "byrote.recall.generation.write_after", lambda *_: pytest.fail("nothing to generate")
    )
    monkeypatch.setattr("byrote.recall.generation.end_ids", lambda _: set())
    written = continuations(loaded, passages, scores)
    assert written == [p.suffix_ids.tolist() for p in passages]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("dtype", "way_out"), [("float32", "weights are damaged"), ("float16", "--dtype bfloat16 or")]
)
def test_logits_that_are_not_finite_are_no_verdict(value, dtype, way_out):
    loaded = load("random:llama", dtype=dtype)
    loaded.model.get_output_embeddings().weight.data[7] = value
    passages = random_passages(3, loaded.vocab_size, seed=1)
    message = f"random:llama gives logits .* passage 'p[0-2]' in {dtype}: .*{way_out}"
    with pytest.raises(ByroteError, match=message):
        Scorer(loaded).score(passages)
    with pytest.raises(ByroteError, match=message):
        first_misses(loaded, passages)


def test_a_token_that_is_excluded_is_no_error():
    loaded = load("random:llama")
    passages = random_passages(2, loaded.vocab_size, seed=1)
    hook = loaded.model.get_output_embeddings().register_forward_hook(
        lambda _, __, out: out.index_fill(-1, torch.tensor([3]), -torch.inf)
    )
    try:
        assert len(first_misses(loaded, passages)) == len(Scorer(loaded).score(passages)) == 2
    finally:
        hook.remove()
