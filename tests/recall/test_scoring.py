"""The scoring pass against its definition: one plain forward pass a passage, all logits."""

import numpy as np
import pytest
import torch

from byrote.errors import InputError
from byrote.models import LoadedModel
from byrote.recall import SamplingScheme, Scorer
from byrote.recall.scoring import batches_by_length
from byrote.texts.passages import Passage
from tests.recall.passages import random_passages

FAMILIES = ("gpt2", "gpt_neox", "llama", "qwen3", "gemma2", "gemma3_text", "opt", "phi", "mixtral")
FLOATS = ("logprob", "entropy", "logprob_var", "logprob_sampled")


def plain_scores(loaded, passage, lead=()):
    """The definition: the model's own logits for the whole text, in float64."""
    ids = torch.tensor([[*lead, *passage.input_ids.tolist()]])
    with torch.inference_mode():
        logits = loaded.model(input_ids=ids).logits[0].double()
    first = len(lead) + passage.prefix_len - 1
    rows = logits[first : first + passage.suffix_len].log_softmax(1)
    targets = torch.tensor(passage.suffix_ids.tolist())
    wanted = rows.gather(1, targets[:, None])[:, 0]
    p = rows.exp()
    mean = (p * rows).sum(1)
    kept = torch.where(rows >= rows.topk(5).values[:, -1:], rows, -torch.inf)
    return {
        "logprob": wanted,
        "rank": (rows > wanted[:, None]).sum(1),
        "hit": rows.argmax(1) == targets,
        "argmax": rows.argmax(1),
        "entropy": -mean,
        "logprob_var": (p * (rows - mean[:, None]) ** 2).sum(1),
        "logprob_sampled": kept.log_softmax(1).gather(1, targets[:, None])[:, 0],
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_definition(random_model, family):
    loaded = random_model(family)
    passages = random_passages(13, loaded.vocab_size, seed=3)
    scorer = Scorer(loaded, SamplingScheme(top_k=5), batch_size=4)
    for passage, scores in zip(passages, scorer.score(passages), strict=True):
        wanted = plain_scores(loaded, passage, scorer.lead)
        for name in FLOATS:
            np.testing.assert_allclose(
                getattr(scores, name), wanted[name].numpy(), rtol=2e-4, atol=2e-5, err_msg=name
            )
        for name in ("rank", "hit", "argmax"):
            np.testing.assert_array_equal(getattr(scores, name), wanted[name].numpy(), name)


@pytest.mark.parametrize("batch_size", [1, 3, 32, None])
def test_batch_size_and_order_do_not_matter(random_model, batch_size):
    loaded = random_model("llama")
    passages = random_passages(40, loaded.vocab_size, seed=5)
    reference = Scorer(loaded, batch_size=7).score(passages)
    order = np.random.default_rng(0).permutation(len(passages))
    scores = Scorer(loaded, batch_size=batch_size).score([passages[i] for i in order])
    for position, index in enumerate(order):
        for name in FLOATS:
            np.testing.assert_allclose(
                getattr(scores[position], name), getattr(reference[index], name), atol=2e-5
            )
        for name in ("rank", "hit", "argmax"):
            np.testing.assert_array_equal(
                getattr(scores[position], name), getattr(reference[index], name)
            )


def test_a_near_tie_is_decided_by_the_passage_alone(random_model):
    """With every token tied, a batch gives exactly what each passage gives alone."""
    loaded = random_model("llama", seed=1)
    with torch.no_grad():
        head = loaded.model.get_output_embeddings().weight
        saved = head.clone()
        head.mul_(1e-4)
    try:
        passages = random_passages(9, loaded.vocab_size, seed=6)
        alone = [Scorer(loaded).score([p])[0] for p in passages]
        together = Scorer(loaded, batch_size=9).score(passages)
    finally:
        with torch.no_grad():
            head.copy_(saved)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.argmax, other.argmax)
        np.testing.assert_array_equal(one.logprob, other.logprob)


def test_the_model_is_run_once_and_never_on_the_last_token(random_model):
    loaded = random_model("gpt2")
    passages = random_passages(8, loaded.vocab_size, prefix=(6, 6), suffix=(4, 4))
    scorer = Scorer(loaded, batch_size=8)
    seen = []
    handle = loaded.model.base_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    try:
        scorer.score(passages)
    finally:
        handle.remove()
    assert seen == [(8, 9)]


def test_a_model_whose_head_cannot_be_split_scores_the_same(random_model, monkeypatch):
    loaded = random_model("llama")
    passages = random_passages(6, loaded.vocab_size)
    split = Scorer(loaded, SamplingScheme(top_k=5)).score(passages)
    monkeypatch.setattr("byrote.recall.scoring.split_head", lambda _: None)
    whole = Scorer(loaded, SamplingScheme(top_k=5)).score(passages)
    for one, other in zip(split, whole, strict=True):
        np.testing.assert_allclose(one.logprob, other.logprob, atol=1e-5)
        np.testing.assert_array_equal(one.hit, other.hit)


def test_a_leading_token_is_seen(random_model):
    loaded = random_model("gpt2")
    passages = random_passages(3, loaded.vocab_size)
    without = Scorer(loaded, lead=()).score(passages)[0]
    with_bos = Scorer(loaded, lead=(7,)).score(passages)[0]
    wanted = plain_scores(loaded, passages[0], lead=(7,))
    np.testing.assert_allclose(with_bos.logprob, wanted["logprob"].numpy(), atol=2e-5)
    assert not np.allclose(with_bos.logprob, without.logprob, atol=1e-4)


def test_an_empty_prefix_needs_a_leading_token(random_model):
    loaded = random_model("gpt2")
    passage = Passage("p", "s", "r", 0, np.array([1, 2, 3], dtype=np.int32), 0)
    with pytest.raises(InputError, match="'p' has 0 prefix and 3 suffix"):
        Scorer(loaded, lead=()).score([passage])
    assert len(Scorer(loaded, lead=(1,)).score([passage])[0]) == 3


def test_a_batch_size_of_zero_is_refused(random_model):
    with pytest.raises(InputError, match="batch size 0"):
        Scorer(random_model("gpt2"), batch_size=0)


def test_batches_hold_each_item_once_longest_first():
    lengths = [5, 900, 5, 3000, 40, 7000]
    batches = list(batches_by_length(lengths, None))
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert batches[0] == [5]
    assert all(len(b) * max(lengths[i] for i in b) <= 3200 or len(b) == 1 for b in batches)


def test_all_that_a_tokenizer_prepends_leads(random_model, monkeypatch):
    monkeypatch.setattr("byrote.models.loading.prepended_ids", lambda _: [3, 4])
    model = random_model("gpt2").model
    assert Scorer(LoadedModel(model, object(), "two", 3)).lead == (3, 4)
    assert Scorer(LoadedModel(model, None, "none", 3)).lead == (3,)
    assert Scorer(LoadedModel(model, None, "none", None)).lead == ()
