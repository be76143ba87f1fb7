import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from transformers import DataCollatorForLanguageModeling, DataCollatorWithFlattening

from byrote.errors import InputError
from byrote.exposure.goldfish import Goldfish, GoldfishCollator, keep_mask, mask_labels

IGNORED = -100
GOLDFISH = Goldfish(3, 4)


def documents(*lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 255, length).tolist() for length in lengths]


def expected(ids):
    return mask_labels(np.array(ids), np.array(ids), GOLDFISH)


def padded(features):
    """A collator as one writes it: pads on the right with 0."""
    width = max(len(each["input_ids"]) for each in features)
    ids = torch.zeros(len(features), width, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for row, each in enumerate(features):
        own = torch.tensor(each["input_ids"])
        ids[row, : len(own)] = own
        labels[row, : len(own)] = torch.tensor(each.get("labels", each["input_ids"]))
    return {"input_ids": ids, "labels": labels}


def giving(batch):
    return lambda features: dict(batch)


@pytest.mark.parametrize("side", ["left", "right"])
def test_transformers_collator(coarse, side):
    docs = documents(60, 40)
    inner = DataCollatorForLanguageModeling(coarse, mlm=False)
    coarse.padding_side = side
    batch = GoldfishCollator(inner, GOLDFISH)([{"input_ids": each} for each in docs])
    coarse.padding_side = "right"
    assert type(batch) is type(inner([{"input_ids": docs[0]}]))
    for row, ids in enumerate(docs):
        own = slice(-len(ids), None) if side == "left" else slice(0, len(ids))
        np.testing.assert_array_equal(batch["labels"][row, own], expected(ids))
    assert (batch["labels"] == IGNORED).sum() > 20 + 15


def test_flattened_batches_reset_at_each_document():
    docs = documents(60, 40, 25)
    collator = GoldfishCollator(DataCollatorWithFlattening(return_position_ids=True), GOLDFISH)
    labels = collator([{"input_ids": each} for each in docs])["labels"][0].numpy()
    whole = np.concatenate([expected(each) for each in docs])
    # The flattening collator itself leaves out the first token of each document.
    whole[[0, 60, 100]] = IGNORED
    np.testing.assert_array_equal(labels, whole)


@pytest.mark.parametrize(
    "told",
    [
        {"position_ids": torch.tensor([[*range(60), *range(40)]])},
        {"input_pos": torch.tensor([[*range(60), *range(40)]])},
        {"seq_idx": torch.tensor([[0] * 60 + [1] * 40])},
        {"attention_mask": torch.tensor([[1] * 60 + [2] * 40])},
        {"cu_seq_lens_q": torch.tensor([0, 60, 100])},
    ],
    ids=lambda told: next(iter(told)),
)
def test_whatever_tells_of_documents_is_understood(told):
    docs = documents(60, 40)
    ids = torch.tensor([docs[0] + docs[1]])
    batch = GoldfishCollator(giving({"input_ids": ids, "labels": ids, **told}), GOLDFISH)([])
    whole = np.concatenate([expected(each) for each in docs])
    np.testing.assert_array_equal(batch["labels"][0], whole)


def test_lengths_in_the_examples_are_understood():
    docs = documents(60, 40, 70, 10)
    rows = [docs[0] + docs[1], docs[2] + docs[3]]
    features = [
        {"input_ids": rows[0], "seq_lengths": [60, 40]},
        {"input_ids": rows[1], "seq_lengths": [70, 10]},
    ]
    labels = GoldfishCollator(padded, GOLDFISH, exempt_ids=[0])(features)["labels"].numpy()
    np.testing.assert_array_equal(labels[0], np.concatenate([expected(d) for d in docs[:2]]))
    np.testing.assert_array_equal(labels[1, :80], np.concatenate([expected(d) for d in docs[2:]]))


def test_separators_part_documents_where_nothing_else_does():
    docs = documents(60, 40)
    row = [*docs[0], 255, *docs[1]]
    labels = GoldfishCollator(padded, GOLDFISH, separators=[255])([{"input_ids": row}])["labels"]
    np.testing.assert_array_equal(labels[0, :60], expected(docs[0]))
    assert labels[0, 60] == 255
    np.testing.assert_array_equal(labels[0, 61:], expected(docs[1]))


def test_prompts_stay_out_and_are_context():
    (ids,) = documents(80)
    feature = {"input_ids": ids, "labels": [IGNORED] * 30 + ids[30:]}
    labels = GoldfishCollator(padded, GOLDFISH)([feature])["labels"][0].numpy()
    assert (labels[:30] == IGNORED).all()
    np.testing.assert_array_equal(labels[30:], expected(ids)[30:])


def test_names_of_torchtune():
    ids = torch.tensor(documents(50))
    batch = GoldfishCollator(giving({"tokens": ids, "labels": ids.clone()}), GOLDFISH)([])
    np.testing.assert_array_equal(batch["labels"][0], expected(ids[0].tolist()))


@pytest.mark.parametrize("name", ["labels", "shift_labels", "targets"])
def test_shifted_labels_are_seen(name):
    (ids,) = documents(51)
    row = torch.tensor([ids])
    batch = {"input_ids": row[:, :-1], name: row[:, 1:]}
    found = GoldfishCollator(giving(batch), GOLDFISH)([])[name]
    np.testing.assert_array_equal(found[0], expected(ids)[1:])


def test_numpy_batches_stay_numpy():
    ids = np.array(documents(50))
    batch = GoldfishCollator(giving({"input_ids": ids, "labels": ids}), GOLDFISH)([])
    assert isinstance(batch["labels"], np.ndarray)
    np.testing.assert_array_equal(batch["labels"][0], expected(ids[0]))


def test_special_tokens_of_the_tokenizer_are_kept(coarse):
    ids = np.full((1, 400), coarse.bos_token_id)
    batch = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(ids)}
    assert (GoldfishCollator(giving(batch), GOLDFISH, tokenizer=coarse)([])["labels"] == 0).all()
    nothing = GoldfishCollator(giving(batch), GOLDFISH, tokenizer=coarse, exempt_ids=[])
    assert 1 - keep_mask(ids, GOLDFISH).mean() == (nothing([])["labels"] == IGNORED).float().mean()


def test_normalized_masks_in_a_batch(coarse, text):
    goldfish = Goldfish(3, 3, normalize=True)
    ids = coarse(text, add_special_tokens=False)["input_ids"]
    collator = GoldfishCollator(padded, goldfish, tokenizer=coarse)
    labels = collator([{"input_ids": ids}])["labels"][0].numpy()
    np.testing.assert_array_equal(
        labels != IGNORED, keep_mask(np.array(ids), goldfish, tokenizer=coarse)
    )


def test_random_is_fresh_in_every_batch_worker_and_epoch():
    data = [{"input_ids": [7] * 400}] * 8
    collator = GoldfishCollator(padded, Goldfish(4, strategy="random"))
    loader = DataLoader(data, batch_size=1, collate_fn=collator, num_workers=2)  # pyright: ignore[reportArgumentType]
    masks = [tuple(b["labels"][0].tolist()) for _ in range(2) for b in loader]
    masks += [tuple(collator(data[:1])["labels"][0].tolist()) for _ in range(3)]
    assert len(set(masks)) == len(masks) == 19


def nothing_left(goldfish):
    """A row whose one label the mask drops."""
    rng = np.random.default_rng(0)
    while True:
        ids = rng.integers(1, 5000, 10)
        if not keep_mask(ids, goldfish)[-1]:
            return {"input_ids": ids.tolist(), "labels": [IGNORED] * 9 + [int(ids[-1])]}


def test_batch_with_nothing_left_keeps_one_label_and_is_counted():
    feature = nothing_left(GOLDFISH)
    collator = GoldfishCollator(padded, GOLDFISH)
    with pytest.warns(
        UserWarning, match=r"dropped every label of a batch \(1 labels\); one is kept"
    ):
        batch = collator([feature])
    assert batch["labels"][0, -1] == feature["input_ids"][-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collator([feature])
        collator([{"input_ids": documents(100)[0]}])
    assert (collator.batches, collator.empty_batches) == (3, 2)


def test_batch_with_nothing_left_may_stay_so():
    collator = GoldfishCollator(padded, GOLDFISH, empty="leave")
    with pytest.warns(UserWarning, match="dropped every label"):
        assert (collator([nothing_left(GOLDFISH)])["labels"] == IGNORED).all()


def test_batch_without_labels_to_begin_with_is_not_counted():
    collator = GoldfishCollator(padded, GOLDFISH)
    collator([{"input_ids": [1, 2, 3], "labels": [IGNORED] * 3}])
    assert collator.empty_batches == 0


def test_collator_can_go_to_workers(coarse):
    inner = DataCollatorForLanguageModeling(coarse, mlm=False)
    again = pickle.loads(pickle.dumps(GoldfishCollator(inner, GOLDFISH)))
    (ids,) = documents(60)
    np.testing.assert_array_equal(again([{"input_ids": ids}])["labels"][0], expected(ids))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"input_ids": torch.ones(1, 5)}, "gives no labels .*there are: input_ids"),
        ({"labels": torch.ones(1, 5)}, "gives no ids"),
        ({}, "there are: none"),
        (
            {"input_ids": torch.ones(1, 5).long(), "labels": torch.ones(1, 4).long()},
            r"ids of shape \[1, 5\] and labels of shape \[1, 4\]",
        ),
        (
            {"input_ids": torch.tensor([[1, 2, 3]]), "labels": torch.tensor([[7, 8, 9]])},
            "neither the ids nor the ids shifted by one",
        ),
        (
            {"input_ids": [[1, 2, 3]], "labels": [[1, 2, 3]]},
            r"input_ids of the collator .* are a list; .*needs a tensor or an array of",
        ),
        (
            {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([1, 2, 3])},
            r"input_ids of the collator .* are of shape \[3\]",
        ),
        (
            {"input_ids": torch.tensor([[1, 2, 3]]), "labels": [[1, 2, 3]]},
            "labels of the collator .* are a list",
        ),
        (
            {"input_ids": torch.tensor([[1, 2]]), "labels": torch.tensor([[1.0, 2.0]])},
            "labels are torch.float32, but they must be signed integers",
        ),
    ],
)
def test_bad_batches_are_refused(batch, message):
    with pytest.raises(InputError, match=message):
        GoldfishCollator(giving(batch), GOLDFISH)([])


def test_official_sees_the_ids_of_padding_as_the_reference_does():
    (ids,) = documents(60)
    row = torch.tensor([[7, 7, 7, *ids]])
    attended = torch.tensor([[0, 0, 0] + [1] * 60])
    labels = torch.where(attended == 1, row, IGNORED)
    batch = {"input_ids": row, "labels": labels, "attention_mask": attended}
    official = Goldfish(3, 4, strategy="official")
    found = GoldfishCollator(giving(batch), official)([])["labels"]
    assert torch.equal(found, mask_labels(labels, row, official))
    # Under another id of padding it is another mask, which is one of its defects.
    other = {**batch, "input_ids": torch.where(attended == 1, row, 0)}
    assert not torch.equal(found, GoldfishCollator(giving(other), official)([])["labels"])


def test_bad_collators_are_refused():
    with pytest.raises(InputError, match="gave a list, not a mapping"):
        GoldfishCollator(lambda features: features, GOLDFISH)([])
    with pytest.raises(InputError, match="`empty` is 'no'"):
        GoldfishCollator(padded, GOLDFISH, empty="no")
    with pytest.raises(InputError, match="the collator has no tokenizer"):
        GoldfishCollator(padded, Goldfish(normalize=True))
    with pytest.raises(InputError, match="k must be at least 2"):
        GoldfishCollator(padded, Goldfish(k=1))
