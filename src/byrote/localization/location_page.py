"""The report of `byrote locate`: which layers and neurons, and how much depends on them."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from byrote.localization.locating import Location
from byrote.report.figures import Figure
from byrote.report.page import Block, Cell, ChartBlock, Page, ProseBlock, Section, TableBlock
from byrote.report.palette import LIGHT
from byrote.report.plotting import DASHES, layered, legend, styled
from byrote.report.provenance import run_blocks

__all__ = ["location_page"]

_SERIES = {
    "accuracy": ("the passage", "chart-texts", "circle"),
    "others_accuracy": ("other passages", "chart-control-1", "diamond"),
    "random_accuracy": ("the passage, random neurons", "chart-control-3", "square"),
}
_READING_DEPENDENCE = (
    "How many tokens of the passage the model still gets right when ever more of the neurons found "
    "are dropped. Other passages should stay where they were, and so should the passage when as "
    "many random neurons are dropped instead."
)
_READING_LAYERS = (
    "Each bar is a layer: how much accuracy the passage loses when only those of its neurons are "
    "dropped that are among the highest of the whole model. A layer without a bar either has none "
    "of them, or can do without."
)


def location_page(run: dict[str, Any], location: Location, recital: pl.DataFrame) -> Page:
    """Build the report.

    Args:
        run: The content of `run.json`.
        location: What was found.
        recital: The passages with `prefix_text` and `suffix_text`.
    """
    model = str(run["model"]["source"])
    sections = [
        _section(number, row, location)
        for number, row in enumerate(recital.iter_rows(named=True), start=1)
    ]
    sections.append(Section("run", "What was run", run_blocks(run), "The run"))
    count = len(recital)
    return Page(
        title=f"Where {model} holds {'a passage' if count == 1 else f'{count} passages'}",
        subtitle=f"{run['config']['localizer']} · {str(run.get('end') or '')[:10]}",
        sections=sections,
        footer=(
            f"Made by byrote {run['versions']['byrote']}. This file needs no network and makes no "
            "requests."
        ),
    )


def _section(number: int, row: dict[str, Any], location: Location) -> Section:
    name = row["passage"]
    mine = {
        table: getattr(location, table).filter(passage=name)
        for table in ("dependence", "layers", "neurons")
    }
    blocks: list[Block] = [
        ProseBlock([f"Given: {row['prefix_text']}", f"Asked: {row['suffix_text']}"]),
        ProseBlock(
            [
                f"The model gets {row['accuracy']:.0%} of the tokens asked right, at "
                f"{row['nll']:.3f} nats per token."
            ],
            tone="lead",
        ),
        ChartBlock(
            [
                Figure(
                    f"dependence-{number}",
                    "dependence",
                    _dependence_chart(mine["dependence"], name),
                    f"accuracy of {name} against the share of neurons dropped",
                )
            ],
            _READING_DEPENDENCE,
        ),
        ChartBlock(
            [
                Figure(
                    f"layers-{number}",
                    "layers",
                    _layers_chart(mine["layers"], row["accuracy"], location.fraction, name),
                    f"accuracy that {name} loses without the neurons of each layer",
                )
            ],
            _READING_LAYERS,
        ),
        _neurons_table(mine["neurons"], row["nll"]),
    ]
    return Section(f"passage-{number}", name, blocks, name)


def _dependence_chart(table: pl.DataFrame, name: str) -> alt.LayerChart:
    shown = [key for key in _SERIES if not table[key].is_null().all()]
    long = pl.concat(
        [
            table.select(
                pl.lit(_SERIES[key][0]).alias("label"),
                (100 * pl.col("fraction")).alias("share"),
                "neurons",
                pl.col(key).alias("value"),
            )
            for key in shown
        ]
    )
    labels = [_SERIES[key][0] for key in shown]
    base = alt.Chart(long).encode(
        x=alt.X(
            "share:Q",
            title="neurons dropped of each layer (%)",
            scale=alt.Scale(type="symlog", constant=0.1, nice=False),
        ),
        y=alt.Y(
            "value:Q",
            title="tokens right",
            scale=alt.Scale(domain=[0, 1], nice=False),
            axis=alt.Axis(format=".0%"),
        ),
        color=alt.Color(
            "label:N",
            sort=labels,
            legend=legend(),
            scale=alt.Scale(domain=labels, range=[LIGHT[_SERIES[key][1]] for key in shown]),
        ),
        tooltip=["label:N", alt.Tooltip("share:Q", title="%"), "neurons:Q", "value:Q"],
    )
    dashes = alt.StrokeDash(
        "label:N", scale=alt.Scale(domain=labels, range=list(DASHES[: len(labels)])), legend=None
    )
    line = base.mark_line(strokeWidth=2.2).encode(strokeDash=dashes)
    points = base.mark_point(filled=True, size=55).encode(
        shape=alt.Shape(
            "label:N",
            sort=labels,
            legend=None,
            scale=alt.Scale(domain=labels, range=[_SERIES[key][2] for key in shown]),
        )
    )
    return styled(layered(line, points), "What depends on these neurons", name)


def _layers_chart(
    table: pl.DataFrame, accuracy: float, fraction: float, name: str
) -> alt.LayerChart:
    lost = table.select(
        "layer", "neurons", (accuracy - pl.col("accuracy")).alias("lost"), "accuracy"
    )
    bars = (
        alt.Chart(lost)
        .mark_bar(color=LIGHT["chart-texts"])
        .encode(
            x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("lost:Q", title="accuracy lost", axis=alt.Axis(format=".0%")),
            tooltip=["layer:O", "neurons:Q", "accuracy:Q"],
        )
    )
    subtitle = f"{name}: the highest {fraction:.2%} of all neurons, layer by layer"
    return styled(layered(bars), "Which layers hold it", subtitle)


def _neurons_table(table: pl.DataFrame, nll: float) -> TableBlock:
    rows = [
        [
            Cell(str(row["rank"]), number=True),
            Cell(str(row["layer"]), number=True),
            Cell(str(row["neuron"]), number=True),
            Cell(f"{row['score']:.4g}", number=True),
            Cell(f"{row['nll'] - nll:+.4f}", number=True),
            Cell(f"{row['accuracy']:.0%}", number=True),
        ]
        for row in table.iter_rows(named=True)
    ]
    header = ["rank", "layer", "neuron", "score", "loss without it (nats more)", "tokens right"]
    return TableBlock("The highest neurons, dropped one by one", header, rows)
