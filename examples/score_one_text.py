"""Score one text: how likely the model finds each token of the second half, given the first.

One forward pass says of every token how probable it was and whether greedy decoding would have
written it. Runs offline on the bundled SmolLM2-135M.
"""

from __future__ import annotations

import math

from byrote import load
from byrote.recall import Scorer, extractable, longest_run, nll, token_accuracy
from byrote.texts import Record, cut

TEXT = (
    "We hold these truths to be self-evident, that all men are created equal, that they are "
    "endowed by their Creator with certain unalienable Rights, that among these are Life, "
    "Liberty and the pursuit of Happiness."
)


def main() -> None:
    loaded = load("bundled:smollm2-135m")
    record = Record(id="declaration", source="this script", text=TEXT)
    passages = list(cut([record], loaded.tokenizer, prefix_len=15, suffix_len=25))
    scores = Scorer(loaded).score(passages)

    for passage, score in zip(passages, scores, strict=True):
        assert loaded.tokenizer is not None
        print("prefix:", loaded.tokenizer.decode(passage.prefix_ids.tolist()))
        print()
        for token, logprob, hit in zip(passage.suffix_ids, score.logprob, score.hit, strict=True):
            text = loaded.tokenizer.decode([int(token)])
            print(f"  {'*' if hit else ' '} {math.exp(logprob):7.3f}  {text!r}")
        print()
        print("recited in full:  ", extractable(score))
        print("tokens right:     ", f"{token_accuracy(score):.0%}")
        print("longest stretch:  ", longest_run(score.hit), "tokens")
        print("mean loss:        ", f"{nll(score):.2f} nats per token")


if __name__ == "__main__":
    main()
