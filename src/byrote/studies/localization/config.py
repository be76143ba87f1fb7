"""What the localization study can be asked: methods, and two benchmarks to try them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "DeletionConfig",
    "Group",
    "InjectionConfig",
    "LocalizationConfig",
    "Method",
    "Option",
    "Setting",
]

Option = bool | int | float | str
"""A value of an option of a localizer."""


@dataclass(frozen=True)
class Method:
    """One way to score neurons; the name that the config gives it stands in every table.

    Attributes:
        localizer: One of `byrote.localization.LOCALIZERS`; or `balanced-subnet`, which removes
            weights for several passages at once and has no scores of neurons.
        options: Its own options by name.
        grid: Options to be tuned: each with the values to try, all combinations of them.
        contrast: `difference`, `ratio` or `z` compares its scores with those of references.
        retain: Of a pruning method: weight of the references' loss; 0 leaves them out.
        references: `held-out`: passages of the dev split and windows of general text, none of
            which is a negative; `negatives`: the other passages that are measured.
        spare_lead: The BOS's position is left alone, in scoring where the localizer can, and in
            deleting.
    """

    localizer: str = "activations"
    options: Mapping[str, Option] = field(default_factory=dict)
    grid: Mapping[str, tuple[Option, ...]] = field(default_factory=dict)
    contrast: Literal["none", "difference", "ratio", "z"] = "none"
    retain: float = 0.0
    references: Literal["held-out", "negatives"] = "held-out"
    spare_lead: bool = False


@dataclass(frozen=True)
class Group:
    """Methods that one cell runs, one after the other.

    Attributes:
        methods: Names from the config's `methods`.
        most: Test passages at most, the first ones; 0 takes all. For methods that are dear.
    """

    methods: tuple[str, ...] = ()
    most: int = 0


@dataclass(frozen=True)
class InjectionConfig:
    """INJ: sentences are written into a few known neurons, which the methods then look for.

    Attributes:
        models: What is injected into, as for every command.
        sentences: `definitions`, which byrote makes up, or an ECBD file (JSON lines with the key
            `definition`).
        dev: The first so many sentences: the methods are tuned on them, and they are references.
        examples: So many further sentences are measured.
        fractions: Shares of all neurons, layer 0 included, that a sentence is written into.
        rates: Adam's learning rate for each of them.
        steps: Updates at most.
        stop: Nats per token below which a sentence counts as written.
        dropout: Train in training mode as in the paper; only GPT-2 has any.
        multiples: k of Recall@k, as multiples of the fraction.
        groups: What is run in one cell, by name; none leaves INJ out.
        tuned: Options that were tuned elsewhere: by `METHOD`, `METHOD@MODEL` or
            `METHOD@MODEL@FRACTION`; the more special one goes over the other and over the
            method's own, and what has one is not tuned here.
    """

    models: tuple[str, ...] = ()
    sentences: str = "definitions"
    dev: int = 5
    examples: int = 8
    fractions: tuple[float, ...] = (0.01, 0.001)
    rates: tuple[float, ...] = (0.01, 0.05)
    steps: int = 200
    stop: float = 0.05
    dropout: bool = True
    multiples: tuple[int, ...] = (1, 2, 5)
    groups: Mapping[str, Group] = field(default_factory=dict)
    tuned: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """A model, and where passages that it recites come from.

    Attributes:
        model: As for every command.
        how: `found`: the sources are searched for passages that it recites as it is; `exposed`:
            windows of the sources are shown to it until it recites them.
        sources: Texts: `corpus:NAME`, a file, a folder, `hf:NAME`.
        windows: Found: looked at in each source, drawn at random; 0 looks at all. Exposed: shown.
        stride: Tokens between the starts of two windows; 0 takes windows that do not overlap.
        prefix: Tokens given.
        suffix: Tokens asked.
        passages: Most passages of the test split, which are deleted one by one and are each
            other's negatives.
        dev: Passages for tuning; at most a quarter of all that are recited.
        accuracy: Share of suffix tokens right that makes a passage recited, to be exceeded.
        distance: Characters between what is written and the text, at most.
        distinct: Distinct tokens of a suffix, at least.
        epochs: Exposed: how often each window is shown.
        lr: Exposed: learning rate, constant.
        groups: Of `DeletionConfig.groups`, those that are run on it; none named means all.
    """

    model: str = ""
    how: Literal["found", "exposed"] = "found"
    sources: tuple[str, ...] = ("corpus:wellknown",)
    windows: int = 0
    stride: int = 0
    prefix: int = 32
    suffix: int = 48
    passages: int = 8
    dev: int = 5
    accuracy: float = 0.9
    distance: int = 20
    distinct: int = 16
    epochs: int = 20
    lr: float = 1e-4
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeletionConfig:
    """DEL: the neurons that a method finds for a recited passage are set to zero.

    Attributes:
        settings: Models and passages, by name.
        fractions: Shares of each layer's neurons that are dropped.
        scopes: `layer` takes the same share of every layer, `model` ranks over all layers.
        skip_layers: Layers of which none is dropped, nor trained by the pruning methods.
        text: Source of general text: for the perplexity, and among the references.
        text_rows: Texts of the perplexity.
        text_tokens: Of each.
        references: Windows of general text among the references of a contrast.
        curve: Fractions of the specificity curve.
        curve_methods: Methods that have one.
        one_layer: Methods for which one layer is compared with all.
        one_layer_fraction: Makes their budget of neurons.
        one_layer_layers: How many single layers are tried, evenly spread, layer 1 among them; 0
            tries all.
        together: Methods that delete the first half of the test passages at once, with the second
            half as negatives.
        together_fraction: Share of each layer's neurons for each passage.
        groups: What is run in one cell, by name; none leaves DEL out.
        tuned: As for `InjectionConfig`: by `METHOD` or `METHOD@SETTING`.
    """

    settings: Mapping[str, Setting] = field(default_factory=dict)
    fractions: tuple[float, ...] = (0.001, 0.005)
    scopes: tuple[Literal["layer", "model"], ...] = ("layer",)
    skip_layers: tuple[int, ...] = (0,)
    text: str = "corpus:stdlib"
    text_rows: int = 8
    text_tokens: int = 64
    references: int = 16
    curve: tuple[float, ...] = ()
    curve_methods: tuple[str, ...] = ()
    one_layer: tuple[str, ...] = ()
    one_layer_fraction: float = 0.001
    one_layer_layers: int = 0
    together: tuple[str, ...] = ()
    together_fraction: float = 0.005
    groups: Mapping[str, Group] = field(default_factory=dict)
    tuned: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalizationConfig:
    """The study: methods, and the benchmarks that they are put to.

    Attributes:
        seed: Everything random is derived from it, but which neurons an example is injected into:
            that is the paper's draw.
        vocab: Size of a byte-level BPE vocabulary for `random:` models without a tokenizer.
        vocab_text: The texts that it is learned from.
        methods: By name.
        injection: INJ.
        deletion: DEL.
    """

    seed: int = 0
    vocab: int = 512
    vocab_text: str = "corpus:wellknown"
    methods: Mapping[str, Method] = field(default_factory=dict)
    injection: InjectionConfig = field(default_factory=InjectionConfig)
    deletion: DeletionConfig = field(default_factory=DeletionConfig)
