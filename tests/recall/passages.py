"""Random passages for tests of scoring."""

import numpy as np

from byrote.texts.passages import Passage


def random_passages(count, vocab, *, seed=0, prefix=(1, 12), suffix=(1, 10)):
    rng = np.random.default_rng(seed)
    passages = []
    for index in range(count):
        prefix_len = int(rng.integers(*prefix, endpoint=True))
        length = prefix_len + int(rng.integers(*suffix, endpoint=True))
        ids = rng.integers(0, vocab, length).astype(np.int32)
        passages.append(Passage(f"p{index}", "test", f"r{index}", 0, ids, prefix_len))
    return passages


def follow(loaded, passages, lead=()):
    """Passages whose suffix is what the model greedily says, some with one wrong token."""
    import torch

    made = []
    for index, passage in enumerate(passages):
        ids = [*lead, *passage.prefix_ids.tolist()]
        with torch.inference_mode():
            for _ in range(passage.suffix_len):
                ids.append(int(loaded.model(torch.tensor([ids])).logits[0, -1].argmax()))
        suffix = ids[len(lead) + passage.prefix_len :]
        if index % 3 == 1:
            suffix[index % len(suffix)] = (suffix[index % len(suffix)] + 1) % loaded.vocab_size
        whole = np.array([*passage.prefix_ids, *suffix], dtype=np.int32)
        made.append(Passage(passage.id, "test", passage.record, 0, whole, passage.prefix_len))
    return made
