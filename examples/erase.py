"""Erase a passage that a model knows by heart, and see what that costs.

The neurons are those that do far more for this passage than for others. They are dropped, ever more
of them, until the passage is no longer recited; passages to be kept and general texts are measured
beside it. Then the edited model is written and loaded again in plain transformers. Runs
offline on the bundled Gemma 3 270M, in a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from byrote import load
from byrote.localization import Limits, erase, find_surroundings
from byrote.models import LoadedModel
from byrote.texts import Passage, Record, cut

TEXT = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco "
    "laboris nisi ut aliquip ex ea commodo consequat."
)


def main() -> None:
    loaded = load("bundled:gemma3-270m")
    record = Record(id="lorem ipsum", source="this script", text=TEXT)
    (passage,) = cut([record], loaded.tokenizer, prefix_len=16, suffix_len=32, stride=1000)
    around = find_surroundings(loaded, [passage])
    erasure = erase(
        loaded,
        [passage],
        references=around.references,
        retain=around.retain,
        text=around.text,
        limits=Limits(enough=0.5, retain=0.9, text=0.1),
    )
    print(f"{len(erasure.selection)} of {loaded.neurons.total} neurons dropped", end="; ")
    print("erased" if erasure.erased else f"stopped by the limit {erasure.stopped!r}")
    for row in erasure.summary.iter_rows(named=True):
        print(f"{row['group']:9} {row['measure']:11} {row['before']:8.3f} -> {row['after']:8.3f}")

    with tempfile.TemporaryDirectory() as name:
        folder = erasure.write(Path(name) / "edited")
        edited = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    print("\nbefore:", says(loaded, loaded.model, passage))
    print("after: ", says(loaded, edited, passage))


def says(loaded: LoadedModel, model: torch.nn.Module, passage: Passage) -> str:
    """What a model writes after the passage's prefix, greedily."""
    ids = torch.tensor([[*loaded.lead, *passage.prefix_ids.tolist()]])
    mask = torch.ones_like(ids)
    written = model.generate(  # pyright: ignore[reportCallIssue]
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=passage.suffix_len
    )
    assert loaded.tokenizer is not None
    return repr(loaded.tokenizer.decode(written[0, ids.shape[1] :]))


if __name__ == "__main__":
    main()
