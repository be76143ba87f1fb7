from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from byrote.errors import InputError
from byrote.exposure import (
    IGNORED,
    OBJECTIVES,
    DivergedError,
    ExposureConfig,
    Observer,
    Recorder,
    Sequences,
    StopRule,
    expose,
)
from tests.exposure.plain import plain_exposure, plain_loss, same_weights, weights


class Witness(Observer):
    """Writes down every call."""

    def __init__(self):
        self.calls = []

    def on_epoch(self, view):
        self.calls.append(("epoch", view.epoch, view.step, view.last))

    def observe(self, view):
        self.calls.append(("batch", view.epoch, view.step, view.indices.tolist()))

    def on_step(self, view):
        self.calls.append(("step", view.epoch, view.step))


class Norms(Observer):
    """Keeps the norms of the gradients."""

    def __init__(self):
        self.found = []

    def on_step(self, view):
        self.found.append(view.grad_norm)


def means(view):
    """Mean loss per sequence, from the logits that an observer is shown."""
    logprobs = view.logits.log_softmax(-1).gather(-1, view.labels.clamp(min=0)[..., None])[..., 0]
    asked = view.labels >= 0
    return {"loss": (-(logprobs * asked).sum(1) / asked.sum(1)).numpy()}


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "mixtral"])
def test_it_is_the_plain_loop(fresh, strings, family):
    ours, theirs = fresh(family), fresh(family)
    sequences = strings(length=[12, 9, 5])
    config = ExposureConfig(epochs=8, lr=3e-3, weight_decay=0.1, batch_size=3)
    result = expose(ours, sequences, config)
    expected = plain_exposure(theirs.model, sequences, config)
    np.testing.assert_allclose(result.losses, expected, rtol=2e-4)
    assert result.losses[-1] < 0.8 * result.losses[0]


def test_one_sequence_gives_the_plain_loop_to_the_bit(fresh, strings):
    ours, theirs = fresh(), fresh()
    sequences = strings(1)
    config = ExposureConfig(epochs=5, lr=3e-3)
    expose(ours, sequences, config)
    theirs.model.eval()
    optimizer = torch.optim.AdamW(theirs.model.parameters(), lr=3e-3, weight_decay=0.0, fused=True)
    ids = torch.tensor(sequences.input_ids.astype("int64"))
    for _ in range(5):
        logits = theirs.model(input_ids=ids[:, :-1]).logits
        total = torch.nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="sum")
        (total / 12).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert same_weights(weights(ours.model), weights(theirs.model))


def test_an_epoch_is_measured_before_its_step_and_once_more_at_the_end(fresh, strings):
    """epochs + 1 points, each what an evaluation of its own gives."""
    loaded, sequences = fresh(), strings(2)

    class Evaluator(Observer):
        losses: list[float] = []  # noqa: RUF012

        def on_epoch(self, view):
            total = sum(float(plain_loss(view.model, sequences, i)) for i in range(2))
            self.losses.append(total / sequences.targets())

    evaluator = Evaluator()
    config = ExposureConfig(epochs=4, lr=1e-2, batch_size=2)
    result = expose(loaded, sequences, config, observers=[evaluator])
    assert len(result.losses) == 5
    np.testing.assert_allclose(result.losses, evaluator.losses, rtol=1e-5)


def test_measuring_costs_no_forward_pass_but_the_last(fresh, strings):
    loaded, count = fresh(), [0]
    handle = loaded.model.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    expose(loaded, strings(1), ExposureConfig(epochs=6), observers=[Recorder(means)])
    handle.remove()
    assert count == [7]


def test_observers_are_called_in_order(fresh, strings):
    witness = Witness()
    config = ExposureConfig(epochs=1, batch_size=2)
    result = expose(fresh(), strings(3), config, observers=[witness])
    assert witness.calls == [
        ("epoch", 0, 0, False),
        ("batch", 0, 0, [0, 1]),
        ("step", 1, 1),
        ("batch", 0, 1, [2]),
        ("step", 1, 2),
        ("epoch", 1, 2, True),
        ("batch", 1, 2, [0, 1]),
        ("batch", 1, 2, [2]),
    ]
    assert (result.epochs, result.steps, result.reason) == (1, 2, "epochs")


def test_observers_see_the_logits_that_predict_the_labels(fresh, strings):
    sequences = strings(length=[12, 7, 9])
    loaded = fresh()
    with torch.no_grad():
        expected = [
            float(plain_loss(loaded.model, sequences, i)) / sequences.targets(np.array([i]))
            for i in range(3)
        ]
    recorder = Recorder(means)
    expose(loaded, sequences, ExposureConfig(epochs=0, batch_size=2), observers=[recorder])
    np.testing.assert_allclose(recorder.arrays()["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
def test_eight_batches_of_one_are_one_batch_of_eight(fresh, strings, family):
    sequences = strings(length=[12, 9, 5, 12, 3, 7, 8, 11])
    results, models = [], []
    for batch_size, accumulation in ((1, 8), (8, 1), (3, 3)):
        loaded, recorder = fresh(family), Recorder(means)
        config = ExposureConfig(epochs=4, lr=3e-3, batch_size=batch_size, accumulation=accumulation)
        result = expose(loaded, sequences, config, observers=[recorder])
        results.append((result.losses, recorder.arrays()["loss"]))
        models.append(weights(loaded.model))
    for losses, rows in results[1:]:
        np.testing.assert_allclose(losses, results[0][0], rtol=1e-4)
        np.testing.assert_allclose(rows, results[0][1], rtol=1e-3)


def test_the_masks_of_dropout_do_not_depend_on_the_batch(fresh, strings):
    """Neither on its size, nor on how wide its longest sequence makes it."""
    sequences, results, rows = strings(length=[12, 9, 5, 12, 3, 7]), [], []
    for batch_size, accumulation in ((1, 6), (6, 1), (4, 2)):
        loaded, recorder = fresh("gpt2"), Recorder(means)
        config = ExposureConfig(
            epochs=3, lr=1e-2, batch_size=batch_size, accumulation=accumulation, dropout="model"
        )
        results.append(expose(loaded, sequences, config, observers=[recorder]).losses)
        rows.append(recorder.arrays()["loss"])
    for losses, found in zip(results[1:], rows[1:], strict=True):
        np.testing.assert_allclose(losses, results[0], rtol=1e-4)
        np.testing.assert_allclose(found, rows[0], rtol=1e-3)


def every_second(logits, batch):
    """An objective that learns from fewer tokens than are asked for, and from few in some rows."""
    labels = batch.labels.clone()
    labels[batch.input_ids % 2 == 0] = IGNORED
    loss = functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return loss, int((labels != IGNORED).sum())


def test_an_objective_with_fewer_targets_is_a_mean_over_those(fresh, strings, monkeypatch):
    """The gradient of a step is that of the mean over all its targets, however they are spread."""
    monkeypatch.setitem(OBJECTIVES, "every-second", f"{__name__}:every_second")
    sequences = strings(length=[12, 9, 5, 12])
    batch = sequences.batch(np.arange(4))
    plain = fresh()
    total, count = every_second(plain.model(input_ids=batch.input_ids).logits, batch)
    assert 0 < count < sequences.targets()
    (total / count).backward()
    wanted = torch.cat([p.grad.flatten() for p in plain.model.parameters()])
    for batch_size, accumulation in ((4, 1), (1, 4), (3, 2)):
        config = ExposureConfig(
            epochs=1,
            batch_size=batch_size,
            accumulation=accumulation,
            clip=math.inf,
            objective="every-second",
        )
        norms = Norms()
        result = expose(fresh(), sequences, config, observers=[norms])
        assert norms.found == [pytest.approx(float(wanted.norm()), rel=1e-4)]
        assert result.losses[0] == pytest.approx(float((total / count).detach()), rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_order_another_result(fresh, strings):
    def run(seed):
        loaded = fresh()
        torch.manual_seed(np.random.default_rng().integers(2**31))
        config = ExposureConfig(epochs=3, lr=1e-2, shuffle=True, seed=seed)
        expose(loaded, strings(4), config)
        return weights(loaded.model)

    assert same_weights(run(1), run(1))
    assert not same_weights(run(1), run(2))


def test_each_epoch_has_an_order_of_its_own(fresh, strings):
    witness = Witness()
    config = ExposureConfig(epochs=3, shuffle=True)
    expose(fresh(), strings(6), config, observers=[witness])
    orders = [
        tuple(c[3][0] for c in witness.calls if c[0] == "batch" and c[1] == e) for e in range(4)
    ]
    assert len(set(orders)) > 1
    assert all(sorted(order) == list(range(6)) for order in orders)


def test_the_model_is_left_as_it_was_found_but_for_its_weights(fresh, strings):
    loaded = fresh()
    loaded.model.train()
    asleep = loaded.model.get_submodule("model.layers.0")
    asleep.eval()
    frozen = next(loaded.model.parameters())
    frozen.requires_grad_(False)
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    expose(loaded, strings(), ExposureConfig(epochs=1, dropout="model", trainable="attention"))
    assert loaded.model.training
    assert not any(part.training for part in asleep.modules())
    assert not frozen.requires_grad
    assert all(p.grad is None for p in loaded.model.parameters())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dropout_is_off_unless_asked_for(fresh, strings):
    """GPT-2's configuration has dropout of 0.1 (pitfall 6)."""
    dropping, plain = fresh("gpt2"), fresh("gpt2", attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    for loaded in (dropping, plain):
        expose(loaded, strings(), ExposureConfig(epochs=3, lr=1e-2))
    assert same_weights(weights(dropping.model), weights(plain.model))


def test_the_models_own_dropout_changes_training_but_not_what_is_measured(fresh, strings):
    sequences, models, rows = strings(1), [], []
    for _ in range(2):
        loaded, recorder = fresh("gpt2"), Recorder(means)
        with torch.no_grad():
            before = float(plain_loss(loaded.model, sequences, 0)) / 12
        config = ExposureConfig(epochs=3, lr=1e-2, dropout="model")
        result = expose(loaded, sequences, config, observers=[recorder])
        models.append(weights(loaded.model))
        rows.append(recorder.arrays()["loss"])
        assert rows[-1][0] == pytest.approx(before, rel=1e-5)
        assert result.losses[0] != pytest.approx(before, rel=1e-4)
    assert same_weights(*models)
    off = fresh("gpt2")
    expose(off, sequences, ExposureConfig(epochs=3, lr=1e-2))
    assert not same_weights(models[0], weights(off.model))


def test_an_observer_may_draw_random_numbers_and_run_the_model(fresh, strings):
    class Meddler(Observer):
        def on_epoch(self, view):
            torch.rand(3)
            view.model(input_ids=torch.randint(0, 26, (1, 5)))

        def observe(self, view):
            self.on_epoch(view)

    config = ExposureConfig(epochs=3, lr=1e-2, dropout="model", shuffle=True)
    one, other = fresh("gpt2"), fresh("gpt2")
    expose(one, strings(), config)
    expose(other, strings(), config, observers=[Meddler()])
    assert same_weights(weights(one.model), weights(other.model))


def test_observers_see_the_model_in_evaluation_mode_without_gradients(fresh, strings):
    seen = []

    class Mode(Observer):
        def on_epoch(self, view):
            seen.append((view.model.training, torch.is_grad_enabled()))

        def observe(self, view):
            seen.append((view.model.training, view.logits.requires_grad))

    config = ExposureConfig(epochs=2, dropout="model")
    expose(fresh("gpt2"), strings(), config, observers=[Mode()])
    assert set(seen) == {(False, False)}


def test_the_stop_rule_ends_it_after_enough_epochs_in_a_row(fresh, strings):
    config = ExposureConfig(epochs=200, lr=1e-2, stop_when=StopRule(1.0, 3))
    result = expose(fresh(), strings(1), config)
    below = result.losses < 1.0
    first = next(e for e in range(len(below)) if below[e : e + 3].all())
    assert result.reason == "stop_when"
    assert result.epochs == first + 3 < 200
    assert len(result.losses) == result.epochs + 1


@pytest.mark.parametrize(("where", "epochs"), [("on_epoch", 2), ("observe", 3), ("on_step", 3)])
def test_an_observer_can_end_it(fresh, strings, where, epochs):
    class Stopper(Observer):
        pass

    def stop(view):
        if view.epoch == (3 if where == "on_step" else 2):
            view.stop()

    stopper = Stopper()
    setattr(stopper, where, stop)
    result = expose(fresh(), strings(2), ExposureConfig(epochs=9), observers=[stopper])
    assert (result.epochs, result.reason, len(result.losses)) == (epochs, "observer", epochs + 1)


def test_the_first_loss_that_is_no_number_ends_it_with_its_step(fresh, strings):
    loaded, steps = fresh(), []

    class Poison(Observer):
        def on_step(self, view):
            steps.append(view.step)
            if view.step == 3:
                next(loaded.model.parameters()).fill_(math.inf)

    with pytest.raises(DivergedError, match=r"step 4.*learning rate") as caught:
        expose(loaded, strings(1), ExposureConfig(epochs=9), observers=[Poison()])
    assert (caught.value.step, caught.value.epoch, steps) == (4, 3, [1, 2, 3])


def test_a_rate_that_is_far_too_high_diverges(fresh, strings):
    with pytest.raises(DivergedError, match="diverged"):
        expose(fresh(), strings(1), ExposureConfig(epochs=20, lr=1e30))


def test_bf16_keeps_the_weights_in_float32_and_learns_from_small_updates(fresh, strings):
    """At 1e-5, bf16 weights would not move at all (pitfall 7)."""
    loaded = fresh()
    before = weights(loaded.model)
    config = ExposureConfig(epochs=3, lr=1e-5, precision="bf16")
    expose(loaded, strings(1), config)
    after = weights(loaded.model)
    assert {value.dtype for value in after.values()} == {torch.float32}
    moved = [float((after[k] - before[k]).abs().max()) for k in after]
    assert 1e-5 < max(moved) < 1e-4
    exact = fresh()
    expose(exact, strings(1), ExposureConfig(epochs=3, lr=1e-5))
    assert not same_weights(after, weights(exact.model))


def test_weights_of_half_precision_are_refused(strings):
    from byrote.models import load

    loaded = load("random:llama?hidden_size=32&num_attention_heads=2", dtype="bfloat16")
    with pytest.raises(InputError, match=r"bfloat16.*float32"):
        expose(loaded, strings(), ExposureConfig())


def test_a_carried_optimiser_goes_on_where_it_was(fresh, strings):
    config = ExposureConfig(epochs=3, lr=1e-2)
    whole, parts, anew = fresh(), fresh(), fresh()
    expose(whole, strings(1), ExposureConfig(epochs=6, lr=1e-2))
    first = expose(parts, strings(1), config)
    expose(parts, strings(1), config, optimizer=first.optimizer)
    for _ in range(2):
        expose(anew, strings(1), config)
    assert same_weights(weights(parts.model), weights(whole.model))
    assert not same_weights(weights(anew.model), weights(whole.model))


def test_a_carried_optimiser_of_another_model_is_refused(fresh, strings):
    first = expose(fresh(), strings(1), ExposureConfig(epochs=1))
    with pytest.raises(InputError, match="carried optimiser"):
        expose(fresh(), strings(1), ExposureConfig(epochs=1), optimizer=first.optimizer)


def test_clipping_bounds_the_gradient_and_tells_its_norm(fresh, strings):
    norms = {}

    class Norms(Observer):
        def __init__(self, name):
            self.name = name

        def on_step(self, view):
            norms[self.name] = view.grad_norm

    results = {}
    for clip in (None, math.inf, 1e-3):
        loaded = fresh()
        # A large epsilon, or AdamW would undo the scale.
        config = ExposureConfig(epochs=1, lr=1e-2, clip=clip, eps=1.0)
        expose(loaded, strings(1), config, observers=[Norms(clip)])
        results[clip] = weights(loaded.model)
    assert norms[None] is None
    assert norms[math.inf] == pytest.approx(norms[1e-3])
    assert norms[math.inf] > 1e-3
    assert same_weights(results[None], results[math.inf])
    assert not same_weights(results[None], results[1e-3])


def test_the_schedule_reaches_the_steps(fresh, strings):
    rates = []

    class Rates(Observer):
        def on_step(self, view):
            rates.append(view.lr)

    config = ExposureConfig(epochs=5, lr=1.0e-3, schedule="linear", warmup=1)
    expose(fresh(), strings(1), config, observers=[Rates()])
    assert rates == pytest.approx([0.0, 1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_only_the_selected_part_learns(fresh, strings):
    loaded = fresh()
    before = weights(loaded.model)
    result = expose(loaded, strings(1), ExposureConfig(epochs=2, lr=1e-2, trainable="mlp:1"))
    after = weights(loaded.model)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == set(result.selection.names)
    assert all("layers.1.mlp" in name for name in moved)


def test_a_string_beyond_the_context_is_refused_before_any_work(fresh, strings):
    loaded = fresh(max_position_embeddings=8)
    with pytest.raises(InputError, match="context 8"):
        expose(loaded, strings(), ExposureConfig())


def test_checkpoints_without_a_folder_are_refused(fresh, strings):
    with pytest.raises(InputError, match="folder"):
        expose(fresh(), strings(), ExposureConfig(checkpoint_every=1))


def test_a_loop_inside_no_grad_learns_all_the_same(fresh, strings):
    with torch.no_grad():
        result = expose(fresh(), strings(1), ExposureConfig(epochs=3, lr=1e-2))
    assert result.losses[-1] < result.losses[0]


def test_without_bos_the_first_token_is_not_asked(fresh):
    sequences = Sequences.from_ids([[3, 4, 5, 6]])
    recorder = Recorder(lambda view: {"labels": view.labels.numpy()})
    expose(fresh(), sequences, ExposureConfig(epochs=0), observers=[recorder])
    assert recorder.arrays()["labels"].tolist() == [[4, 5, 6]]
