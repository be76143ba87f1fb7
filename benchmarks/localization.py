"""Fast exact localization against the methods as the paper writes them (2311.09060, section 4).

`python -m benchmarks.localization [ig] [zero-out] [screened] [agreement]`

On a GPT-2-sized random model. What takes hours the plain way is timed on a sample that is spread
evenly over layers and tokens, and scaled up; the sample stands beside each result.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from benchmarks.common import in_turns, matmul_flops, ratio, table
from byrote.localization.attribution import Attribution
from byrote.localization.integrated_gradients import IntegratedGradients
from byrote.localization.screened import ScreenedZeroOut, agreement
from byrote.localization.zero_out import Zeroing
from byrote.models import LoadedModel, keep_freed_memory, load
from byrote.texts.passages import Passage

LAYERS, HIDDEN, WIDTH, VOCAB = 12, 768, 3072, 50257
PREFIX, SUFFIX, STEPS = 32, 48, 20
MODEL = (
    f"random:gpt2?hidden_size={HIDDEN}&num_hidden_layers={LAYERS}&num_attention_heads=12"
    f"&vocab_size={VOCAB}"
)
# Parameters of a layer's four linear maps.
PER_LAYER = 12 * HIDDEN * HIDDEN
# Each layer with tokens whose mean is the suffix's middle.
CELLS = [(1, 5), (1, 42), (4, 17), (4, 30), (7, 5), (7, 42), (10, 17), (10, 30)]
# Neurons of each layer; ours on more, so that what is done once a passage weighs as little as it
# does in a whole run.
FEW, MANY = 24, 96
BATCH = 16
SHORTLIST = 0.05
AGREED_LAYERS = (6, 11)
FRACTIONS = (0.001, 0.005, 0.01)


def passage(suffix_len: int = SUFFIX) -> Passage:
    ids = np.random.default_rng(0).integers(0, VOCAB, PREFIX + SUFFIX).astype(np.int32)
    ids = ids[: PREFIX + suffix_len]
    return Passage("p", "random", "p", 0, ids, PREFIX)


def plain_cell(loaded: LoadedModel, passage: Passage, layer: int, token: int) -> torch.Tensor:
    """One layer and suffix token of integrated gradients: `h · Σ_α ∂P/∂(α h) / steps`.

    All tokens up to the position, once for each α, in one batch.
    """
    given = passage.prefix_len + token
    ids = torch.tensor(passage.input_ids[:given], dtype=torch.long).expand(STEPS, -1)
    alphas = torch.linspace(0, 1, STEPS)[:, None]
    kept: list[torch.Tensor] = []

    def replace(_, args):
        own = args[0].clone()
        last = own[:, -1].detach()
        scaled = (alphas * last).requires_grad_(True)
        kept.extend((last[0], scaled))
        own[:, -1] = scaled
        return (own,)

    module = loaded.model.get_submodule(loaded.neurons.sites[layer].module)
    handle = module.register_forward_pre_hook(replace)
    try:
        logits = loaded.model(input_ids=ids, use_cache=False).logits
    finally:
        handle.remove()
    chance = logits[:, -1].softmax(1)[:, int(passage.input_ids[given])]
    (gradient,) = torch.autograd.grad(chance.sum(), kept[1])
    return kept[0] * gradient.sum(0) / STEPS


@torch.no_grad()
def plain_zero_out(loaded: LoadedModel, passage: Passage, wanted: torch.Tensor) -> torch.Tensor:
    """One row of a pass of the whole model for each neuron, a neuron zeroed in each."""
    ids = torch.tensor(passage.input_ids, dtype=torch.long)[None]
    effects = torch.zeros(wanted.shape, dtype=torch.float64)

    def losses(rows: int) -> torch.Tensor:
        logits = loaded.model(input_ids=ids.expand(rows, -1), use_cache=False).logits
        logprobs = logits[:, PREFIX - 1 : -1].log_softmax(-1)
        targets = ids[0, PREFIX:, None].expand(rows, -1, -1)
        return -logprobs.gather(2, targets)[..., 0].mean(1).double()

    clean = losses(1)[0]
    for layer in range(LAYERS):
        module = loaded.model.get_submodule(loaded.neurons.sites[layer].module)
        for some in wanted[layer].nonzero()[:, 0].split(BATCH):
            mask = torch.ones(len(some), 1, WIDTH)
            mask[torch.arange(len(some)), 0, some] = 0.0
            handle = module.register_forward_pre_hook(lambda _, args, m=mask: (args[0] * m,))
            try:
                effects[layer, some] = losses(len(some)) - clean
            finally:
                handle.remove()
    return effects


def close(one: torch.Tensor, other: torch.Tensor, part: float) -> None:
    """Fail unless two tensors agree to a part of the largest number."""
    apart, size = float((one - other).abs().max()), float(other.abs().max())
    assert apart <= part * size, f"scores differ: {apart:.3g} of {size:.3g}"


def integrated_gradients(loaded: LoadedModel) -> None:
    whole, short = passage(), passage(2)
    method = IntegratedGradients(STEPS)
    scores = method.score(loaded, [short])[0]
    for layer in (1, 10):
        expected = sum(plain_cell(loaded, short, layer, token) for token in (0, 1)) / 2
        close(scores[layer], torch.as_tensor(expected), 1e-3)
    rate = matmul_flops()
    seconds = in_turns(
        {
            "plain": lambda: [plain_cell(loaded, whole, *cell) for cell in CELLS],
            "ours": lambda: method.score(loaded, [whole]),
        },
        turns=2,
    )
    scale = LAYERS * SUFFIX / len(CELLS)
    plain = [scale * s for s in seconds["plain"]]
    # Forward and backward: the layers above each layer, and the head twice.
    tokens = SUFFIX * STEPS
    above = LAYERS * (LAYERS - 1) / 2
    flops = 2 * 2 * tokens * (above * PER_LAYER + LAYERS * HIDDEN * VOCAB)
    taken = statistics.median(seconds["ours"])
    table(
        f"Integrated gradients, {STEPS} steps: {LAYERS} × {WIDTH} neurons, {PREFIX}+{SUFFIX} "
        "tokens, 2 threads",
        [
            ("plain, seconds (scaled up)", f"{statistics.median(plain):,.0f}"),
            ("ours, seconds", f"{taken:.1f}"),
            ("plain / ours (at least 50)", f"**{ratio(plain, seconds['ours']):.0f} ×**"),
            ("arithmetic that single tokens need", f"{flops / 1e12:.2f} TFLOP"),
            ("share of the machine's matrix-product rate", f"{flops / taken / rate:.0%}"),
        ],
        f"Plain: {len(CELLS)} of {LAYERS * SUFFIX} pairs of layer and token, {STEPS} α in a batch. "
        "Same scores, asserted on a suffix of 2.",
    )


def sample(neurons: int) -> torch.Tensor:
    wanted = torch.zeros(LAYERS, WIDTH, dtype=torch.bool)
    wanted[:, :: WIDTH // neurons] = True
    return wanted


def zero_out(loaded: LoadedModel) -> None:
    whole, few, many = passage(), sample(FEW), sample(MANY)
    effects = Zeroing(loaded).effects(whole, few)
    close(effects, plain_zero_out(loaded, whole, few), 1e-2)
    rate = matmul_flops()
    seconds = in_turns(
        {
            "plain": lambda: plain_zero_out(loaded, whole, few),
            "ours": lambda: Zeroing(loaded).effects(whole, many),
        },
        turns=2,
    )
    plain = [s / int(few.sum()) for s in seconds["plain"]]
    ours = [s / int(many.sum()) for s in seconds["ours"]]
    tokens = PREFIX + SUFFIX
    plain_flops = 2 * tokens * (LAYERS * PER_LAYER + HIDDEN * VOCAB)
    flops = 2 * ((tokens - 1) * (LAYERS - 1) / 2 * PER_LAYER + SUFFIX * HIDDEN * VOCAB)
    taken = statistics.median(ours)
    table(
        f"Exact Zero-Out: {LAYERS} × {WIDTH} neurons, {PREFIX}+{SUFFIX} tokens, 2 threads",
        [
            ("plain, ms a neuron", f"{1e3 * statistics.median(plain):.1f}"),
            ("ours, ms a neuron", f"{1e3 * taken:.1f}"),
            ("plain / ours (at least 1.8)", f"**{ratio(plain, ours):.2f} ×**"),
            ("the same by arithmetic", f"{plain_flops / flops:.2f} ×"),
            ("share of the machine's matrix-product rate", f"{flops / taken / rate:.0%}"),
        ],
        f"Plain on {FEW} neurons of each layer, in batches of {BATCH}; ours on {MANY} of each. "
        "Exact: each neuron changes every later layer at every position and every suffix logit, so "
        "that half the layers and the head on the suffix are to be computed. Same scores, "
        "asserted.",
    )


def screened(loaded: LoadedModel) -> None:
    whole, wanted = passage(), sample(FEW)
    start = time.perf_counter()
    plain_zero_out(loaded, whole, wanted)
    plain = (time.perf_counter() - start) * wanted.numel() / int(wanted.sum())
    start = time.perf_counter()
    ScreenedZeroOut(SHORTLIST).score(loaded, [whole])
    taken = time.perf_counter() - start
    table(
        f"Zero-Out on a shortlist of {SHORTLIST:.0%}, 2 threads",
        [
            ("plain Zero-Out, seconds (scaled up)", f"{plain:,.0f}"),
            ("screened, seconds", f"{taken:.1f}"),
            ("plain / screened (at least 25)", f"**{plain / taken:.0f} ×**"),
        ],
        f"Plain on {int(wanted.sum())} neurons. Once each.",
    )


def agreed(loaded: LoadedModel) -> None:
    """What a shortlist would have selected, beside exact scores of all neurons of some layers."""
    whole = passage()
    wanted = torch.zeros(LAYERS, WIDTH, dtype=torch.bool)
    wanted[list(AGREED_LAYERS)] = True
    exact = Zeroing(loaded).effects(whole, wanted)[list(AGREED_LAYERS)]
    first = Attribution().score(loaded, [whole])[0, list(AGREED_LAYERS)].double()
    listed = first >= first.topk(int(SHORTLIST * WIDTH)).values[:, -1:]
    both = torch.where(listed, exact, first)
    table(
        f"What a shortlist of {SHORTLIST:.0%} selects of what exact Zero-Out selects",
        [
            (f"top {share:.1%}", f"screened {agreement(both, exact, share):.0%}, first order alone "
             f"{agreement(first, exact, share):.0%}")
            for share in FRACTIONS
        ],
        f"Layers {' and '.join(map(str, AGREED_LAYERS))}, all neurons scored exactly.",
    )  # fmt: skip


PARTS = {
    "ig": integrated_gradients,
    "zero-out": zero_out,
    "screened": screened,
    "agreement": agreed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[*PARTS], metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does; it serves all ways alike
    loaded = load(MODEL)
    loaded.model.requires_grad_(False)
    for part in options.parts:
        PARTS[part](loaded)


if __name__ == "__main__":
    main()
