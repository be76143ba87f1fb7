import math
import warnings

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

from byrote.errors import InputError
from byrote.exposure.goldfish import (
    Goldfish,
    GoldfishCollator,
    attach_goldfish,
    goldfish_map,
    keep_mask,
    kept_token_loss,
)
from tests.exposure.goldfish.test_collator import documents, expected, nothing_left, padded

IGNORED = -100
GOLDFISH = Goldfish(3, 4)


def model(vocab=512):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def options(folder, **more):
    return {
        "output_dir": str(folder),
        "report_to": "none",
        "use_cpu": True,
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "disable_tqdm": True,
        "learning_rate": 0.0,
        **more,
    }


def trainer(folder, data, collator, **more):
    return Trainer(
        model=model(5000),
        args=TrainingArguments(**options(folder, **more)),
        train_dataset=Dataset.from_list(data),
        eval_dataset=Dataset.from_list(data),
        data_collator=collator,
    )


def plain_loss(net, features, goldfish):
    """The mean over kept tokens, token by token."""
    net.eval()
    total, count = 0.0, 0
    for each in features:
        ids = torch.tensor(each["input_ids"])
        labels = torch.tensor(each.get("labels", each["input_ids"]))
        with torch.no_grad():
            log_p = net(input_ids=ids[None]).logits[0].log_softmax(-1)
        keep = keep_mask(ids.numpy(), goldfish) if goldfish else np.ones(len(ids), bool)
        for t in range(1, len(ids)):
            if keep[t] and labels[t] != IGNORED:
                total -= float(log_p[t - 1, ids[t]])
                count += 1
    return total / count


def test_trainer_learns_kept_tokens_and_evaluates_all(tmp_path):
    data = [{"input_ids": ids} for ids in documents(60, 40)]
    ready = trainer(tmp_path, data, padded)
    collator = attach_goldfish(ready, GOLDFISH)
    ready.train()
    losses = [log["loss"] for log in ready.state.log_history if "loss" in log]
    assert losses[0] == pytest.approx(plain_loss(ready.model, data, GOLDFISH), rel=1e-4)
    assert ready.evaluate()["eval_loss"] == pytest.approx(
        plain_loss(ready.model, data, None), rel=1e-2
    )
    assert (ready.predict(ready.eval_dataset).label_ids != IGNORED).sum() == 100
    assert ready.data_collator is collator
    assert collator.batches == 1


def test_collator_alone_is_enough_for_training(tmp_path):
    data = [{"input_ids": ids} for ids in documents(60, 40)]
    ready = trainer(tmp_path, data, GoldfishCollator(padded, GOLDFISH))
    ready.train()
    losses = [log["loss"] for log in ready.state.log_history if "loss" in log]
    assert losses[0] == pytest.approx(plain_loss(ready.model, data, GOLDFISH), rel=1e-4)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_step_with_nothing_left_has_loss_0_and_changes_nothing(tmp_path, accumulation):
    # No more than a step takes: loaders read ahead.
    data = [nothing_left(GOLDFISH)] * (2 * accumulation)
    ready = trainer(
        tmp_path,
        data,
        padded,
        learning_rate=0.1,
        weight_decay=0.0,
        gradient_accumulation_steps=accumulation,
    )
    before = {name: value.clone() for name, value in ready.model.state_dict().items()}
    collator = attach_goldfish(ready, GOLDFISH)
    with pytest.warns(UserWarning, match="dropped every label"):
        ready.train()
    assert next(log["loss"] for log in ready.state.log_history if "loss" in log) == 0
    assert collator.empty_batches == accumulation
    assert all(torch.equal(before[n], value) for n, value in ready.model.state_dict().items())


def test_step_with_nothing_left_is_a_number_with_the_collator_alone(tmp_path):
    ready = trainer(tmp_path, [nothing_left(GOLDFISH)] * 2, GoldfishCollator(padded, GOLDFISH))
    with pytest.warns(UserWarning, match="one is kept"):
        ready.train()
    losses = [log["loss"] for log in ready.state.log_history if "loss" in log]
    assert math.isfinite(losses[0])
    assert losses[0] > 0


def test_second_mask_is_refused(tmp_path):
    ready = trainer(tmp_path, [{"input_ids": [1, 2]}], padded)
    attach_goldfish(ready, GOLDFISH)
    with pytest.raises(InputError, match="has a goldfish mask already"):
        attach_goldfish(ready, GOLDFISH)
    with pytest.raises(InputError, match="has no data_collator"):
        attach_goldfish(object(), GOLDFISH)


def sft(folder, tokenizer, rows, **more):
    trl = pytest.importorskip("trl")
    with warnings.catch_warnings():
        # Packing wants an attention that a CPU does not have; what is packed is the same.
        warnings.simplefilter("ignore")
        return trl.SFTTrainer(
            model=model(len(tokenizer)),
            args=trl.SFTConfig(**options(folder, bf16=False, gradient_checkpointing=False, **more)),
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )


@pytest.fixture
def sft_tokenizer(coarse):
    import copy

    tokenizer = copy.deepcopy(coarse)
    tokenizer.eos_token = tokenizer.pad_token = "<s>"
    return tokenizer


@pytest.mark.parametrize("packing", [None, "bfd"])
def test_trl_gives_a_document_one_mask_packed_and_unpacked(tmp_path, sft_tokenizer, text, packing):
    rows = [{"text": text[start : start + 400]} for start in range(0, 1600, 400)]
    more = {"packing": True, "packing_strategy": packing} if packing else {}
    ready = sft(tmp_path, sft_tokenizer, rows, max_length=200, **more)
    collator = attach_goldfish(ready, GOLDFISH)
    examples = list(ready.train_dataset)
    batch, before = collator(examples), collator.inner(examples)
    if packing:
        assert len(batch["input_ids"]) == 1
        assert "position_ids" in batch
    shown = " ".join(map(str, batch["input_ids"].reshape(-1).tolist()))
    labels, asked = batch["labels"].reshape(-1), before["labels"].reshape(-1) != IGNORED
    documents = [
        row["input_ids"][end - length : end]
        for row in examples
        for lengths in [row.get("seq_lengths") or [len(row["input_ids"])]]
        for end, length in zip(np.cumsum(lengths), lengths, strict=True)
    ]
    assert len(documents) >= 4
    for ids in documents:
        kept = keep_mask(np.array(ids), GOLDFISH, exempt_ids=[sft_tokenizer.eos_token_id])
        before_it = shown[: shown.index(" ".join(map(str, ids)))]
        here = slice(before_it.count(" "), before_it.count(" ") + len(ids))
        np.testing.assert_array_equal(labels[here] != IGNORED, torch.from_numpy(kept) & asked[here])
    ready.train()
    assert math.isfinite(next(log["loss"] for log in ready.state.log_history if "loss" in log))
    assert ready.evaluate()["eval_loss"] > 0


def test_trl_rows_cut_from_a_stream_take_separators(tmp_path, sft_tokenizer, text):
    rows = [{"text": text[start : start + 400]} for start in range(0, 1600, 400)]
    ready = sft(
        tmp_path, sft_tokenizer, rows, max_length=200, packing=True, packing_strategy="wrapped"
    )
    eos = sft_tokenizer.eos_token_id
    collator = attach_goldfish(ready, GOLDFISH, separators=[eos])
    batch = collator(list(ready.train_dataset))
    assert (batch["input_ids"] == eos).any()
    kept = keep_mask(batch["input_ids"], GOLDFISH, separators=[eos])
    kept &= batch["attention_mask"] == 1
    assert torch.equal(batch["labels"] != IGNORED, kept)


def test_trl_completions_only(tmp_path, sft_tokenizer, text):
    rows = [{"prompt": text[:100], "completion": text[100:500]}] * 2
    ready = sft(tmp_path, sft_tokenizer, rows, max_length=256)
    collator = attach_goldfish(ready, GOLDFISH)
    example = ready.train_dataset[0]
    ids = np.array(example["input_ids"])
    asked = np.array(example["labels"]) != IGNORED
    assert 10 < asked.sum() < len(asked) - 10
    labels = collator([example])["labels"][0].numpy()
    kept = keep_mask(ids, GOLDFISH, exempt_ids=[sft_tokenizer.eos_token_id])
    np.testing.assert_array_equal(labels != IGNORED, kept & asked)


def test_trl_with_nothing_left_has_loss_0(tmp_path, sft_tokenizer):
    rows = [nothing_left_in(256)] * 2
    ready = sft(tmp_path, sft_tokenizer, rows, dataset_kwargs={"skip_prepare_dataset": True})
    attach_goldfish(ready, GOLDFISH)
    with pytest.warns(UserWarning, match="dropped every label"):
        ready.train()
    assert next(log["loss"] for log in ready.state.log_history if "loss" in log) == 0


def nothing_left_in(vocab):
    for seed in range(100):
        ids = np.random.default_rng(seed).integers(1, vocab, 10)
        if not keep_mask(ids, GOLDFISH)[-1]:
            return {"input_ids": ids.tolist(), "labels": [IGNORED] * 9 + [int(ids[-1])]}
    raise AssertionError


def test_map_adds_the_same_labels(coarse):
    docs = documents(60, 40, 25)
    data = Dataset.from_list([{"input_ids": ids} for ids in docs])
    labels = data.map(goldfish_map(GOLDFISH), batched=True)["labels"]
    for ids, found in zip(docs, labels, strict=True):
        np.testing.assert_array_equal(found, expected(ids))
    special = goldfish_map(GOLDFISH, tokenizer=coarse)({"input_ids": [[coarse.bos_token_id] * 90]})
    assert set(special["labels"][0]) == {coarse.bos_token_id}


def test_map_reads_labels_padding_and_documents():
    docs = documents(60, 40)
    row = [*docs[0], *docs[1], 9, 9]
    batch = {
        "input_ids": [row],
        "labels": [[IGNORED] * 20 + row[20:]],
        "attention_mask": [[1] * 100 + [0] * 2],
        "seq_lengths": [[60, 40]],
    }
    (found,) = goldfish_map(GOLDFISH)(batch)["labels"]
    assert found[:20] == [IGNORED] * 20
    np.testing.assert_array_equal(found[20:60], expected(docs[0])[20:])
    np.testing.assert_array_equal(found[60:100], expected(docs[1]))
    assert found[100:] == [IGNORED] * 2


def test_map_reads_numbered_attention_masks():
    docs = documents(60, 40)
    batch = {"input_ids": [docs[0] + docs[1] + [9]], "attention_mask": [[1] * 60 + [2] * 40 + [0]]}
    (found,) = goldfish_map(GOLDFISH)(batch)["labels"]
    np.testing.assert_array_equal(found[:60], expected(docs[0]))
    np.testing.assert_array_equal(found[60:100], expected(docs[1]))
    assert found[100:] == [IGNORED]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: goldfish_map(Goldfish(strategy="random")), "draws anew in every step"),
        (lambda: goldfish_map(Goldfish(normalize=True)), "give goldfish_map"),
        (lambda: goldfish_map(Goldfish(k=1)), "k must be at least 2"),
        (lambda: goldfish_map(GOLDFISH)({"text": ["a"]}), "no column input_ids"),
        (lambda: goldfish_map(GOLDFISH)({"input_ids": [1, 2, 3]}), "batched=True"),
        (
            lambda: goldfish_map(GOLDFISH)({"input_ids": [[1] * 10], "seq_lengths": [[5, 50]]}),
            "row 0 have 55 tokens together, but the row has 10",
        ),
    ],
)
def test_bad_maps_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_loss_is_the_mean_over_kept_tokens_and_0_without_any():
    net = model()
    ids = torch.tensor(documents(30, 30))
    labels = torch.where(torch.rand(ids.shape) < 0.5, ids, IGNORED)
    outputs = net(input_ids=ids)
    reference = net(input_ids=ids, labels=labels).loss
    torch.testing.assert_close(kept_token_loss(outputs, labels), reference)
    half = kept_token_loss(outputs, labels, 2 * (labels[:, 1:] != IGNORED).sum())
    torch.testing.assert_close(half, reference / 2)
    nothing = kept_token_loss(outputs.logits, torch.full_like(ids, IGNORED))
    nothing.backward()
    assert nothing == 0
    assert all((p.grad == 0).all() for p in net.parameters() if p.grad is not None)
    assert kept_token_loss(outputs.logits, torch.full_like(ids, IGNORED), 0) == 0
