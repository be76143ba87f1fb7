"""The goldfish examples run as they stand, here on a tiny model."""

import copy
import importlib.util
import math
from pathlib import Path

import pytest
import torch

from byrote.exposure.goldfish import GoldfishCollator

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, byte_tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=257,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=256,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer.backend_tokenizer, eos_token="<end>"
    )
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def dropped(monkeypatch):
    """Of each batch that was masked: labels that the mask dropped, and labels that there were."""
    found = []
    plain = GoldfishCollator.__call__

    def watched(self, features, *args, **options):
        before = self.inner(copy.deepcopy(features), *args, **options)["labels"]
        batch = plain(self, features, *args, **options)
        changed = batch["labels"] != before
        assert (batch["labels"][changed] == -100).all()
        found.append((int(changed.sum()), int((before != -100).sum())))
        return batch

    monkeypatch.setattr(GoldfishCollator, "__call__", watched)
    return found


def share(found):
    return sum(count for count, _ in found) / sum(of for _, of in found)


def run(name, *arguments):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(list(map(str, arguments)))


def test_trainer(tiny, capsys, dropped):
    found = run("goldfish_trainer", "--model", tiny, "--texts", 8, "--epochs", 1, "--tokens", 64)
    assert math.isfinite(found["eval_loss"])
    # The loader of a trainer is one batch ahead.
    assert "2 batches, 0 of them" in capsys.readouterr().out
    assert 0.15 < share(dropped) < 0.35


def test_trl(tiny, capsys, dropped):
    pytest.importorskip("trl")
    found = run("goldfish_trl", "--model", tiny, "--texts", 2, "--characters", 200)
    assert math.isfinite(found["eval_loss"])
    assert "0 of them without a label left" in capsys.readouterr().out
    assert 0.15 < share(dropped) < 0.35


def test_loop(tiny):
    found = run(
        "goldfish_loop",
        "--model",
        tiny,
        "--texts",
        2,
        "--tokens",
        48,
        "--epochs",
        120,
        "--lr",
        0.02,
    )
    assert found["standard"] > 0.9
    assert found["goldfish"] < 0.5
