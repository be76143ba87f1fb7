from __future__ import annotations

import io
import zipfile

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from byrote.errors import InputError
from byrote.models import hash_weights, load
from byrote.models.loading import _device


@pytest.fixture
def folder(tmp_path, random_model, byte_tokenizer):
    """A saved model with its tokenizer."""
    path = tmp_path / "model"
    random_model("gpt_neox").model.save_pretrained(path)
    byte_tokenizer.save_pretrained(path)
    return path


def pickled(folder, model):
    """Replace a folder's safetensors with a pickle."""
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def test_a_saved_folder_gives_the_same_logits(folder, random_model):
    loaded, ids = load(folder), torch.arange(6)[None]
    assert loaded.dtype == torch.float32
    assert not loaded.model.training
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, random_model("gpt_neox").model(ids).logits)
    assert loaded.tokenizer is not None
    assert loaded.tokenizer("ab").input_ids == [97, 98]


def test_bfloat16_is_read_as_float32_on_the_cpu(tmp_path, folder, random_model):
    import copy

    copy.deepcopy(random_model("gpt_neox").model).to(torch.bfloat16).save_pretrained(folder)
    assert load(folder, device="cpu").dtype == torch.float32
    assert load(folder, dtype="bfloat16").dtype == torch.bfloat16


def test_the_weights_hash_does_not_depend_on_the_container(folder, random_model):
    model = random_model("gpt_neox").model
    safe = load(folder).weights_hash
    pickled(folder, model)
    assert load(folder).weights_hash == safe == hash_weights(model)


def test_the_weights_hash_sees_one_changed_number(folder):
    loaded = load(folder)
    before = hash_weights(loaded.model)
    with torch.no_grad():
        parameter = next(loaded.model.parameters())
        parameter[3, 5] = torch.nextafter(parameter[3, 5], torch.tensor(9.0))
    assert hash_weights(loaded.model) != before


def test_the_weights_hash_sees_the_dtype(random_model):
    import copy

    model = copy.deepcopy(random_model("llama").model)
    before = hash_weights(model)
    assert hash_weights(model.to(torch.bfloat16)) != before


class Harmful:
    def __reduce__(self):
        return (open, ("harmed.txt", "w"))


def test_a_pickle_that_runs_code_is_refused_and_not_run(
    folder, random_model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").unlink()
    state = random_model("gpt_neox").model.state_dict()
    torch.save({**state, "extra": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="could run code"):
        load(folder)
    assert not (tmp_path / "harmed.txt").exists()


def test_a_plain_old_pickle_is_refused_too(folder, tmp_path, monkeypatch):
    import pickle

    monkeypatch.chdir(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InputError):
        load(folder)
    assert not (tmp_path / "harmed.txt").exists()


def test_damaged_safetensors_are_an_input_error(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="could not be loaded"):
        load(folder)


def test_missing_weights_are_not_filled_with_random_ones(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    del state["gpt_neox.layers.1.mlp.dense_4h_to_h.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="dense_4h_to_h"):
        load(folder)


def test_a_folder_without_tokenizer_is_refused(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"tokenizer\.save_pretrained"):
        load(folder)


def test_a_model_that_does_not_continue_text_is_refused(tmp_path, byte_tokenizer):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=256, d_model=16, d_ff=16, num_layers=1, num_heads=1, d_kv=16)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not a causal language model"):
        load(tmp_path)


def test_code_of_the_model_does_not_run_unasked(folder):
    import json

    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(InputError, match="trust_remote_code=True"):
        load(folder)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"device": "toaster"}, "toaster"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"dtype": "int8"}, "int8"),
        ({"dtype": "float99"}, "float99"),
    ],
)
def test_a_device_or_dtype_that_cannot_be_used_is_named(options, match):
    with pytest.raises(InputError, match=match):
        load("random:gpt2", **options)


@pytest.mark.parametrize(
    ("rank", "gpus", "device"),
    [(None, 4, "cuda"), ("2", 4, "cuda:2"), ("0", 2, "cuda:0"), ("3", 1, "cuda")],
)
def test_each_process_of_a_launcher_takes_its_own_gpu(monkeypatch, rank, gpus, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert _device("auto") == torch.device(device)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match=r"Process 2 .* there are 2"):
        _device("auto")


def test_an_unreachable_hub_is_one_message(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no local file or folder.*bundled:"):
        load("no-such-org/no-such-model")


def with_template(tokenizer, single, *special):
    import copy

    backend = copy.deepcopy(tokenizer.backend_tokenizer)
    backend.add_special_tokens([name for name, _ in special])
    ids = [(name, backend.token_to_id(name)) for name, _ in special]
    if single:
        backend.post_processor = TemplateProcessing(single=single, special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")


@pytest.mark.parametrize(
    ("single", "expected"), [("<s> $A", 256), ("<s> $A </s>", 256), ("$A </s>", None), ("", None)]
)
def test_bos_is_what_the_tokenizer_prepends(folder, byte_tokenizer, single, expected):
    tokenizer = with_template(byte_tokenizer, single, ("<s>", 0), ("</s>", 0))
    tokenizer.save_pretrained(folder)
    assert load(folder).bos_id == expected


def test_the_licence_comes_from_the_model_card(folder):
    assert load(folder).licence is None
    (folder / "README.md").write_text("---\ntags: [x]\nlicense: mit\n---\n# A model\n")
    assert load(folder).licence == "mit"


def test_the_context_is_read_under_any_of_its_names(random_model):
    assert random_model("gpt2", n_positions=77).max_len == 77
    assert random_model("opt", max_position_embeddings=78).max_len == 78


def test_zip_pickles_are_what_torch_saves(folder, random_model):
    """The pickle tests above would be empty if torch.save no longer wrote pickles."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    assert any(name.endswith("data.pkl") for name in zipfile.ZipFile(buffer).namelist())


@pytest.mark.parametrize(
    ("raised", "match"),
    [
        ("You are trying to access a gated repo. 403 Client Error.", "hf auth login"),
        ("x is not a valid model identifier listed on the hub", "no such model"),
        ("Something else.", "transformers says: Something else"),
    ],
)
def test_what_the_hub_says_becomes_a_way_out(monkeypatch, raised, match):
    from byrote.models import loading

    def fail(*_args, **_kwargs):
        raise OSError(raised)

    monkeypatch.setattr(loading, "hub_reachable", lambda: True)
    monkeypatch.setattr(loading, "load_tokenizer", fail)
    with pytest.raises(InputError, match=match):
        load("org/name")


def test_a_cached_hub_model_loads_without_network(tmp_path, folder, monkeypatch):
    """The hub's cache, laid out by hand: refs/main names a snapshot folder."""
    import shutil

    from huggingface_hub import constants

    from byrote.models import loading

    repo = tmp_path / "hub" / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repo / "snapshots" / ("0" * 40))
    monkeypatch.setattr(loading, "hub_reachable", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    loaded = load("org/name")
    assert (loaded.source, loaded.family) == ("org/name", "gpt_neox")
