"""What cannot work is said at once: which field, which value, and what to do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from byrote.errors import InputError
from byrote.studies.goldfish.checks import check
from byrote.studies.goldfish.config import Arm
from byrote.studies.goldfish.presets import PRESETS
from tests.studies.goldfish.tiny import MODEL, tiny, tuning

SCRATCH = [
    ({"seed": -1}, r"seed = -1; it must be 0 or more"),
    ({"seeds": 0}, r"seeds = 0; it must be at least 1"),
    ({"scratch__arms": ()}, r"scratch.arms are empty: there is nothing to do; name arms"),
    ({"scratch__arms": ("gold",)}, r"scratch.arms: there is no arm 'gold'; there are: control, st"),
    (
        {"scratch__arms": ("standard", "standard")},
        r"scratch.arms: an arm is named twice in standard, standard; name it once",
    ),
    ({"arms__hash-4__k": 1}, r"arms.hash-4: goldfish k must be at least 2, but it is 1"),
    ({"arms__hash-4__h": 0}, r"arms.hash-4: goldfish h must be at least 1, but it is 0"),
    ({"arms__static-4__normalize": True}, r"arms.static-4: goldfish normalize works with .* hash"),
    ({"arms__hash-4__options": {"x": 1}}, r"arms.hash-4.options = .*'x': 1.*: goldfish takes none"),
    ({"arms__standard__options": {"x": 1}}, r"arms.standard: .*x"),
    ({"arms__standard__objective": "nxt"}, r"arms.standard: .*'nxt'.*next-token"),
    ({"arms__more__input_factor": 0.0}, r"arms.more.input_factor = 0.0; it must be .* above 0"),
    (
        {"scratch__arms": ("more",), "arms__more__batch_factor": 0.05},
        r"arms.more.batch_factor = 0.05 leaves no sequence of the 4 of scratch.batch; take",
    ),
    (
        {"scratch__arms": ("more",), "arms__more__input_factor": 0.1},
        r"arms.more.input_factor = 0.1 shows no copy of any document: scratch.repeats is 4; take",
    ),
    ({"scratch__model": ""}, r"scratch.model: The model source is empty. Give a hub id"),
    ({"scratch__model": "random:lama"}, r"scratch.model: .*'lama'. Did you mean llama"),
    ({"scratch__model": "gpt2"}, r"scratch.vocab = 300 with the model gpt2: .* scratch.vocab=0"),
    ({"scratch__vocab": 0}, r"scratch.model = random:.* has no tokenizer .* set scratch.vocab"),
    ({"scratch__vocab": 256}, r"scratch.vocab = 256; it must be above 256, the bytes"),
    (
        {"scratch__model": MODEL + "&vocab_size=500"},
        r"vocab_size of its own, and scratch.vocab = 300 sets it; leave one out",
    ),
    ({"scratch__corpus": "nowhere.jsonl"}, r"scratch.corpus: nowhere.jsonl does not exist; give"),
    ({"scratch__corpus": "corpus:bible"}, r"scratch.corpus: .*bible.*kjv"),
    *(
        ({f"scratch__{name}": 0}, rf"scratch.{name} = 0; it must be at least 1")
        for name in ("documents", "repeats", "heldout", "validation", "validate_every", "batch")
    ),
    ({"scratch__background": -1}, r"scratch.background = -1; it must be at least 0"),
    *(
        ({f"scratch__{name}": 1}, rf"scratch.{name} = 1; it must be at least 2")
        for name in ("beams", "ngram", "edit_every")
    ),
    ({"scratch__lr": 0.0}, r"scratch.lr = 0.0; it must be a number above 0"),
    ({"scratch__clip": -1.0}, r"scratch.clip = -1.0; it must be a number above 0"),
    ({"scratch__warmup": -0.1}, r"scratch.warmup = -0.1; it must be at least 0"),
    ({"scratch__weight_decay": -0.1}, r"scratch.weight_decay = -0.1; it must be at least 0"),
    ({"scratch__prefix": 1}, r"scratch.prefix = 1, scratch.tokens = 32; the prefix has at least 2"),
    ({"scratch__prefix": 32}, r"scratch.prefix = 32, scratch.tokens = 32; .* shorter than"),
]

EXTREME = [
    ({"extreme__model": ""}, r"extreme.model: The model source is empty. Give a hub id"),
    ({"extreme__model": "random:llama"}, r"extreme.model = random:llama has no tokenizer"),
    ({"extreme__model": "./gone"}, r"extreme.model: There is no model at './gone'"),
    ({"extreme__corpus": ""}, r"extreme.corpus: No source of texts is named"),
    *(
        ({f"extreme__{name}": 0}, rf"extreme.{name} = 0; it must be at least 1")
        for name in ("passages", "epochs", "long_epochs", "every")
    ),
    ({"extreme__lr": -1.0}, r"extreme.lr = -1.0; it must be a number above 0"),
    ({"extreme__prefix": 24}, r"extreme.prefix = 24, extreme.tokens = 24; the prefix .* shorter"),
    ({"extreme__arms": ("control",)}, r"control has copies = 'none', .* leave it to scratch.arms"),
    ({"extreme__arms": ("edited-4",)}, r"edited-4 has copies = 'edited', .* leave it to scratch"),
    ({"extreme__arms": ("random-4",)}, r"random-4: a random mask is drawn once .* scratch.arms"),
    ({"extreme__long_arms": ("gold",)}, r"extreme.long_arms: there is no arm 'gold'; there are:"),
]


@pytest.mark.parametrize(("changes", "message"), SCRATCH)
def test_a_bad_field_of_training_is_named(corpus, changes, message):
    with pytest.raises(InputError, match=message):
        check(tiny(corpus, **changes))


@pytest.mark.parametrize(("changes", "message"), EXTREME)
def test_a_bad_field_of_fine_tuning_is_named(corpus, folder, changes, message):
    with pytest.raises(InputError, match=message):
        check(tuning(corpus, folder, **changes))


def test_what_trains_in_two_stages_is_not_fine_tuned(corpus, folder):
    config = tuning(corpus, folder)
    arms = {"two": Arm(objective="self-contrastive")}
    config = replace(config, arms=arms, extreme=replace(config.extreme, arms=("two",)))
    with pytest.raises(InputError, match="two: self-contrastive trains in two stages; leave it"):
        check(config)


@pytest.mark.parametrize("field", ["lr", "clip", "warmup"])
def test_what_is_no_number_is_refused(corpus, field):
    config = tiny(corpus)
    config = replace(config, scratch=replace(config.scratch, **{field: math.nan}))
    with pytest.raises(InputError, match=rf"scratch.{field} = nan; it must be"):
        check(config)


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 61, "a/b"])
def test_a_name_that_is_no_file_name_is_refused(corpus, name):
    config = replace(tiny(corpus), arms={name: Arm()})
    with pytest.raises(InputError, match="is no name; use letters, digits"):
        check(config)


def test_names_that_differ_in_case_alone_are_refused(corpus):
    config = tiny(corpus)
    config = replace(config, arms={**config.arms, "Standard": Arm()})
    with pytest.raises(InputError, match="standard and Standard differ in case alone; rename one"):
        check(config)


def test_what_can_work_is_let_through(corpus, folder):
    check(tiny(corpus))
    # Half of the copies, and half of the background.
    check(tiny(corpus, scratch__arms=("more",), arms__more__input_factor=0.5))
    check(tuning(corpus, folder))
    check(tuning(corpus, folder, extreme__arms=(), extreme__long_arms=("hash-4",)))
    for preset in PRESETS.values():
        check(preset)
