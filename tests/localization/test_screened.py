"""The shortlist: which neurons are on it, and that they alone are exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.localization.attribution import Attribution
from byrote.localization.integrated_attribution import IntegratedAttribution
from byrote.localization.screened import ScreenedZeroOut, agreement
from byrote.localization.selection import select
from byrote.localization.zero_out import ZeroOut
from tests.localization import naive

PASSAGES = [naive.passage(), naive.passage(prefix_len=2, suffix_len=3, seed=1, name="q")]


@pytest.mark.parametrize("family", ["gpt2", "gemma3_text", "mixtral"])
def test_a_shortlist_of_all_neurons_is_zero_out(family):
    loaded = naive.lively(family)
    scores = ScreenedZeroOut(1.0).score(loaded, PASSAGES)
    torch.testing.assert_close(scores, ZeroOut().score(loaded, PASSAGES), rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("spare_lead", [False, True])
@pytest.mark.parametrize(
    ("screen", "method"),
    [("attribution", Attribution), ("integrated-attribution", IntegratedAttribution)],
)
def test_the_listed_are_exact_and_the_others_estimated(screen, method, spare_lead):
    loaded = naive.lively("llama", bos_id=7)
    scores = ScreenedZeroOut(0.25, screen, spare_lead).score(loaded, PASSAGES)
    estimates = method(spare_lead=spare_lead).score(loaded, PASSAGES)
    exact = ZeroOut(spare_lead).score(loaded, PASSAGES)
    for index in range(len(PASSAGES)):
        listed = torch.from_numpy(select(estimates[index], 0.25).neurons)
        assert listed.sum(1).tolist() == [6, 6, 6]
        torch.testing.assert_close(
            scores[index][listed], exact[index][listed], rtol=1e-4, atol=3e-6
        )
        torch.testing.assert_close(scores[index][~listed], estimates[index][~listed])


def test_at_least_one_neuron_of_each_layer_is_listed():
    loaded = naive.lively("gpt2")
    scores = ScreenedZeroOut(1e-6).score(loaded, PASSAGES[:1])[0]
    estimates = Attribution().score(loaded, PASSAGES[:1])[0]
    assert (scores != estimates).sum(1).tolist() == [1, 1, 1]


def test_the_share_done_grows_to_one():
    heard = []
    ScreenedZeroOut(0.2).score(naive.lively("gpt2"), PASSAGES, heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "options", [{"shortlist": 0.0}, {"shortlist": 1.5}, {"screen": "zero-out"}, {"batch_size": 0}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="screened-zero-out"):
        ScreenedZeroOut(**options)


@given(seed=st.integers(0, 999), fraction=st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_agreement_is_a_share_and_the_same_both_ways(seed, fraction):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.rand(2, 3, 20, generator=generator)
    share = agreement(one, other, fraction)
    assert 0 <= share <= 1
    assert share == agreement(other, one, fraction)
    assert agreement(one, one, fraction) == 1


def test_agreement_counts_shared_neurons():
    one = torch.tensor([[4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0]])
    other = torch.tensor([[4.0, 1.0, 2.0, 3.0], [4.0, 3.0, 2.0, 1.0]])
    assert agreement(one, other, 0.5) == 0.75
    assert agreement(one, other, 0.5, skip_layers=[0]) == 1.0
    assert agreement(one, other - 10 * torch.eye(2, 4), 0.25, scope="model") == 0.5
