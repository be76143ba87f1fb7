from __future__ import annotations

import numpy as np
import pytest

from byrote.errors import InputError
from byrote.exposure import IGNORED, Sequences


def test_a_bos_is_put_in_front_and_is_no_target():
    sequences = Sequences.from_ids([[5, 6, 7]], bos_id=1)
    assert sequences.input_ids.tolist() == [[1, 5, 6, 7]]
    assert sequences.labels.tolist() == [[IGNORED, 5, 6, 7]]
    assert (sequences.targets(), sequences.first) == (3, 0)


def test_without_a_bos_the_first_token_is_no_target():
    sequences = Sequences.from_ids([[5, 6, 7]])
    assert sequences.labels.tolist() == [[IGNORED, 6, 7]]
    assert (sequences.targets(), sequences.first) == (2, 1)


def test_shorter_sequences_are_padded_and_the_padding_is_not_asked():
    sequences = Sequences.from_ids([[5, 6, 7], [8, 9]], bos_id=1)
    assert sequences.labels[1].tolist() == [IGNORED, 8, 9, IGNORED]
    assert sequences.lengths.tolist() == [4, 3]


def test_only_what_is_asked_is_a_target():
    sequences = Sequences.from_ids([[5, 6, 7]], bos_id=1, asked=[[False, True, False]])
    assert sequences.labels.tolist() == [[IGNORED, IGNORED, 6, IGNORED]]


def test_a_batch_is_shifted_and_as_wide_as_its_longest():
    sequences = Sequences.from_ids([[5, 6, 7, 8], [9, 2]], bos_id=1)
    batch = sequences.batch(np.array([1]))
    assert batch.input_ids.tolist() == [[1, 9]]
    assert batch.labels.tolist() == [[9, 2]]
    assert batch.indices.tolist() == [1]


def test_the_digest_tells_apart_what_is_shown_and_what_is_asked():
    digests = {
        Sequences.from_ids([[5, 6, 7]], bos_id=1).digest(),
        Sequences.from_ids([[5, 6, 7]]).digest(),
        Sequences.from_ids([[5, 6, 8]], bos_id=1).digest(),
        Sequences.from_ids([[5, 6, 7]], bos_id=1, asked=[[True, True, False]]).digest(),
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("ids", "bos", "match"),
    [([], None, "no sequences"), ([[5]], None, "Sequence 0.*without BOS"), ([[]], 1, "no token")],
)
def test_nothing_to_learn_is_refused(ids, bos, match):
    with pytest.raises(InputError, match=match):
        Sequences.from_ids(ids, bos_id=bos)


def test_values_for_other_tokens_are_refused():
    with pytest.raises(InputError, match="asked"):
        Sequences.from_ids([[5, 6]], asked=[[True]])


@pytest.mark.parametrize(
    ("vocab", "context", "match"), [(7, None, "id 7.*0 to 6"), (8, 3, "4 tokens.*BOS.*context 3")]
)
def test_a_model_that_cannot_take_them_is_refused(vocab, context, match):
    with pytest.raises(InputError, match=match):
        Sequences.from_ids([[5, 6, 7]], bos_id=1).check(vocab, context)


def test_a_negative_id_is_refused():
    with pytest.raises(InputError, match="id -3"):
        Sequences.from_ids([[5, -3]]).check(8, None)
