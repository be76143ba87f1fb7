"""Records to passages: windows of prefix + suffix at a stride, as views on the token ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from byrote.errors import InputError
from byrote.texts.ids import UniqueIds
from byrote.texts.passages import Passage
from byrote.texts.records import Record
from byrote.texts.tokens import Tokenized, tokenize

__all__ = [
    "DEFAULT_PREFIX_LEN",
    "DEFAULT_SUFFIX_LEN",
    "CutStats",
    "cut",
    "prefix_sweep",
    "with_prefix_len",
]

# The lengths that most of the literature uses since Carlini et al. (2202.07646, section 3).
DEFAULT_PREFIX_LEN = 50
DEFAULT_SUFFIX_LEN = 50

_EXAMPLES = 5


@dataclass(slots=True)
class CutStats:
    """What came of the records; filled while `cut` runs.

    Attributes:
        records: Records read.
        passages: Passages made.
        too_short: Records that gave none, because they have too few tokens.
        examples: The first few of those, as `id (n tokens)`.
        tokens: Tokens read.
    """

    records: int = 0
    passages: int = 0
    too_short: int = 0
    examples: list[str] = field(default_factory=list)
    tokens: int = 0

    def describe(self) -> str:
        """Say it in one sentence."""
        text = f"{self.passages:,} passages from {self.records:,} records ({self.tokens:,} tokens)"
        if self.too_short:
            named = ", ".join(self.examples)
            more = ", ..." if self.too_short > len(self.examples) else ""
            text += f"; {self.too_short:,} records were too short: {named}{more}"
        return text


def cut(
    records: Iterable[Record],
    tokenizer: Any,
    *,
    prefix_len: int | None = None,
    suffix_len: int | None = None,
    stride: int | None = None,
    vocab_size: int | None = None,
    max_len: int | None = None,
    lead: int = 0,
    control: str | None = None,
    stats: CutStats | None = None,
    unique: UniqueIds | None = None,
) -> Iterator[Passage]:
    """Cut a stream of records into passages.

    Texts, and `input_ids` without a `prefix_len`, are cut into windows that start at multiples of
    the stride and never cross a record's end. Pairs, and `input_ids` with a `prefix_len`, give
    one passage each: whole, or, where a length is given, the last `prefix_len` tokens of the
    prefix and the first `suffix_len` of the suffix.

    Args:
        records: The records; at most one batch of them is held at a time.
        tokenizer: A Hugging Face tokenizer; None where all records hold ids.
        prefix_len: Prefix tokens; None is 50 for windows and all of them for pairs.
        suffix_len: Suffix tokens; None is 50 for windows and all of them for pairs.
        stride: Tokens between the starts of two windows; None is a window's length.
        vocab_size: Number of ids that the model knows; None leaves the ids unchecked.
        max_len: The model's context in tokens; None leaves the lengths unchecked.
        lead: Tokens that are going to be put before each passage (a BOS token); they take their
            place in the context.
        control: Marks every passage as a control that stands for itself: `held-out` for the
            user's own texts that the model cannot have seen. Ids get `~held-out` at their end.
        stats: Filled while the passages are taken.
        unique: Record ids used so far, to be shared where several calls feed one run. A second
            record of the same id gets the id `x#2`.

    Returns:
        The passages. Their ids are views on the record's, so keep copies if you keep a few of
        many (`draw` does).

    Raises:
        InputError: At once if a length or the stride is not positive, or the lengths given do not
            fit the context. While passages are taken: if an id is outside the vocabulary, a window
            of the default length or a pair does not fit the context, or not one passage is left
            at the end.
    """
    window = (
        DEFAULT_PREFIX_LEN if prefix_len is None else prefix_len,
        DEFAULT_SUFFIX_LEN if suffix_len is None else suffix_len,
    )
    step = sum(window) if stride is None else stride
    for name, value in (("prefix_len", window[0]), ("suffix_len", window[1]), ("stride", step)):
        if value <= 0:
            raise InputError(f"{name} is {value}, but it must be at least 1 token.")
    cutter = _Cutter(prefix_len, suffix_len, window, step, max_len, lead)
    if prefix_len is not None and suffix_len is not None:
        cutter.check_window()
    stats = CutStats() if stats is None else stats
    unique = UniqueIds() if unique is None else unique
    tokenized = tokenize(records, tokenizer, vocab_size=vocab_size)
    return _cut(tokenized, cutter, control, stats, unique)


def _cut(
    records: Iterator[Tokenized],
    cutter: _Cutter,
    control: str | None,
    stats: CutStats,
    unique: UniqueIds,
) -> Iterator[Passage]:
    tag = "" if control is None else f"~{control}"
    seen = made = 0
    examples: list[str] = []
    for record, ids, boundary in records:
        seen += 1
        stats.records += 1
        stats.tokens += len(ids)
        name = unique(record.id)
        before = made
        for offset, end, prefix_len in cutter.spans(record, len(ids), boundary):
            made += 1
            stats.passages += 1
            yield Passage(
                f"{name}@{offset}{tag}",
                record.source,
                name,
                offset,
                ids[offset:end],
                prefix_len,
                control,
                None,
                record.count,
                record.member,
                record.category,
            )
        if made == before:
            tokens = str(len(ids)) if boundary is None else f"{boundary}+{len(ids) - boundary}"
            example = f"{name} ({tokens} tokens)"
            stats.too_short += 1
            for first_few in (stats.examples, examples):
                if len(first_few) < _EXAMPLES:
                    first_few.append(example)
    if not made:
        raise InputError(cutter.nothing_left(seen, examples))


@dataclass(frozen=True, slots=True)
class _Cutter:
    """How records are cut: the lengths as asked for, and as they are for windows."""

    prefix_len: int | None
    suffix_len: int | None
    window: tuple[int, int]
    stride: int
    max_len: int | None
    lead: int

    def spans(
        self, record: Record, tokens: int, boundary: int | None
    ) -> Iterable[tuple[int, int, int]]:
        """Where the passages of a record start and end, and their prefix lengths."""
        if boundary is not None:
            return self._pair(record, tokens, boundary)
        # Not before a window is cut: pairs with lengths of their own need none.
        self.check_window()
        prefix_len, suffix_len = self.window
        length = prefix_len + suffix_len
        starts = range(0, tokens - length + 1, self.stride)
        return ((start, start + length, prefix_len) for start in starts)

    def _pair(self, record: Record, tokens: int, boundary: int) -> Iterable[tuple[int, int, int]]:
        prefix_len = boundary if self.prefix_len is None else self.prefix_len
        suffix_len = tokens - boundary if self.suffix_len is None else self.suffix_len
        start, end = boundary - prefix_len, boundary + suffix_len
        if start < 0 or end > tokens or prefix_len < 1 or suffix_len < 1:
            return ()
        if not self._fits(end - start):
            raise InputError(
                f'Record "{record.id}" of {record.source}: prefix {prefix_len} + suffix '
                f"{suffix_len}{self._context(end - start)}; give prefix_len and suffix_len to keep "
                "a part of each."
            )
        return ((start, end, prefix_len),)

    def check_window(self) -> None:
        """Refuse windows that are longer than the model's context."""
        prefix_len, suffix_len = self.window
        if not self._fits(prefix_len + suffix_len):
            raise InputError(
                f"prefix_len {prefix_len} + suffix_len {suffix_len}"
                f"{self._context(prefix_len + suffix_len)}; give shorter lengths."
            )

    def _fits(self, tokens: int) -> bool:
        return self.max_len is None or tokens + self.lead <= self.max_len

    def _context(self, tokens: int) -> str:
        begin = f" + {self.lead} BOS" if self.lead else ""
        return f"{begin} = {tokens + self.lead} tokens, but the model's context has {self.max_len}"

    def nothing_left(self, seen: int, examples: list[str]) -> str:
        if not seen:
            return "No records came from the texts; give a source that holds some text."
        prefix_len, suffix_len = self.window
        return (
            f"No passage is left: none of {seen:,} records has enough tokens for a prefix of "
            f"{prefix_len} and a suffix of {suffix_len} (the first: {', '.join(examples)}); give a "
            "smaller prefix_len or suffix_len, or longer texts."
        )


def with_prefix_len(passage: Passage, prefix_len: int) -> Passage:
    """Keep the last `prefix_len` prefix tokens and the same suffix.

    The id gets `/p{prefix_len}` at its end, and so does `control_of`, so that a control still
    names the passage of the same prefix length.

    Raises:
        InputError: If the passage has fewer prefix tokens, or the length is not positive.
    """
    if not 0 < prefix_len <= passage.prefix_len:
        raise InputError(
            f'Passage "{passage.id}" has a prefix of {passage.prefix_len} tokens, so its prefix '
            f"can be cut to 1 to {passage.prefix_len} tokens, not to {prefix_len}."
        )
    dropped = passage.prefix_len - prefix_len
    tag = f"/p{prefix_len}"
    return replace(
        passage,
        id=passage.id + tag,
        offset=passage.offset + dropped,
        input_ids=passage.input_ids[dropped:],
        prefix_len=prefix_len,
        control_of=None if passage.control_of is None else passage.control_of + tag,
    )


def prefix_sweep(passages: Iterable[Passage], lens: Sequence[int]) -> Iterator[Passage]:
    """Yield each passage once for each prefix length, the suffix being the same in all.

    Args:
        passages: Passages whose prefixes have at least `max(lens)` tokens.
        lens: Prefix lengths in tokens.

    Raises:
        InputError: At once if no length is given, one is not positive, or one is given twice;
            later if a passage's prefix is too short.
    """
    if not lens or min(lens) <= 0 or len(set(lens)) < len(lens):
        raise InputError(
            f"The prefix lengths {list(lens)} must be positive and each be given once."
        )
    return (with_prefix_len(passage, length) for passage in passages for length in lens)
