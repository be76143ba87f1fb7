"""A tiny model that has learned ten texts by heart, as a local folder: the positive control."""

import json
import string

import numpy as np
import pytest
import torch

TEXTS = 10
LENGTH = 60


@pytest.fixture(scope="session")
def secrets():
    """Ten random texts of 60 bytes: nothing but training can teach them."""
    rng = np.random.default_rng(7)
    letters = np.array(list(string.ascii_letters + string.digits + " "))
    return ["".join(rng.choice(letters, LENGTH)) for _ in range(TEXTS)]


@pytest.fixture(scope="session")
def parrot(tmp_path_factory, secrets, byte_tokenizer):
    """Folder of a tiny Llama that was trained on the ten texts until it recites them."""
    from byrote.models import load

    folder = tmp_path_factory.mktemp("parrot")
    model = load("random:llama?hidden_size=128&intermediate_size=256&vocab_size=256").model
    ids = torch.tensor([byte_tokenizer.encode(text) for text in secrets])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    model.train()
    for _ in range(400):
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.08:
            break
    model.eval()
    model.save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def secrets_file(tmp_path, secrets):
    """The ten texts as JSONL."""
    path = tmp_path / "secrets.jsonl"
    lines = [json.dumps({"id": f"secret-{i}", "text": text}) for i, text in enumerate(secrets)]
    path.write_text("\n".join(lines) + "\n")
    return path
