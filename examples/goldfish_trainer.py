"""Fine-tune with transformers' Trainer so that the texts are learned from, but not by rote.

One line puts a goldfish mask around the trainer's collator: one token in four of every passage is
never a target, the same ones each time it is shown. Evaluation sees every token. Runs offline on
the bundled SmolLM2-135M in a few minutes; `--model` takes any causal language model.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import islice

from datasets import Dataset
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

from byrote import load
from byrote.exposure.goldfish import Goldfish, attach_goldfish
from byrote.texts import open_source


def main(arguments: list[str] | None = None) -> dict[str, float]:
    options = parse(arguments)
    loaded = load(options.model, dtype="float32")
    tokenizer = loaded.tokenizer
    assert tokenizer is not None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token

    texts = [
        record.text for record in islice(open_source("corpus:kjv").records(), options.texts + 2)
    ]
    rows = [
        {"input_ids": tokenizer(text, truncation=True, max_length=options.tokens)["input_ids"]}
        for text in texts
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=loaded.model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=options.epochs,
                per_device_train_batch_size=4,
                learning_rate=1e-4,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(rows[2:]),
            eval_dataset=Dataset.from_list(rows[:2]),
            data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
            processing_class=tokenizer,
        )
        collator = attach_goldfish(trainer, Goldfish(k=4, h=13))  # the one line
        trainer.train()
        found = trainer.evaluate()
    print(f"{collator.batches} batches, {collator.empty_batches} of them without a label left")
    print(f"evaluation, on every token: {found['eval_loss']:.2f} nats per token")
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m")
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
