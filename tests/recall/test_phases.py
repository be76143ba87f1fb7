"""Phase detection on curves whose phases are known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from byrote.errors import InputError
from byrote.recall import PhaseRule, Phases, detect_phases, phase_times
from byrote.recall.phases import times

LN26 = math.log(26)
MARGIN = 0.05 / LN26
EPOCHS = np.arange(101)
# The spec's section 5, Run A: evaluation loss of Pythia-1B, epochs 0 to 33.
RUN_A = (
    7.61, 7.04, 6.11, 5.12, 4.30, 3.78, 3.54, 3.43, 3.36, 3.30, 3.26, 3.23, 3.20, 3.17, 3.11, 3.06,
    3.01, 2.89, 3.11, 2.84, 2.56, 2.42, 2.22, 1.94, 1.67, 1.31, 1.01, 0.78, 0.52, 0.31, 0.17, 0.097,
    0.052, 0.039,
)  # fmt: skip


def sigmoid(epochs, middle, width):
    return 1 / (1 + np.exp(np.minimum(-(epochs - middle) / width, 700)))


class Curves:
    """A model that learns the alphabet, guesses, then learns a share `known` of 128 positions.

    It is calibrated: known positions have a probability of 1 - `rest`, and the others the string's
    letter frequencies; so the loss falls below the entropy of these, `floor`, by known · floor.
    """

    def __init__(
        self, size=26, learn=3.0, middle=30.0, width=2.0, epochs=EPOCHS, ends=1.0, missing=0.0
    ):
        self.floor = (1 - missing) * math.log(size)
        self.mass = sigmoid(epochs, learn, 0.5)
        self.known = np.round(ends * sigmoid(epochs, middle, width) * 128) / 128
        self.guess = 1 / size
        self.loss = (1 - self.known) * self.floor - np.log(self.mass)
        self.accuracy = self.known + (1 - self.known) * self.mass * self.guess
        # Taken as a guess, a known position gives every other letter next to nothing.
        self.kl = self.known * 8.0 - np.log(self.mass)

    def detect(self, **options):
        return detect_phases(
            self.loss,
            self.accuracy,
            self.floor,
            kl=self.kl,
            mass=self.mass,
            guess_accuracy=self.guess,
            **options,
        )


@pytest.mark.parametrize("size", [2, 4, 7, 13, 26])
@pytest.mark.parametrize("middle", [20, 35, 60.5])
@pytest.mark.parametrize("width", [0.8, 1.5])
def test_sigmoids(size, middle, width):
    curves = Curves(size, middle=middle, width=width)
    found = curves.detect()
    assert found.t_in_alphabet == 5  # logit(.95) · 0.5 = 1.5 after epoch 3
    # The loss is below by more than 1.53 % of the entropy with two of 128 positions, at every size.
    assert found.t_below == np.flatnonzero(curves.known >= 2 / 128)[0]
    # Taken as guesses the predictions are worse by 8 nats / 128 with the first.
    assert found.t_guess == np.flatnonzero(curves.known > 0)[0] - 1
    assert found.t_best_guess is not None
    assert found.t_guess is not None
    assert found.t_below is not None
    assert found.t_best_guess <= found.t_guess < found.t_below
    # Accuracy .95, or loss .1, whichever is first.
    enough = min((0.95 - 1 / size) / (1 - 1 / size), 1 - 0.1 / curves.floor)
    assert found.t_mem == np.flatnonzero(curves.known >= enough)[0]


def test_knowing_which_letters_a_short_string_has_is_guessing():
    # 16 letters of 26: Ĥ is 2.5 where H is 3.26. A model that knows the string's frequencies and no
    # position has a loss of Ĥ, for 25 epochs.
    curves = Curves(middle=30, width=1.0, missing=0.23)
    assert curves.loss[15] == pytest.approx(2.51, abs=0.01)
    found = curves.detect()
    assert (found.t_guess, found.t_below) == (24, 26)  # one position from epoch 25 on
    assert curves.accuracy[found.t_best_guess] == pytest.approx(1 / 26, abs=0.005)
    # Held against the source, it would never have guessed.
    against_source = detect_phases(curves.loss, curves.accuracy, LN26)
    assert against_source.t_below is not None
    assert against_source.t_below < 6


def gradual(size, start, rise, epochs=EPOCHS):
    """All positions become known together: the model is sure of each by c, and it is right by c.

    The letter itself gets a probability of c, the others share the rest: loss and both divergences
    follow, and an argmax is right with probability c, as the model is calibrated.
    """
    c = np.clip(1 / size + rise * (epochs - start), 1 / size, 0.999)
    rest = (1 - c) / (size - 1)
    loss = -(c * np.log(c) + (1 - c) * np.log(rest))
    kl = -(np.log(c) + (size - 1) * np.log(rest)) / size - math.log(size)
    mass = sigmoid(epochs, 3.0, 0.5)
    return loss - np.log(mass), c, kl - np.log(mass), mass


@pytest.mark.parametrize(("size", "most"), [(2, 0.08), (4, 0.12), (26, 0.17)])
def test_gradual_learning_is_guessing_only_while_it_is_near_to_guessing(size, most):
    loss, accuracy, kl, mass = gradual(size, start=20, rise=0.01)
    found = detect_phases(loss, accuracy, math.log(size), kl=kl, mass=mass, guess_accuracy=1 / size)
    # Accuracy is by at most √(margin · H / 2) above guessing (Pinsker), for two letters .073.
    assert found.t_guess is not None
    assert accuracy[found.t_guess] <= 1 / size + most
    assert math.sqrt(MARGIN * math.log(size) / 2) < most
    # At the lowest divergence it is that of guessing, up to what mass is still gained.
    assert found.t_best_guess is not None
    assert accuracy[found.t_best_guess] == pytest.approx(1 / size, abs=0.03)
    assert found.t_best_guess <= 23
    done = np.flatnonzero(accuracy >= 0.95)
    assert found.t_mem == (int(done[0]) if len(done) else None)


def test_two_letters_in_nats_would_be_right_two_times_of_three():
    loss, accuracy, kl, mass = gradual(2, start=20, rise=0.01)
    nats = PhaseRule(margin=0.05 / math.log(2))
    found = detect_phases(loss, accuracy, math.log(2), kl=kl, mass=mass, rule=nats)
    assert found.t_guess is not None
    assert accuracy[found.t_guess] > 0.64


def test_a_poor_guesser_ends_guessing_before_its_loss_shows_it():
    # Mass is missing for good: the loss gets below the entropy only with 15 % of the positions.
    curves = Curves(middle=40, width=4)
    curves.loss += 0.5 * (1 - curves.known)
    curves.kl += 0.5 * (1 - curves.known)
    found = curves.detect()
    assert found.t_below is not None
    assert found.t_guess is not None
    assert curves.known[found.t_below] > 0.14
    assert curves.known[found.t_guess] < 0.02


def test_the_co_authors_run():
    found = detect_phases(RUN_A, np.zeros(len(RUN_A)), LN26)
    # "<0.1 at 31"; 3.20 is the first loss below 3.208, at epoch 12.
    assert found == Phases(t_guess=11, t_mem=31, t_in_alphabet=None, t_below=12)


@pytest.mark.parametrize("size", [2, 26])
def test_a_plateau_ends_at_its_end_whatever_its_noise(size):
    for seed in range(50):
        curves = Curves(size, middle=50, width=1.0)
        noise = np.random.default_rng(seed).normal(0, 1, (2, len(EPOCHS)))
        noise *= 0.2 * MARGIN * curves.floor
        curves.kl = np.abs(curves.kl + noise[0])
        curves.loss = np.abs(curves.loss + noise[1])
        found = curves.detect()
        assert found.t_guess is not None
        assert found.t_best_guess is not None
        assert found.t_guess == pytest.approx(44, abs=1)
        assert found.t_best_guess <= found.t_guess
        assert curves.accuracy[found.t_best_guess] == pytest.approx(1 / size, abs=0.02)


def test_an_untrained_model_is_no_good_guesser_though_uniform_on_any_alphabet():
    curves = Curves(learn=12.0, middle=40)
    curves.kl[:5] = math.log(50_000 / 26)  # uniform over the vocabulary
    found = curves.detect()
    assert found.t_in_alphabet == 14
    assert found.t_best_guess is not None
    assert found.t_guess is not None
    assert 14 <= found.t_best_guess <= found.t_guess
    assert found.t_guess == Curves(middle=40).detect().t_guess


def test_no_plateau():
    # The alphabet and the string are learned at the same time: the loss falls right through Ĥ.
    curves = Curves(learn=6.0, middle=8.0, width=3.0)
    found = curves.detect()
    assert found.t_guess is not None
    assert found.t_mem is not None
    assert found.t_guess <= 7
    assert found.t_guess < found.t_mem
    # No phases: at the best guess a part of the alphabet is missing, or positions are known.
    best = found.t_best_guess
    assert best is not None
    assert curves.mass[best] < 0.9 or curves.accuracy[best] > 1 / 26 + 0.1


def test_a_short_string_may_be_learned_before_its_alphabet():
    curves = Curves(learn=20.0, middle=10.0, width=2.0)
    curves.loss = np.maximum(4 - 0.2 * EPOCHS, 0.0)
    found = curves.detect()
    assert found.t_in_alphabet is not None
    assert found.t_mem is not None
    assert found.t_mem < found.t_in_alphabet
    # 3.2 at epoch 4 is below Ĥ - 0.05, so it is no guess any more.
    assert (found.t_below, found.t_guess) == (4, 3)


def test_never_memorised():
    found = Curves(middle=30, ends=0.6).detect()
    assert found.t_mem is None
    assert found.t_guess == np.flatnonzero(Curves(middle=30, ends=0.6).known > 0)[0] - 1


def test_never_beyond_guessing():
    found = Curves(middle=1000).detect()
    assert found == Phases(t_guess=None, t_mem=None, t_in_alphabet=5, t_below=None)


def test_never_in_the_alphabet():
    curves = Curves(learn=500, middle=1000)
    assert curves.detect() == Phases(None, None, None, None)


def test_memorised_at_once():
    assert detect_phases([7.6, 0.01, 0.01], [0.0, 1.0, 1.0], LN26).t_mem == 1
    known = detect_phases([0.01, 0.01], [1.0, 1.0], LN26, kl=[3.2, 3.2], mass=[1.0, 1.0])
    assert known == Phases(t_guess=0, t_mem=0, t_in_alphabet=0, t_below=0, t_best_guess=0)


def test_one_epoch_of_success_is_not_memorised():
    accuracy = np.full(30, 0.5)
    accuracy[10] = 0.97
    accuracy[20:] = 0.97
    assert detect_phases(np.full(30, 1.0), accuracy, LN26).t_mem == 20
    assert detect_phases(np.full(11, 1.0), accuracy[:11], LN26).t_mem == 10  # nothing after it


@pytest.mark.parametrize("spike", [25, 40, 70, 100])
def test_a_spike_moves_nothing(spike):
    calm = Curves().detect()
    curves = Curves()
    curves.loss[spike] = 6.0
    curves.kl[spike] = 0.0
    curves.accuracy[spike] = 0.1
    found = curves.detect()
    assert found.t_guess == calm.t_guess
    assert found.t_below == calm.t_below
    assert found.t_mem == calm.t_mem


def followed_by(first, second, epoch):
    for name in ("loss", "kl", "accuracy"):
        getattr(first, name)[epoch:] = getattr(second, name)[epoch:]
    return first.detect()


def test_a_model_that_falls_back_to_guessing_before_it_has_memorised_is_guessing_again():
    found = followed_by(Curves(middle=20, ends=0.6), Curves(middle=70), 50)
    again = Curves(middle=70).detect()
    assert (found.t_guess, found.t_below, found.t_mem) == (
        again.t_guess,
        again.t_below,
        again.t_mem,
    )


def test_what_is_forgotten_after_it_was_memorised_was_memorised():
    found = followed_by(Curves(middle=20), Curves(middle=70), 50)
    assert found == Curves(middle=20).detect()


def test_pitfall_8_two_letters_are_half_right_by_guessing():
    curves = Curves(size=2, middle=40, width=2)
    assert curves.accuracy[20] == pytest.approx(0.5, abs=0.01)
    found = curves.detect()
    assert found.t_guess is not None
    assert found.t_mem is not None
    assert found.t_guess == np.flatnonzero(curves.known > 0)[0] - 1
    assert found.t_mem > 40


def test_guessing_a_skewed_source_is_not_memorising_it():
    # Guessing has an accuracy of .97 and a loss of .14: both thresholds as they are would be met
    # soon, or at once.
    entropy, guess = 0.09, 0.985
    loss = np.where(EPOCHS < 50, entropy, 0.01)
    accuracy = np.where(EPOCHS < 50, guess, 1.0)
    found = detect_phases(loss, accuracy, entropy, guess_accuracy=guess)
    assert found.t_mem == 50
    assert found.t_guess == 49


CURVE = st.floats(0, 8)


@given(
    st.lists(st.tuples(CURVE, st.floats(0, 1), CURVE, st.floats(0, 1)), min_size=1, max_size=15),
    st.floats(0, 4),
    st.booleans(),
    st.booleans(),
)
def test_phases_end_in_their_order_on_any_curve(epochs, entropy, with_kl, with_mass):
    loss, accuracy, kl, mass = np.array(epochs).T
    found = detect_phases(
        loss, accuracy, entropy, kl=kl if with_kl else None, mass=mass if with_mass else None
    )
    assert (found.t_guess is None) == (found.t_below is None and found.t_mem is None)
    for epoch in (found.t_guess, found.t_mem, found.t_below, found.t_in_alphabet):
        assert epoch is None or 0 <= epoch < len(epochs)
    if found.t_guess is not None:
        for later in (found.t_below, found.t_mem):
            assert later is None or found.t_guess < later or found.t_guess == later == 0
        if with_kl:
            assert found.t_best_guess is not None
            assert found.t_best_guess <= found.t_guess


def test_the_bar_of_accuracy_is_a_whole_number_of_tokens():
    # .95 of 16 tokens is 15.2: 15 are near enough, where 16 would be asked for otherwise.
    accuracy = np.repeat([0.5, 14 / 16, 15 / 16, 1.0], 5)
    loss = np.full(20, 1.0)
    assert detect_phases(loss, accuracy, LN26).t_mem == 15
    assert detect_phases(loss, accuracy, LN26, positions=16).t_mem == 10
    # Of 128 it is 122 with and without.
    for hits, expected in ((121, None), (122, 0)):
        share = np.full(5, hits / 128)
        for positions in (None, 128):
            found = detect_phases(np.ones(5), share, LN26, positions=positions)
            assert found.t_mem == expected


@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_the_bar_is_above_guessing(guess):
    hits, positions = guess
    share = np.full(4, hits / positions)
    found = detect_phases(
        np.ones(4), share, LN26, guess_accuracy=hits / positions, positions=positions
    )
    assert found.t_mem is None


def test_other_thresholds_are_a_choice():
    # Follow-up work calls .95 accuracy or a loss of 0.2 recollected.
    loss = np.linspace(3.01, 0.01, 31)
    accuracy = np.zeros(31)
    assert detect_phases(loss, accuracy, LN26).t_mem == 30
    assert detect_phases(loss, accuracy, LN26, rule=PhaseRule(loss=0.22)).t_mem == 28


@pytest.mark.parametrize(
    ("loss", "accuracy", "options", "message"),
    [
        ([], [], {}, "loss of shape"),
        ([1, 2], [1], {}, "accuracy has 1 epochs and loss 2"),
        ([1, 2], [0, 1], {"kl": [1, 2, 3]}, "kl has 3"),
        ([1, 2], [0, 1], {"mass": [[1, 2]]}, "mass of shape"),
        ([1, 2], [0, 1], {"entropy": math.inf}, "entropy is inf"),
    ],
)
def test_curves_that_do_not_go_together(loss, accuracy, options, message):
    with pytest.raises(InputError, match=message):
        detect_phases(loss, accuracy, **{"entropy": 1.0, **options})


def test_times_of_a_few_strings():
    found = phase_times([Phases(5, 20), Phases(6, 24), Phases(7, 22)])
    assert (found.n, found.censored) == (3, 0)
    assert found.median.value == 22
    assert (found.median.low, found.median.high) == (20, 24)
    assert found.median.confidence == pytest.approx(0.75)
    low, high = stats.t.interval(0.95, 2, 22, stats.sem([20, 24, 22]))
    assert found.mean.value == 22
    assert (found.mean.low, found.mean.high) == pytest.approx((low, high))
    assert phase_times([Phases(5, 20), Phases(6, 24), Phases(7, 22)], "t_guess").median.value == 6


def test_a_censored_string_is_later_than_all_others():
    one = times([20, 24, None])
    assert (one.n, one.censored) == (3, 1)
    assert one.median.value == 24
    assert one.median.high == math.inf
    assert one.mean.method == "none"
    assert math.isnan(one.mean.value)
    most = times([20, None, None])
    assert most.median.value == math.inf
    assert most.median.low == 20
    assert times([20, None]).median.value == math.inf


def test_a_single_string_has_no_interval():
    one = times([20])
    assert (one.median.value, one.median.method) == (20, "none")
    assert (one.mean.value, one.mean.method) == (20, "none")
    none = times([])
    assert none.n == 0
    assert math.isnan(none.median.value)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 9, 20])
def test_the_median_interval_covers_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    draws = rng.exponential(10, (1000, n))
    found = [times(row).median for row in draws]
    covered = np.mean([e.low <= 10 * math.log(2) <= e.high for e in found])
    stated = found[0].confidence
    assert covered == pytest.approx(stated, abs=4 * math.sqrt(0.25 / 1000))
    assert (stated >= 0.95) == (n >= 6)


@given(st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=12))
def test_the_order_of_strings_does_not_matter(epochs):
    one, other = times(epochs), times(epochs[::-1])
    assert one.median == other.median
    assert one.censored == epochs.count(None)
    assert not one.median.value < one.median.low
    assert not one.median.value > one.median.high


def test_what_cannot_be_asked():
    with pytest.raises(InputError, match="choose one of t_guess"):
        phase_times([Phases(1, 2)], "t_end")
    with pytest.raises(InputError, match="confidence is 1"):
        times([1, 2], confidence=1)
