"""BalancedSubnet: the mask is that of plain SGD through a straight-through estimator."""

import numpy as np
import pytest
import torch

from byrote.errors import InputError
from byrote.localization import BalancedSubnet, measure_recital, text_loss
from byrote.localization.balanced_subnet import feed_forward_matrices, lowest
from byrote.models import load
from byrote.texts import Passage
from tests.localization.models import assert_same_state, state_of
from tests.recall.passages import random_passages

FAMILIES = ("gpt2", "gpt_neox", "llama", "gemma3_text", "phi", "opt", "olmo2")


def tiny(random_model, family):
    return random_model(family, hidden_size=16, num_hidden_layers=2, vocab_size=41)


def rows(count, vocab=41, length=9, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocab, length).astype(np.int32) for _ in range(count)]


def plain(loaded, passages, clean, *, ratio, lr, momentum, weight_decay, steps):
    """The definition: functional weights, autograd through them, torch's SGD on the scores."""
    weights = {k: v.detach() for k, v in feed_forward_matrices(loaded).items()}
    scores = {k: torch.zeros_like(v, requires_grad=True) for k, v in weights.items()}
    sgd = torch.optim.SGD(scores.values(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    history, masks = [], {}

    def loss(effective, ids, first):
        out = torch.func.functional_call(loaded.model, effective, (ids[None],))
        return torch.nn.functional.cross_entropy(out.logits[0, first - 1 : -1], ids[first:])

    for step in range(steps):
        keep = {
            k: torch.ones_like(s) if not step else 1.0 - lowest(s.detach(), ratio).float()
            for k, s in scores.items()
        }
        effective = {k: weights[k] * (keep[k] + s - s.detach()) for k, s in scores.items()}
        one = [loss(effective, torch.tensor(p.input_ids).long(), p.prefix_len) for p in passages]
        two = [loss(effective, torch.tensor(row).long(), 1) for row in clean]
        memorised, kept = torch.stack(one).mean(), torch.stack(two).mean()
        history.append((memorised.item(), kept.item()))
        sgd.zero_grad()
        (kept - memorised).backward()
        sgd.step()
        masks = {k: lowest(s.detach(), ratio) for k, s in scores.items()}
    return masks, history


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_plain_sgd_on_scores(family, random_model):
    loaded = tiny(random_model, family)
    passages = random_passages(3, 41, seed=1, prefix=(2, 4), suffix=(3, 6))
    options = {"ratio": 0.1, "lr": 0.5, "momentum": 0.9, "weight_decay": 1e-3, "steps": 3}
    before = state_of(loaded.model)
    found = BalancedSubnet(**options, batch_size=2).remove(loaded, passages, rows(3))
    assert_same_state(loaded.model, before)
    masks, history = plain(loaded, passages, rows(3), **options)
    assert found.removed.keys() == masks.keys()
    both = sum(int((found.removed[k] & masks[k]).sum()) for k in masks)
    either = sum(int((found.removed[k] | masks[k]).sum()) for k in masks)
    # Scores that are equal but for rounding may fall on either side of the cut.
    assert both >= 0.99 * either > 0
    got = found.history.select("memorised", "clean").rows()
    assert np.allclose(got, history, rtol=1e-4)
    assert found.history["removed"][0] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_all_feed_forward_maps_and_no_others_are_found(family, random_model):
    loaded = tiny(random_model, family)
    names = feed_forward_matrices(loaded)
    gated = family in ("llama", "gemma3_text", "olmo2")
    assert len(names) == 2 * (3 if gated else 2)
    assert not any("attn" in name or "attention" in name for name in names)


def test_a_known_passage_is_forgotten_and_others_less(parrot, secrets):
    loaded = load(str(parrot))
    ids = [np.array(loaded.tokenizer.encode(text), dtype=np.int32) for text in secrets]
    known = [Passage(f"s{i}", "s", f"s{i}", 0, row, 20) for i, row in enumerate(ids)]
    found = BalancedSubnet(ratio=0.05, steps=5).remove(loaded, known[:1], ids[1:5])
    assert len(found) <= sum(mask.numel() for mask in found.removed.values()) * 0.05
    before = measure_recital(loaded, known)
    clean = text_loss(loaded, ids[1:5])
    with found.applied():
        after = measure_recital(loaded, known)
        harm = text_loss(loaded, ids[1:5]) - clean
    lost = (before["accuracy"] - after["accuracy"]).to_list()
    assert lost[0] > 0.3
    assert lost[0] > np.mean(lost[1:])
    assert harm < after["nll"][0] - before["nll"][0]
    assert measure_recital(loaded, known).equals(before)


def test_the_written_model_has_these_weights_at_zero(random_model, tmp_path):
    from transformers import AutoModelForCausalLM

    loaded = tiny(random_model, "llama")
    before = state_of(loaded.model)
    passages = random_passages(2, 41, seed=1, prefix=(2, 4), suffix=(3, 6))
    found = BalancedSubnet(ratio=0.2, steps=2).remove(loaded, passages, rows(2))
    model = AutoModelForCausalLM.from_pretrained(found.write(tmp_path / "edited"))
    weights = dict(model.named_parameters())
    for name, own in feed_forward_matrices(loaded).items():
        expected = own.detach().masked_fill(found.removed[name], 0.0)
        assert torch.equal(weights[name], expected)
    assert_same_state(loaded.model, before)


def test_lowest_takes_a_share_of_what_is_below_zero():
    scores = torch.tensor([[-3.0, 1.0, -1.0], [0.0, -2.0, 5.0]])
    assert lowest(scores, 0.34).tolist() == [[True, False, False], [False, True, False]]
    assert int(lowest(scores, 1.0).sum()) == 3
    assert int(lowest(scores, 0.1).sum()) == 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"ratio": 0.0}, "ratio"),
        ({"ratio": 1.5}, "ratio"),
        ({"lr": 0.0}, "lr"),
        ({"momentum": -1}, "momentum"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_options_are_refused(options, name):
    with pytest.raises(InputError, match=name):
        BalancedSubnet(**options)


def test_mixtures_of_experts_and_nothing_to_do_are_refused(random_model):
    passages = random_passages(1, 41, prefix=(2, 4), suffix=(3, 6))
    with pytest.raises(InputError, match="mixture of experts"):
        BalancedSubnet().remove(tiny(random_model, "mixtral"), passages, rows(1))
    with pytest.raises(InputError, match="one of them is missing"):
        BalancedSubnet().remove(tiny(random_model, "gpt2"), passages, [])
