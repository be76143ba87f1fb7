"""The tables of the study's report, ours beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from byrote.report.page import Cell, TableBlock
from byrote.report.study import StudyData
from byrote.studies.localization.config import LocalizationConfig
from byrote.studies.localization.labels import label, model_label, names, percent
from byrote.studies.localization.methods import part_of
from byrote.studies.localization.published import (
    DELETION,
    MODELS,
    RECALL,
    RECALL_MODEL,
    SECONDS,
)
from byrote.studies.looks import table

__all__ = [
    "deletion_tables",
    "passages_table",
    "recall_tables",
    "significance_table",
    "timing_table",
    "together_table",
    "tuning_tables",
]

_NONE = Cell("–", number=True)
_SCOPES = {"layer": "of every layer", "model": "of the whole model"}
_MEASURES = {
    "self_accuracy": ("target: accuracy", 100.0, 1),
    "self_distance": ("target: distance", 1.0, 1),
    "neg_accuracy": ("others: accuracy", 100.0, 1),
    "neg_distance": ("others: distance", 1.0, 1),
    "specificity": ("specificity", 100.0, 1),
    "paper_perplexity": ("paper's perplexity", 1.0, 2),
    "perplexity": ("perplexity", 1.0, 2),
}
_COMPARED = (
    "self_accuracy", "self_distance", "neg_accuracy", "neg_distance", "paper_perplexity",
)  # fmt: skip


def recall_tables(data: StudyData, config: LocalizationConfig) -> list[TableBlock]:
    """Recall@k beside the paper's Tables 2 and 9: one table a model, fraction and scope."""
    means = table(data, "recall_means")
    if means is None:
        return []
    blocks = []
    for (model, fraction, scope), rows in means.group_by(
        "model", "fraction", "scope", maintain_order=True
    ):
        share, source = float(fraction), str(model)  # type: ignore[arg-type]
        multiples = sorted(rows["multiple"].unique())
        paper = RECALL if scope == "layer" else RECALL_MODEL
        like = [MODELS[source]] if source in MODELS else list(MODELS.values())[:1]
        lines = []
        for name in names(config):
            own = {row["multiple"]: row for row in rows.iter_rows(named=True) if _is(row, name)}
            if not own:
                continue
            cells = [
                Cell(label(config, name), f"n = {next(iter(own.values()))['n']}", heading=True)
            ]
            cells += [_share(own[multiple]) if multiple in own else _NONE for multiple in multiples]
            part = part_of(config.methods[name]) or ""
            for one in like:
                numbers = paper.get((one, share, part))
                cells.append(
                    Cell("/".join(f"{100 * n:.1f}" for n in numbers), number=True)
                    if numbers
                    else _NONE
                )
            lines.append(cells)
        if not lines:
            continue
        first = rows.filter(pl.col("multiple") == multiples[0]).row(0, named=True)
        ends = [f"ceiling {100 * first['ceiling']:.1f} %", f"chance {100 * first['random']:.1f} %"]
        header = [
            "method",
            *(f"k = {percent(multiple * share)}" for multiple in multiples),
            *(f"paper, {one}: k = r/2r/5r (%)" for one in like),
        ]
        caption = (
            f"INJ, {model_label(config, source)}, r = {percent(share)}: Recall@k, the highest "
            f"{_SCOPES[str(scope)]} ({', '.join(ends)} at the smallest k)"
        )
        blocks.append(TableBlock(caption, header, lines, collapsed=scope != "layer"))
    return blocks


def deletion_tables(data: StudyData, config: LocalizationConfig) -> list[TableBlock]:
    """DEL beside the paper's Table 3: one table a setting, fraction and scope."""
    means = table(data, "deletion_means")
    if means is None:
        return []
    blocks = []
    for (setting, fraction, scope), rows in means.group_by(
        "setting", "fraction", "scope", maintain_order=True
    ):
        share = float(fraction)  # type: ignore[arg-type]
        given = config.deletion.settings.get(str(setting))
        like = MODELS.get(given.model, "GPT2-XL") if given else "GPT2-XL"
        lines = []
        for name in names(config):
            own = {row["measure"]: row for row in rows.iter_rows(named=True) if _is(row, name)}
            if not own:
                continue
            cells = [
                Cell(label(config, name), f"n = {next(iter(own.values()))['n']}", heading=True)
            ]
            numbers = DELETION.get((like, share, part_of(config.methods[name]) or ""))
            for measure, (_, factor, digits) in _MEASURES.items():
                cell = _change(own.get(measure), factor, digits)
                if numbers and measure in _COMPARED and scope == "layer":
                    paper = factor * numbers[_COMPARED.index(measure)]
                    cell = Cell(cell.text, f"paper {_signed(paper, digits)}", number=True)
                cells.append(cell)
            lines.append(cells)
        if not lines:
            continue
        header = ["method", *(words for words, _, _ in _MEASURES.values())]
        caption = (
            f"DEL, {setting}, {percent(share)} of the neurons, the highest {_SCOPES[str(scope)]}: "
            f"change of accuracy (points), distance (characters), perplexity; paper: {like}"
        )
        blocks.append(TableBlock(caption, header, lines, collapsed=scope != "layer"))
    return blocks


def significance_table(
    data: StudyData, config: LocalizationConfig, benchmark: str
) -> TableBlock | None:
    """The tests against Integrated Gradients."""
    found = table(data, "significance")
    if found is None:
        return None
    rows = found.filter(pl.col("benchmark") == benchmark)
    lines = []
    for row in rows.iter_rows(named=True):
        where = model_label(config, row["where"]) if benchmark == "inj" else row["where"]
        at = (
            f"r = {percent(row['fraction'])}, k = {row['at']:g} r"
            if benchmark == "inj"
            else percent(row["at"])
        )
        p = "–" if row["p"] is None else f"{row['p']:.2g}"
        lines.append(
            [
                Cell(f"{label(config, row['method'])}", f"{where}, {at}", heading=True),
                _points(row["difference"], row["low"], row["high"]),
                Cell(str(row["n"]), number=True),
                Cell(p, f"below {row['threshold']:.2g}", number=True),
                Cell("yes" if row["significant"] else "no"),
            ]
        )
    header = ["method", "difference to Integrated Gradients (points)", "n", "p", "significant"]
    caption = "One-tailed paired t-tests, Bonferroni over the method's tests in this run"
    return TableBlock(caption, header, lines, collapsed=True) if lines else None


def tuning_tables(data: StudyData, config: LocalizationConfig, benchmark: str) -> TableBlock | None:
    """Every combination of options that was tried on the dev split."""
    found = table(data, "tuning")
    if found is None:
        return None
    lines = []
    for row in found.filter(pl.col("benchmark") == benchmark).iter_rows(named=True):
        where = model_label(config, row["where"]) if benchmark == "inj" else row["where"]
        at = "" if row["fraction"] is None else f", r = {percent(row['fraction'])}"
        lines.append(
            [
                Cell(_called(config, row["method"]), f"{where}{at}", heading=True),
                Cell(row["options"]),
                Cell(f"{row['value']:.3f}", f"n = {row['examples']}", number=True),
                Cell("chosen" if row["chosen"] else ""),
            ]
        )
    words = "Recall@r per layer" if benchmark == "inj" else "accuracy lost at the largest share"
    header = ["method", "options", words, ""]
    caption = "Options tried on the dev split"
    return TableBlock(caption, header, lines, collapsed=True) if lines else None


def timing_table(data: StudyData, config: LocalizationConfig, benchmark: str) -> TableBlock | None:
    """Seconds for one passage, beside the paper's Table 6."""
    found = table(data, "timings")
    if found is None:
        return None
    rows = found.filter((pl.col("benchmark") == benchmark) & (pl.col("passages") > 0))
    lines = []
    for name in names(config):
        own = rows.filter(pl.col("method") == name)
        for row in own.iter_rows(named=True):
            where = model_label(config, row["where"]) if benchmark == "inj" else row["where"]
            at = "" if row["fraction"] is None else f", r = {percent(row['fraction'])}"
            paper = SECONDS.get(part_of(config.methods[name]) or "")
            lines.append(
                [
                    Cell(label(config, name), f"{where}{at}", heading=True),
                    Cell(_seconds(row["seconds"] / row["passages"]), number=True),
                    Cell("–" if paper is None else _seconds(paper), number=True),
                ]
            )
    header = ["method", "a passage, here", "paper: Pythia-6.9B, A6000"]
    caption = "Time to score a passage, references of a contrast included"
    return TableBlock(caption, header, lines, collapsed=True) if lines else None


def together_table(data: StudyData, config: LocalizationConfig) -> TableBlock | None:
    """Several passages deleted at once."""
    found = table(data, "together")
    if found is None:
        return None
    lines = []
    lost = found.with_columns(lost=pl.col("accuracy_before") - pl.col("accuracy_after"))
    for (setting, method), rows in lost.group_by("setting", "method", maintain_order=True):
        erased, others = (rows.filter(pl.col("erased") == flag) for flag in (True, False))
        first = rows.row(0, named=True)
        text = first["text_nll_after"] - first["text_nll_before"]
        lines.append(
            [
                Cell(_called(config, str(method)), str(setting), heading=True),
                Cell(f"{100 * first['removed']:.2f} %", number=True),
                _change(_mean(erased, "lost"), -100.0, 1, f"{len(erased)} passages"),
                _change(_mean(others, "lost"), -100.0, 1, f"{len(others)} passages"),
                Cell(_signed(text, 3), number=True),
            ]
        )
    header = [
        "method", "removed", "deleted: accuracy (points)", "others: accuracy (points)",
        "general text: loss (nats)",
    ]  # fmt: skip
    return TableBlock("Half of the passages deleted at once", header, lines) if lines else None


def passages_table(data: StudyData, config: LocalizationConfig) -> TableBlock | None:
    """What the passages are."""
    found = table(data, "passages")
    if found is None:
        return None
    lines = [
        [
            Cell(
                " ".join(row["record"].split()), f"{row['setting']}, {row['split']}", heading=True
            ),
            Cell(row["category"] or "–"),
            Cell(f"{row['prefix_text']} ▸ {row['suffix_text']}"),
            Cell(f"{100 * row['accuracy']:.0f} %", number=True),
        ]
        for row in found.iter_rows(named=True)
    ]
    header = ["passage", "kind", "given ▸ asked", "accuracy"]
    return TableBlock("The passages", header, lines, collapsed=True, sentences=True)


def _is(row: dict[str, Any], name: str) -> bool:
    return row["method"] == name


def _called(config: LocalizationConfig, name: str) -> str:
    return label(config, name) if name in config.methods else name


def _mean(rows: pl.DataFrame, column: str) -> dict[str, float] | None:
    value = rows[column].mean()
    return None if value is None else {"value": float(value)}  # type: ignore[arg-type]


def _share(row: dict[str, Any]) -> Cell:
    """A share in per cent with its standard error."""
    if not math.isfinite(row["value"]):
        return _NONE
    small = f"± {100 * row['se']:.1f}" if math.isfinite(row["se"]) else ""
    return Cell(f"{100 * row['value']:.1f} %", small, number=True)


def _change(
    row: dict[str, Any] | None, factor: float, digits: int, small: str | None = None
) -> Cell:
    """A signed change, with its interval in small print unless something else is to stand there."""
    if row is None or not math.isfinite(row["value"]):
        return _NONE
    if small is None:
        low, high = row["low"], row["high"]
        sure = math.isfinite(low) and math.isfinite(high)
        ends: Sequence[float] = (factor * low, factor * high)
        small = " to ".join(_signed(end, digits) for end in ends) if sure else ""
    return Cell(_signed(factor * row["value"], digits), small, number=True)


def _points(value: float, low: float, high: float) -> Cell:
    row = {"value": value, "low": low, "high": high}
    return _change(row, 100.0, 1)


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _seconds(value: float) -> str:
    if value < 60:
        return f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 3600 else f"{value / 3600:.1f} h"
