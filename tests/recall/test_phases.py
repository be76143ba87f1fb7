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
    """A model that learns the alphabet, guesses, then learns a share `known` of the positions.

    It is calibrated: known positions have no loss and an argmax that is right, and the others the
    entropy H and the accuracy of guessing; so KL = known · H.
    """

    def __init__(self, size=26, learn=3.0, middle=30.0, width=2.0, epochs=EPOCHS, ends=1.0):
        self.entropy = math.log(size)
        self.mass = sigmoid(epochs, learn, 0.5)
        self.known = ends * sigmoid(epochs, middle, width)
        self.loss = (1 - self.known) * self.entropy - np.log(self.mass)
        self.accuracy = self.known + (1 - self.known) * self.mass / size
        self.kl = self.known * self.entropy
        # Before the alphabet is learned, letters are far from uniform.
        self.kl += (1 - self.mass) * 1.0
        self.guess = 1 / size

    def detect(self, **options):
        return detect_phases(
            self.loss,
            self.accuracy,
            self.entropy,
            kl=self.kl,
            mass=self.mass,
            guess_accuracy=self.guess,
            **options,
        )


@pytest.mark.parametrize("size", [2, 4, 7, 13, 26])
@pytest.mark.parametrize("middle", [20, 35, 60.5])
@pytest.mark.parametrize("width", [0.8, 1.5, 2.5])
def test_sigmoids(size, middle, width):
    curves = Curves(size, middle=middle, width=width)
    found = curves.detect()
    assert found.t_in_alphabet == 5  # logit(.95) · 0.5 = 1.5 after epoch 3
    # KL = known · H rises 0.05 above its minimum, which is within 0.02 of 0, here; the loss is as
    # much below.
    share = 0.05 / curves.entropy
    leaves = middle + width * math.log(share / (1 - share))
    assert found.t_guess is not None
    assert found.t_below is not None
    assert found.t_guess == pytest.approx(leaves, abs=2.5)
    assert found.t_below == pytest.approx(found.t_guess + 1, abs=1.0)
    # Accuracy .95, or loss .1, whichever is first.
    g = 1 / size
    enough = min((0.95 - g) / (1 - g), 1 - 0.1 / curves.entropy)
    assert found.t_mem == math.ceil(middle + width * math.log(enough / (1 - enough)) - 1e-9)


def test_the_co_authors_run():
    found = detect_phases(RUN_A, np.zeros(len(RUN_A)), LN26)
    # "<0.1 at 31"; 3.20 is the first loss below 3.208, at epoch 12.
    assert found == Phases(t_guess=11, t_mem=31, t_in_alphabet=None, t_below=12)


def test_a_plateau_ends_at_its_end_whatever_its_noise():
    for seed in range(50):
        curves = Curves(middle=50, width=1.0)
        noise = np.random.default_rng(seed).normal(0, 0.006, len(EPOCHS))
        curves.kl = np.abs(curves.kl + noise)
        found = curves.detect()
        assert found.t_guess is not None
        assert 44 <= found.t_guess <= 46


def test_an_untrained_model_is_uniform_before_it_knows_the_alphabet():
    curves = Curves(learn=8.0, middle=40)
    curves.kl[:5] = 1e-4  # nearly uniform over V is nearly uniform on any alphabet
    curves.kl[9:30] += 0.08
    found = curves.detect()
    assert found.t_in_alphabet == 10
    assert found.t_guess is not None
    assert found.t_guess >= 30


def test_an_untrained_model_is_uniform_when_the_mass_is_not_known():
    curves = Curves(learn=8.0, middle=40)
    curves.kl[:5] = 1e-4
    curves.kl[9:30] += 0.08
    found = detect_phases(curves.loss, curves.accuracy, LN26, kl=curves.kl)
    assert found.t_in_alphabet is None
    assert found.t_guess is not None
    assert found.t_guess >= 30


def test_no_plateau():
    # The alphabet and the string are learned at the same time: the loss falls right through H.
    curves = Curves(learn=6.0, middle=8.0, width=3.0)
    found = curves.detect()
    assert found.t_guess is not None
    assert found.t_mem is not None
    assert 5 <= found.t_guess <= 8
    assert found.t_guess < found.t_mem


def test_a_short_string_may_be_learned_before_its_alphabet():
    curves = Curves(learn=20.0, middle=10.0, width=2.0)
    curves.loss = np.maximum(4 - 0.2 * EPOCHS, 0.0)
    found = curves.detect()
    assert found.t_in_alphabet is not None
    assert found.t_mem is not None
    assert found.t_mem < found.t_in_alphabet
    # 3.2 at epoch 4 is below H - 0.05, and KL only rises from there.
    assert (found.t_below, found.t_guess) == (4, 4)


def test_never_memorised():
    found = Curves(middle=30, ends=0.6).detect()
    assert found.t_mem is None
    assert found.t_guess == pytest.approx(23, abs=2)


def test_never_beyond_guessing():
    found = Curves(middle=1000).detect()
    assert found == Phases(t_guess=None, t_mem=None, t_in_alphabet=5, t_below=None)


def test_never_in_the_alphabet():
    curves = Curves(learn=500, middle=1000)
    assert curves.detect() == Phases(None, None, None, None)


def test_memorised_at_once():
    assert detect_phases([7.6, 0.01, 0.01], [0.0, 1.0, 1.0], LN26).t_mem == 1
    known = detect_phases([0.01, 0.01], [1.0, 1.0], LN26, kl=[3.2, 3.2], mass=[1.0, 1.0])
    assert known == Phases(t_guess=0, t_mem=0, t_in_alphabet=0, t_below=0)


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
    assert found == Curves(middle=70).detect()


def test_what_is_forgotten_after_it_was_memorised_was_memorised():
    found = followed_by(Curves(middle=20), Curves(middle=70), 50)
    assert found == Curves(middle=20).detect()


def test_pitfall_8_two_letters_are_half_right_by_guessing():
    curves = Curves(size=2, middle=40, width=2)
    assert curves.accuracy[20] == pytest.approx(0.5, abs=0.01)
    found = curves.detect()
    assert found.t_guess is not None
    assert found.t_mem is not None
    assert 30 <= found.t_guess <= 40 < found.t_mem


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
    if found.t_guess is not None and found.t_mem is not None:
        assert found.t_guess <= found.t_mem


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
    draws = rng.exponential(10, (4000, n))
    found = [times(row).median for row in draws]
    covered = np.mean([e.low <= 10 * math.log(2) <= e.high for e in found])
    stated = found[0].confidence
    assert covered == pytest.approx(stated, abs=5 * math.sqrt(0.25 / 4000))
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
