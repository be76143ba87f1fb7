"""Fine-tune with TRL's SFTTrainer, packed, and keep reformatted copies from leaking.

The mask goes by the words of the normalised text, so that a copy with other line breaks or capitals
loses the same words, and does not teach what the original leaves out. Documents are packed into
rows; the mask of each is the one that it has alone. Needs `pip install 'byrote[trl]'`. Runs offline
on the bundled SmolLM2-135M in a few minutes; `--model` takes any causal language model.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from itertools import islice

from datasets import Dataset
from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportPrivateImportUsage]

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

    records = islice(open_source("corpus:kjv").records(), options.texts + 2)
    texts = [str(record.text)[: options.characters] for record in records]
    copies = ["\n".join(textwrap.wrap(text, 60)).upper() for text in texts[2:]]
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=loaded.model,
            args=SFTConfig(
                output_dir=folder,
                num_train_epochs=options.epochs,
                per_device_train_batch_size=2,
                learning_rate=1e-4,
                max_length=512,
                packing=True,
                eval_packing=False,
                bf16=False,
                gradient_checkpointing=False,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"text": texts[2:] + copies}),
            eval_dataset=Dataset.from_dict({"text": texts[:2]}),
            processing_class=tokenizer,
        )
        collator = attach_goldfish(trainer, Goldfish(k=4, h=13, normalize=True))  # the one line
        trainer.train()
        found = trainer.evaluate()
    print(f"{collator.batches} batches, {collator.empty_batches} of them without a label left")
    print(f"evaluation, on every token: {found['eval_loss']:.2f} nats per token")
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled:smollm2-135m")
    parser.add_argument("--texts", type=int, default=4)
    parser.add_argument("--characters", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
