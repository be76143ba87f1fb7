"""Local prefix and global context: every condition against its definition, one plain pass a row."""

import copy

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig

from byrote.errors import InputError
from byrote.models import load
from byrote.models.loading import LoadedModel
from byrote.recall import CONTEXT_CONDITIONS, ContextSources, context_recall, ordinary_tokens
from byrote.recall import context_reader as reader_module
from byrote.recall.context_reader import ContextReader, Cut
from byrote.texts.seeds import derive_seed

FAMILIES = (
    "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "llama", "mistral", "mixtral",
    "olmo", "olmo2", "opt", "phi", "qwen2", "qwen2_moe", "qwen3",
)  # fmt: skip
SHARED = ("other", "fresh", "constant", "other-alphabet", "random-vocab")
LETTERS = (11, 23, 35, 47)
OTHER_LETTERS = (60, 61, 62, 63, 64)
BOS = 5
N = 30
KS = (2, 5)


def letters_string(n, seed):
    return np.random.default_rng(seed).choice(LETTERS, n).astype(np.int32)


def sources_for(draws, n=N):
    return ContextSources(
        fresh=letters_string,
        other=[letters_string(n, 100 + draw) for draw in range(draws)],
        alphabet=LETTERS,
        other_alphabet=OTHER_LETTERS,
        vocabulary=np.arange(100, 250),
    )


def plain_nll(loaded, prefix, target):
    """The definition: the prefix alone, all logits, float64."""
    with torch.no_grad():
        logits = loaded.model(input_ids=torch.tensor([list(prefix)])).logits[0, -1].double()
    return float(-logits.log_softmax(0)[target]), int(logits.argmax()) == target


class Recorder:
    """Writes down every whole input that a reader is asked to judge, as its definition has it."""

    def __init__(self, monkeypatch):
        self.prefixes = []
        judge = ContextReader._judge

        def spy(reader, states, targets, prefixes):
            self.prefixes += [[*reader.lead, *map(int, prefix)] for prefix in prefixes]
            return judge(reader, states, targets, prefixes)

        monkeypatch.setattr(ContextReader, "_judge", spy)


def ask(loaded, string, condition, **options):
    options = {"bos_id": BOS, "k": KS, "sources": sources_for(3, len(string))} | options
    return context_recall(loaded, string, conditions=[condition], **options)


def as_dict(table):
    return {
        (row["condition"], row["k"], row["draw"], row["position"]): (row["nll"], row["hit"])
        for row in table.iter_rows(named=True)
    }


def close(one, two):
    assert one.keys() == two.keys()
    for key in one:
        assert one[key][0] == pytest.approx(two[key][0], abs=3e-5), key
        assert one[key][1] == two[key][1], key


@pytest.mark.parametrize("lead", [(), (BOS,)])
@pytest.mark.parametrize("family", FAMILIES)
def test_shared_context_equals_the_definition(random_model, family, lead):
    """The fast path, where each cut sees a part of one run, is taken and right in every family."""
    loaded = random_model(family)
    string, context = letters_string(N, 1).astype(np.int64), np.arange(70, 70 + N)
    cuts = [Cut(0, (3,)), Cut(4, (1, 2, 6)), Cut(9, (5,)), Cut(24, (5, 3))]
    reader = ContextReader(loaded, string, lead)
    with reader.evaluating():
        readings = reader.shared(cuts, context)
    assert reader.packs
    asked = [(cut.at, k) for cut in cuts for k in cut.ks]
    assert [(p - k, k) for p, k in zip(readings.position, readings.k, strict=True)] == asked
    for (at, k), nll, hit in zip(asked, readings.nll, readings.hit, strict=True):
        prefix = [*lead, *context[:at].tolist(), *string[at : at + k].tolist()]
        wanted, right = plain_nll(loaded, prefix, int(string[at + k]))
        assert nll == pytest.approx(wanted, abs=3e-5)
        assert hit == right


@pytest.mark.parametrize("condition", CONTEXT_CONDITIONS)
def test_a_condition_equals_its_definition(random_model, condition):
    """What is asked, rebuilt row by row from the words of the definition."""
    loaded = random_model("llama")
    string = letters_string(N, 2)
    sources = sources_for(2)
    table = ask(loaded, string, condition, draws=2, seed=9, sources=sources)
    constant = np.random.default_rng(derive_seed(9, "context", "constant")).permutation(LETTERS)

    def permutation(cut, draw):
        seed = derive_seed(9, "context", "shuffle", str(draw), str(cut))
        return np.random.default_rng(seed).permutation(string[:cut])

    for row in table.iter_rows(named=True):
        i, k, draw = row["position"], row["k"], row["draw"]
        seed = derive_seed(9, "context", condition, str(draw))
        if condition == "intact":
            assert k is None
            prefix = string[:i]
        else:
            cut = i - k
            before = {
                "truncate": [],
                "shuffle": permutation(cut, draw),
                "other": sources.other[draw],
                "fresh": letters_string(N, seed),
                "constant": [constant[draw]] * N,
                "other-alphabet": np.random.default_rng(seed).choice(OTHER_LETTERS, N),
                "random-vocab": np.random.default_rng(seed).choice(np.arange(100, 250), N),
            }[condition][:cut]
            prefix = [*before, *string[i - k : i]]
        nll, hit = plain_nll(loaded, [BOS, *map(int, prefix)], int(string[i]))
        assert row["nll"] == pytest.approx(nll, abs=3e-5)
        assert row["hit"] == hit


@pytest.mark.parametrize("condition", CONTEXT_CONDITIONS)
def test_each_draw_k_and_position_comes_once_and_in_order(random_model, condition):
    table = ask(random_model("llama"), letters_string(N, 2), condition, draws=3, k=(5, 2))
    draws = 1 if condition in ("intact", "truncate") else 3
    ks = [None] if condition == "intact" else [2, 5]
    wanted = [(k, d, i) for k in ks for d in range(draws) for i in range(6, N)]
    assert table.select("k", "draw", "position").rows() == wanted


@pytest.mark.parametrize("condition", ["truncate", *SHARED])
def test_the_string_of_other_positions_does_not_leak(random_model, condition):
    """The true global tokens are really gone: other ones there change no answer."""
    loaded = random_model("llama")
    string = letters_string(N, 4)
    changed = string.copy()
    changed[:10] = string[:10][::-1]
    options = {"positions": np.arange(15, N), "k": (2, 5)}
    one = as_dict(ask(loaded, string, condition, **options))
    two = as_dict(ask(loaded, changed, condition, **options))
    close(one, two)
    truth = ask(loaded, string, "intact", **options)["nll"]
    assert (truth - ask(loaded, changed, "intact", **options)["nll"]).abs().max() > 1e-3


def test_shuffle_holds_exactly_the_true_global_tokens(random_model, monkeypatch):
    recorder = Recorder(monkeypatch)
    string = letters_string(N, 5)
    table = ask(random_model("llama"), string, "shuffle", k=(4,), draws=2)
    assert len(recorder.prefixes) == table.height
    moved = 0
    for prefix in recorder.prefixes:
        cut = len(prefix) - 1 - 4
        assert sorted(prefix[1 : 1 + cut]) == sorted(string[:cut].tolist())
        assert prefix[1 + cut :] == string[cut : cut + 4].tolist()
        moved += prefix[1 : 1 + cut] != string[:cut].tolist()
    assert moved > table.height // 2


def test_altered_tokens_come_from_where_they_should(random_model, monkeypatch):
    loaded, string = random_model("llama"), letters_string(N, 6)
    allowed = {
        "fresh": set(LETTERS),
        "constant": set(LETTERS),
        "other-alphabet": set(OTHER_LETTERS),
        "random-vocab": set(range(100, 250)),
    }
    for condition, letters in allowed.items():
        with monkeypatch.context() as patch:
            recorder = Recorder(patch)
            ask(loaded, string, condition, k=(4,), draws=4)
        contexts = [prefix[1:-4] for prefix in recorder.prefixes]
        assert set().union(*contexts) <= letters
        if condition == "constant":
            assert all(len(set(context)) == 1 for context in contexts)
            assert {context[0] for context in contexts} == letters
        else:
            longest = {tuple(context) for context in contexts if len(context) == N - 1 - 4}
            assert len(longest) == 4


def test_rows_equal_the_shared_run(random_model, monkeypatch):
    loaded, string = random_model("gpt2"), letters_string(80, 7)
    options = {"k": (1, 4, 20), "draws": 2}
    for condition in SHARED:
        fast = as_dict(ask(loaded, string, condition, **options))
        with monkeypatch.context() as patch:
            patch.setattr(ContextReader, "_try_packing", lambda *_: None)
            slow = as_dict(ask(loaded, string, condition, **options))
        close(fast, slow)


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_batch_size_does_not_matter(random_model, batch_rows):
    loaded, string = random_model("qwen3"), letters_string(50, 8)
    for condition in ("intact", "truncate", "shuffle", "fresh"):
        reference = as_dict(ask(loaded, string, condition, k=(3, 9)))
        close(reference, as_dict(ask(loaded, string, condition, k=(3, 9), batch_rows=batch_rows)))


def test_what_else_is_asked_does_not_matter(random_model):
    """An answer is the same alone as among other conditions, k, positions and draws."""
    loaded, string = random_model("llama"), letters_string(50, 8)
    full = as_dict(
        context_recall(
            loaded, string, bos_id=BOS, k=(2, 3, 9), sources=sources_for(3, 50), draws=3, seed=4
        )
    )
    for condition in CONTEXT_CONDITIONS:
        few = as_dict(ask(loaded, string, condition, k=(3,), positions=[12, 31], draws=2, seed=4))
        assert len(few) == {"intact": 2, "truncate": 2}.get(condition, 4)
        close(few, {key: full[key] for key in few})


def test_intact_is_the_teacher_forced_pass(random_model):
    loaded, string = random_model("phi"), letters_string(N, 9)
    table = ask(loaded, string, "intact", positions=np.arange(5, N))
    with torch.no_grad():
        logits = loaded.model(input_ids=torch.tensor([[BOS, *string.tolist()]])).logits[0]
    wanted = -logits.double().log_softmax(1)[5:-1].gather(1, torch.tensor(string[5:, None]).long())
    np.testing.assert_allclose(table["nll"].to_numpy(), wanted[:, 0].numpy(), atol=3e-5)


def test_replaced_contexts_keep_places_and_truncation_shifts_them(random_model, monkeypatch):
    """A context of nothing but BOS tokens differs from none at all by its places alone."""
    recorder = Recorder(monkeypatch)
    string = letters_string(N, 10)
    ask(random_model("llama"), string, "truncate", k=(4,))
    assert {len(prefix) for prefix in recorder.prefixes} == {1 + 4}
    recorder.prefixes.clear()
    table = ask(random_model("llama"), string, "fresh", k=(4,))
    assert [len(prefix) - 1 for prefix in recorder.prefixes] == table["position"].to_list()


def test_many_local_prefixes_cost_no_more_tokens_than_the_longest(random_model, monkeypatch):
    """A sweep over k is read from the rows of the largest one."""
    tokens = []
    run = ContextReader._run

    def count(reader, ids, *args, **kwargs):
        tokens.append(ids.numel())
        return run(reader, ids, *args, **kwargs)

    monkeypatch.setattr(ContextReader, "_run", count)
    loaded, string = random_model("llama"), letters_string(120, 11)
    spent = {}
    for ks in ((20,), tuple(range(1, 21))):
        tokens.clear()
        ask(loaded, string, "fresh", k=ks, positions=np.arange(20, 120))
        spent[len(ks)] = sum(tokens)
    assert spent[20] < 1.3 * spent[1]


def test_a_shared_context_is_run_once(random_model, monkeypatch):
    tokens = []
    run = ContextReader._run

    def count(reader, ids, *args, **kwargs):
        tokens.append(ids.numel())
        return run(reader, ids, *args, **kwargs)

    monkeypatch.setattr(ContextReader, "_run", count)
    ask(random_model("llama"), letters_string(200, 11), "fresh", k=(5,))
    # BOS and context; five tokens a position; and the two rows of the trial, packed and alone.
    assert sum(tokens) == (1 + 194) + 194 * 5 + 2 * 5 + (1 + 1 + 5) + (1 + 194 + 5)


def test_sharing_is_not_tried_on_a_constant_context(random_model, monkeypatch):
    tried = []
    monkeypatch.setattr(
        ContextReader, "_try_packing", lambda _, __, context: tried.append(set(context))
    )
    loaded, string = random_model("llama"), letters_string(N, 18)
    table = context_recall(
        loaded, string, bos_id=BOS, k=KS, conditions=["constant", "fresh"], sources=sources_for(1)
    )
    assert len(tried) == 1
    assert len(tried[0]) > 1
    assert table["condition"].unique(maintain_order=True).to_list() == ["constant", "fresh"]


def test_shuffle_positions_are_a_subsample(random_model):
    loaded, string = random_model("llama"), letters_string(N, 12)
    every = as_dict(ask(loaded, string, "shuffle", seed=3))
    few = as_dict(ask(loaded, string, "shuffle", seed=3, shuffle_positions=7))
    assert len({key[3] for key in few}) == 7
    assert len(few) == 7 * len(KS)
    close(few, {key: every[key] for key in few})
    others = ask(loaded, string, "shuffle", seed=4, shuffle_positions=7)
    assert set(others["position"]) != {key[3] for key in few}
    fresh = ask(loaded, string, "fresh", shuffle_positions=7)
    assert fresh["position"].n_unique() == N - 1 - max(KS)


def test_a_near_tie_is_decided_by_the_prefix_alone(random_model):
    """With all logits (nearly) tied, hits are exactly those of rows run alone."""
    loaded = random_model("llama", seed=1)
    head = loaded.model.get_output_embeddings().weight
    saved = head.detach().clone()
    string, context = letters_string(N, 13).astype(np.int64), np.arange(70, 70 + N)
    try:
        with torch.no_grad():
            head.mul_(1e-6)
        reader = ContextReader(loaded, string, (BOS,))
        cuts = [Cut(at, (2, 5)) for at in range(1, N - 5)]
        with reader.evaluating():
            for readings in (reader.shared(cuts, context), reader.whole(np.arange(6, N))):
                whole = len(readings.k) == N - 6
                for i, k, nll in zip(readings.position, readings.k, readings.nll, strict=True):
                    before = string[: i - k] if whole else context[: i - k]
                    prefix = np.concatenate([before, string[i - k : i]])
                    _, alone, _ = reader._stats(reader._run_alone(prefix), string[i : i + 1])
                    assert nll == alone[0]
    finally:
        with torch.no_grad():
            head.copy_(saved)


def test_a_window_shorter_than_the_text_takes_the_plain_path():
    loaded = load("random:mistral?sliding_window=8")
    string, context = letters_string(N, 14).astype(np.int64), np.arange(70, 70 + N)
    reader = ContextReader(loaded, string, (BOS,))
    cuts = [Cut(1, (5,)), Cut(20, (2, 5))]
    with reader.evaluating():
        readings = reader.shared(cuts, context)
    assert reader.packs is False
    for i, k, nll in zip(readings.position, readings.k, readings.nll, strict=True):
        prefix = [BOS, *context[: i - k].tolist(), *string[i - k : i].tolist()]
        assert nll == pytest.approx(plain_nll(loaded, prefix, int(string[i]))[0], abs=3e-5)


def test_a_window_that_no_configuration_names_is_found_out(monkeypatch):
    """The trial itself sees that sharing goes wrong, without the configuration's help."""
    loaded = load("random:mistral?sliding_window=8")
    monkeypatch.setattr(ContextReader, "_window", lambda _: float("inf"))
    reader = ContextReader(loaded, letters_string(N, 14).astype(np.int64), (BOS,))
    with reader.evaluating():
        reader.shared([Cut(1, (5,)), Cut(20, (2, 5))], np.arange(70, 70 + N))
    assert reader.packs is False


def test_a_state_space_model_takes_the_plain_path():
    config = MambaConfig(
        vocab_size=256, hidden_size=32, num_hidden_layers=2, state_size=4, pad_token_id=0,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    loaded = LoadedModel(model, None, "random:mamba", None)
    string, context = letters_string(14, 15).astype(np.int64), np.arange(70, 84)
    reader = ContextReader(loaded, string, (BOS,))
    with reader.evaluating():
        readings = reader.shared([Cut(1, (2, 3)), Cut(9, (4, 1))], context)
    assert reader.packs is False
    for i, k, nll in zip(readings.position, readings.k, readings.nll, strict=True):
        prefix = [BOS, *context[: i - k].tolist(), *string[i - k : i].tolist()]
        assert nll == pytest.approx(plain_nll(loaded, prefix, int(string[i]))[0], abs=3e-5)


def test_a_model_whose_head_cannot_be_split_off(random_model, monkeypatch):
    loaded, string = random_model("llama"), letters_string(N, 16)
    for condition in ("intact", "truncate", "fresh"):
        reference = as_dict(ask(loaded, string, condition))
        with monkeypatch.context() as patch:
            patch.setattr(reader_module, "split_head", lambda _: None)
            close(reference, as_dict(ask(loaded, string, condition)))


def test_leaves_modes_gradients_and_random_states_alone():
    loaded = load("random:gpt2?resid_pdrop=0.5")
    model, string = loaded.model, letters_string(N, 17)
    quiet = next(module for module in model.modules() if isinstance(module, torch.nn.Dropout))
    reference = as_dict(ask(loaded, string, "fresh"))
    model.train()
    quiet.eval()
    modes = [module.training for module in model.modules()]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    close(reference, as_dict(ask(loaded, string, "fresh")))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    model(input_ids=torch.tensor([[1, 2, 3]])).logits.sum().backward()


def test_ordinary_tokens_leave_out_the_special_ones(random_model, byte_tokenizer):
    loaded = random_model("llama", vocab_size=300)
    assert np.array_equal(ordinary_tokens(loaded), np.arange(300))
    tokenizer = copy.deepcopy(byte_tokenizer)  # the fixture serves other tests too
    tokenizer.add_special_tokens({"eos_token": "<end>", "bos_token": "a"})
    special = LoadedModel(loaded.model, tokenizer, "random:llama", None)
    assert len(tokenizer) == 257
    assert np.array_equal(ordinary_tokens(special), np.delete(np.arange(256), ord("a")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conditions": ["nonsense"]}, "nonsense"),
        ({"conditions": ["fresh", "fresh"]}, "each once"),
        ({"conditions": []}, "at least one"),
        ({"k": ()}, "at least 1"),
        ({"k": (0,)}, "at least 1"),
        ({"k": (3, 3)}, "each once"),
        ({"k": (N,)}, f"k={N}"),
        ({"k": (N - 1,)}, "none above"),
        ({"positions": [3]}, "positions 3"),
        ({"positions": [N]}, f"positions {N}"),
        ({"positions": []}, "No positions"),
        ({"draws": 0}, "draws=0"),
        ({"batch_rows": 0}, "batch_rows=0"),
        ({"shuffle_positions": 0}, "shuffle_positions=0"),
        ({"bos_id": 256}, "256"),
        ({"sources": ContextSources()}, "ContextSources"),
        ({"draws": 4}, "3 other strings for 4 draws"),
        ({"sources": ContextSources(other=[[1, 2]]), "conditions": ["other"]}, "has 2 tokens"),
        (
            {"sources": ContextSources(other_alphabet=[23]), "conditions": ["other-alphabet"]},
            "token 23 is also in the string",
        ),
        ({"sources": ContextSources(alphabet=[999]), "conditions": ["constant"]}, "999"),
    ],
)  # fmt: skip
def test_refuses(random_model, monkeypatch, options, words):
    """Wrong input is refused before the model runs."""
    monkeypatch.setattr(ContextReader, "_run", lambda *_, **__: pytest.fail("the model ran"))
    options = {"bos_id": BOS, "k": KS, "sources": sources_for(3)} | options
    with pytest.raises(InputError, match=words):
        context_recall(random_model("llama"), letters_string(N, 1), **options)


@pytest.mark.parametrize("ids", [[], [[1, 2]], [1.5, 2.5], [-1, 4], [1, 256]])
def test_refuses_what_are_no_ids(random_model, ids):
    with pytest.raises(InputError, match="the string"):
        context_recall(random_model("llama"), ids, bos_id=None, k=[1])


def test_refuses_a_string_beyond_the_context():
    loaded = load("random:gpt2?n_positions=32")
    sources = sources_for(1, 40)
    with pytest.raises(InputError, match="holds 32"):
        ask(loaded, letters_string(40, 1), "fresh", sources=sources)
    table = ask(loaded, letters_string(40, 1), "fresh", sources=sources, positions=[20, 31])
    assert table["position"].unique().to_list() == [20, 31]


@pytest.mark.slow
def test_real_model_shares_and_equals_the_definition():
    loaded = load("bundled:smollm2-135m")
    alphabet = [loaded.tokenizer.encode(letter)[0] for letter in "abcdefgh"]
    string = np.random.default_rng(0).choice(alphabet, 48)
    vocabulary = ordinary_tokens(loaded)
    assert loaded.bos_id not in vocabulary
    sources = ContextSources(vocabulary=vocabulary)
    reader = ContextReader(loaded, string, (1,))
    with reader.evaluating():
        reader.shared([Cut(40, (5,))], string)
    assert reader.packs
    positions = [12, 29, 47]
    table = context_recall(
        loaded, string, bos_id=1, k=(5, 10), conditions=["random-vocab"], sources=sources,
        positions=positions,
    )  # fmt: skip
    seed = derive_seed(0, "context", "random-vocab", "0")
    context = np.random.default_rng(seed).choice(vocabulary, len(string))
    for row in table.iter_rows(named=True):
        i, k = row["position"], row["k"]
        prefix = [1, *context[: i - k].tolist(), *string[i - k : i].tolist()]
        nll, hit = plain_nll(loaded, prefix, int(string[i]))
        assert row["nll"] == pytest.approx(nll, abs=2e-3)
        assert row["hit"] == hit
    assert table.height == 6
    assert table.schema["nll"] == pl.Float64()
