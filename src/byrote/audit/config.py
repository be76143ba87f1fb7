"""What an audit is asked to do; everything that can change its numbers, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from byrote.errors import InputError
from byrote.recall.scores import SamplingScheme

__all__ = ["DEFAULT_MODEL", "DEFAULT_TEXTS", "AuditConfig"]

DEFAULT_MODEL = "bundled:gemma3-270m"
DEFAULT_TEXTS = (
    "corpus:licenses",
    "corpus:kjv?category=famous",
    "corpus:kjv?category=other",
)
_BOS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """The question of an audit.

    Attributes:
        model: A hub id, a local folder, a GGUF file, `bundled:NAME` or `random:FAMILY?…`.
        texts: Sources of texts that the model may have seen.
        controls: Kinds of control (`mismatched`, `shuffled`) and sources of texts that it cannot
            have seen.
        text_field: Name of the column that holds the text.
        prefix_len: Prefix lengths in tokens; more than one is a sweep over the same suffixes.
            Empty means 50, or the boundary that a record itself brings.
        suffix_len: Suffix length in tokens; None means 50, or a record's own suffix.
        stride: Distance between window starts in tokens; None means no overlap.
        limit: Windows drawn at random from each source; None takes every window.
        temperature: Temperature of the sampling scheme.
        top_k: Top-k of the sampling scheme; None is off.
        top_p: Top-p of the sampling scheme; None is off.
        draws: n of (n, p)-discoverable extraction: how often a text may be drawn.
        probability: p of (n, p)-discoverable extraction: how surely it must then appear.
        generate: Also write greedy continuations and compare them with the suffix.
        verdict_only: Only decide whether each suffix is recited in full; several times faster.
        bos: Whether a BOS token leads: `auto` does what the tokenizer does.
        seed: Seed of the draw, the controls and the bootstrap.
        confidence: Confidence of all intervals.
        device: `auto`, `cpu`, `cuda`, …
        dtype: `auto`, `float32`, `bfloat16`, …
        trust_remote_code: Run code that comes with a hub model.
    """

    model: str = DEFAULT_MODEL
    texts: tuple[str, ...] = DEFAULT_TEXTS
    controls: tuple[str, ...] = ("mismatched",)
    text_field: str = "text"
    prefix_len: tuple[int, ...] = ()
    suffix_len: int | None = None
    stride: int | None = None
    limit: int | None = 100
    temperature: float = 1.0
    top_k: int | None = 40
    top_p: float | None = None
    draws: int = 1000
    probability: float = 0.5
    generate: bool = False
    verdict_only: bool = False
    bos: str = "auto"
    seed: int = 0
    confidence: float = 0.95
    device: str = "auto"
    dtype: str = "auto"
    trust_remote_code: bool = False

    def check(self) -> None:
        """Check all values that can be judged without a model or a text.

        Raises:
            InputError: A value cannot be used; the message names it and what can.
        """
        if not self.texts:
            raise InputError("no texts: give at least one --texts SOURCE")
        for length in self.prefix_len:
            _at_least("--prefix-len", length, 1)
        if len(set(self.prefix_len)) < len(self.prefix_len):
            raise InputError(f"--prefix-len {self.prefix_len}: a length is given twice")
        for name in ("suffix_len", "stride", "limit"):
            value = getattr(self, name)
            if value is not None:
                _at_least(f"--{name.replace('_', '-')}", value, 1)
        _at_least("--draws", self.draws, 1)
        _at_least("--seed", self.seed, 0)
        _between("--probability", self.probability)
        _between("--confidence", self.confidence)
        if self.bos not in _BOS:
            raise InputError(f"--bos {self.bos!r}: it is one of {', '.join(_BOS)}")
        if self.verdict_only and self.generate:
            raise InputError("--verdict-only and --generate exclude each other; give one")
        self.scheme.check()

    @property
    def scheme(self) -> SamplingScheme:
        """The sampling scheme of the suffix probabilities."""
        return SamplingScheme(self.temperature, self.top_k, self.top_p)

    def to_json(self) -> dict[str, Any]:
        """The config as JSON values, for `run.json`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AuditConfig:
        """Read a config back from `run.json`.

        Raises:
            InputError: A field is unknown to this version.
        """
        known = {field.name for field in fields(cls)}
        if foreign := sorted(values.keys() - known):
            raise InputError(f"the run's config has fields that this byrote lacks: {foreign}")
        fixed: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**fixed)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name} {value}: it must be at least {least}")


def _between(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InputError(f"{name} {value}: it must lie between 0 and 1")
