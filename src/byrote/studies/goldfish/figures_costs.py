"""Charts of what training without memorising costs and leaves: loss (E5) and membership (E7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from byrote.report.figures import Figure
from byrote.report.palette import LIGHT
from byrote.report.plotting import layered, plain, renamed, share_axis, styled
from byrote.report.study import StudyData
from byrote.studies.charts import curves_chart, estimates_chart, fitting_axis
from byrote.studies.goldfish.arms import CONTROL, STANDARD, Cast
from byrote.studies.goldfish.charts import attack_means, overlap_axis
from byrote.studies.goldfish.config import GoldfishConfig
from byrote.studies.goldfish.objectives import membership_rows, objective_rows
from byrote.studies.goldfish.placing import add, placed, scratch_cast, steps, there
from byrote.studies.looks import Look, table

__all__ = [
    "ATTACKS",
    "PUBLISHED_MEMBERSHIP",
    "loss_figures",
    "membership_figures",
    "tradeoff_figures",
]

PUBLISHED_MEMBERSHIP = {
    "control": (0.4922, 0.0025, 0.4839, 0.0010),
    "3": (0.9947, 0.0345, 0.9963, 0.6950),
    "4": (0.9964, 0.0845, 0.9983, 0.8850),
    "8": (0.9987, 0.5455, 0.9997, 0.9575),
    "32": (0.9997, 0.922, 1.000, 0.9935),
    "128": (0.9999, 0.968, 1.000, 0.9990),
    "standard": (0.9999, 0.976, 1.000, 0.9975),
}
"""2406.10209, Table 2, by k: AUC and true positives at 0.1 % false ones, of loss and of zlib."""

ATTACKS = {
    "loss": Look("loss", "chart-texts"),
    "zlib": Look("loss over zlib bytes", "chart-control-3", "square", (6, 3)),
}
"""The attacks of the paper; the run has the others' scores as well."""

_MEASURES = {
    "auc": "area under the ROC curve (AUC)",
    "tpr_at_0.001": "members found at 0.1 % false alarms",
    "tpr_at_0.01": "members found at 1 % false alarms",
    "tpr_at_0.05": "members found at 5 % false alarms",
}
_PUBLISHED = ("auc", "tpr_at_0.001")
_SKIPPED = 0.1
_MORE = ("chart-control-3", "square", (6, 3))
# Height of a line of text in the chart of all objectives, as a share of its axis.
_LINE = 0.05


def loss_figures(data: StudyData, config: GoldfishConfig) -> list[list[Figure]]:
    """E5: validation loss against tokens shown and against tokens learned.

    Returns:
        Groups of figures that belong side by side: by more input, by k, and the end of every arm.
    """
    validation = table(data, "validation")
    if validation is None:
        return []
    cast = scratch_cast(config)
    masks, scaled = cast.ladder(), cast.scaled()
    groups = []
    if scaled:
        k = config.arms[next(iter(scaled.values()))].k
        names = [cast.standard, masks.get(k), *scaled.values()]
        looks = _scaled_looks(cast, scaled, masks.get(k))
        chosen = [name for name in names if name]
        groups.append(_curves(validation, chosen, looks, "input", f"k = {k}"))
    ladder = [name for name in (cast.standard, *masks.values()) if name]
    looks = dict(zip(ladder, cast.looks(ladder), strict=True))
    groups.append(_curves(validation, ladder, looks, "k", "by k"))
    groups.append(_gaps(data, cast))
    return [group for group in groups if group]


def _scaled_looks(cast: Cast, scaled: dict[str, str], mask: str | None) -> dict[str, Look]:
    found = {} if cast.standard is None else {cast.standard: STANDARD}
    if mask is not None:
        found[mask] = Look(f"{cast.label(mask)}, as many shown", "chart-texts")
    rest = (("chart-control-3", "square", (8, 3, 2, 3)), ("chart-control-2", "cross", (2, 2)))
    for (_, name), look in zip(scaled.items(), rest, strict=False):
        found[name] = Look(cast.label(name), *look)
    return found


def _curves(
    validation: pl.DataFrame,
    names: Sequence[str],
    looks: dict[str, Look],
    end: str,
    words: str,
) -> list[Figure]:
    """One arm a line: mean over repetitions, from the lowest to the highest as a band."""
    rows = validation.filter(pl.col("arm").is_in(list(looks)) & pl.col("loss").is_finite())
    rows = rows.filter(pl.col("arm").is_in(list(names)))
    if rows["arm"].n_unique() < 2:
        return []
    series = {name: look.name for name, look in looks.items()}
    # The first steps fall so far that nothing could be seen of the rest.
    late = rows.filter(pl.col("step") >= _SKIPPED * pl.col("step").max().over("arm"))
    figures: list[Figure] = []
    for column, verb in (("tokens_shown", "shown"), ("tokens_learned", "learned")):
        curves = late.group_by("arm", "step").agg(
            pl.col(column).mean(),
            pl.col("loss").mean().round(4).alias("value"),
            pl.col("loss").min().round(4).alias("low"),
            pl.col("loss").max().round(4).alias("high"),
        )
        curves = curves.with_columns(
            series=pl.col("arm").replace_strict(series, return_dtype=pl.String)
        ).drop("arm", "step")
        most = float(curves[column].max() or 1)  # type: ignore[arg-type]
        x = alt.X(
            f"{column}:Q",
            title=f"tokens {verb} so far",
            scale=alt.Scale(domain=[0, most], nice=False),
            axis=alt.Axis(format=",d", tickCount=5, grid=False),
        )
        chart = curves_chart(
            curves,
            list(looks.values()),
            x,
            fitting_axis("validation loss (nats per token)", [curves], digits=".1f"),
            title=f"Validation loss against tokens {verb}, {words}",
            subtitle="mean of the repetitions, bands: lowest to highest; from a tenth on",
        )
        add(figures, f"loss-{end}-{verb}", chart, f"validation loss by tokens {verb}", "loss")
    return figures


def _gaps(data: StudyData, cast: Cast) -> list[Figure]:
    """What the loss of masks is above that of standard training at the end."""
    losses = table(data, "losses")
    if losses is None:
        return []
    places = {name: f"{k}" for k, name in cast.ladder().items()}
    shown, more = Look("as many shown", "chart-texts"), Look("more shown", *_MORE)
    marks = [placed(losses, places, shown.name)]
    if scaled := cast.scaled():
        further = {name: f"{cast.arms[name].k}, {way.split()[-1]}" for way, name in scaled.items()}
        marks.append(placed(losses, further, more.name))
        places |= further
    found = pl.concat(marks).select(
        "series",
        "at",
        pl.col("gap").alias("value"),
        pl.col("gap_low").alias("low"),
        pl.col("gap_high").alias("high"),
    )
    zero = pl.DataFrame({"text": [""], "value": [0.0]})
    chart = estimates_chart(
        found,
        [shown, more],
        there(places, [found]),
        fitting_axis("loss less that of standard (nats)", [found, zero]),
        x_title="k; steps, batch: with more input, by more steps or larger ones",
        title="Validation loss at the end, less that of standard",
        subtitle="differences within a repetition; bars: 95 % t-intervals",
        levels=zero,
        share=False,
    )
    figures: list[Figure] = []
    add(figures, "loss-gap", chart, "loss at the end less that of standard training", "loss")
    return figures


def tradeoff_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """What each objective costs in validation loss against how much is still written."""
    rows = objective_rows(data, config)
    points = [
        {
            "text": row.label,
            "x": row.gap[0],
            "x_low": row.gap[1],
            "x_high": row.gap[2],
            "value": row.estimates["rouge_l"][0],
            "low": row.estimates["rouge_l"][1],
            "high": row.estimates["rouge_l"][2],
        }
        for row in rows
        if row.gap is not None and "rouge_l" in row.estimates
    ]
    if len(points) < 3:
        return []
    frame = pl.DataFrame(points)
    names = _labelled(frame)
    ends = [float(value) for value in frame.select("x", "x_low", "x_high").to_numpy().ravel()]
    low, high = min(filter(math.isfinite, ends)), max(filter(math.isfinite, ends))
    width = (high - low) or 1.0
    x = alt.X(
        "x:Q",
        title="validation loss less that of standard training (nats per token)",
        # Names stand to the right of their points.
        scale=alt.Scale(domain=[low - 0.06 * width, high + 0.35 * width], nice=False, zero=False),
        axis=alt.Axis(format=".2f", tickCount=6),
    )
    y = overlap_axis(top=1.04)
    colour, ink = LIGHT["chart-texts"], LIGHT["chart-ink"]
    base = alt.Chart(plain(frame)).encode(x=x, y=y)
    leader = alt.Chart(plain(names))
    tooltip = [
        alt.Tooltip("text:N", title="arm"),
        alt.Tooltip("x:Q", title="loss less standard's", format=".3f"),
        alt.Tooltip("value:Q", title="ROUGE-L", format=".3f"),
    ]
    chart = layered(
        base.mark_rule(color=colour, opacity=0.45, aria=False).encode(
            y=renamed(y, "low:Q"), y2="high:Q"
        ),
        base.mark_rule(color=colour, opacity=0.45, aria=False).encode(
            x=renamed(x, "x_low:Q"), x2="x_high:Q"
        ),
        base.mark_point(filled=True, size=70, color=colour, opacity=1, aria=False).encode(
            tooltip=tooltip
        ),
        leader.mark_rule(color=LIGHT["chart-muted"], strokeWidth=0.8, aria=False).encode(
            x=x, y=y, x2="label_x:Q", y2="label_y:Q"
        ),
        leader.mark_text(align="left", dx=3, color=ink, aria=False).encode(
            x=renamed(x, "label_x:Q"), y=renamed(y, "label_y:Q"), text="text:N"
        ),
    )
    title = "How much is written against what it costs"
    dressed = styled(chart, title, "down: less is written; left: better model", height=300)
    return [Figure("objectives-tradeoff", "objectives", dressed, "ROUGE-L by validation loss")]


def _labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """Where the names of points stand: beside them, but never on one another."""
    frame = frame.sort("value")
    width = float(frame["x"].max() - frame["x"].min()) or 1.0  # type: ignore[operator]
    places: list[tuple[float, float]] = []
    for x, value in frame.select("x", "value").iter_rows():
        # A name is about a third of the chart wide.
        below = [y for at, y in places if abs(at - x) < 0.4 * width]
        places.append((x, max([value + _LINE / 2, *(y + _LINE for y in below)])))
    # What was pushed above the top goes down again, the names below it in turn.
    top = 1.0
    for index in reversed(range(len(places))):
        x, y = places[index]
        if y > top:
            places[index] = (x, top)
            top -= _LINE
    return frame.with_columns(
        label_x=pl.col("x") + 0.03 * width,
        label_y=pl.Series([y for _, y in places], dtype=pl.Float64),
    )


def membership_figures(data: StudyData, config: GoldfishConfig) -> list[Figure]:
    """E7: how well two attacks tell documents that were shown from others, by k."""
    places = steps(scratch_cast(config))
    figures: list[Figure] = []
    for measure, words in _MEASURES.items():
        marks, seeds, published = [], [], []
        looks = list(ATTACKS.values())
        for number, (attack, look) in enumerate(ATTACKS.items()):
            rows = membership_rows(data, measure, attack)
            values = placed(rows, places, look.name)
            if values.is_empty():
                continue
            seeds.append(values)
            members = config.scratch.documents
            marks.append(attack_means(values, ("series", "at"), measure, members))
            if measure in _PUBLISHED:
                paper = Look(f"{look.name}, paper", "chart-muted", look.shape)
                looks.append(paper)
                column = 2 * number + _PUBLISHED.index(measure)
                published += [
                    {"series": paper.name, "at": at, "value": numbers[column]}
                    for at, numbers in PUBLISHED_MEMBERSHIP.items()
                ]
        if not marks:
            continue
        found = pl.concat(marks)
        schema = {"series": pl.String, "at": pl.String, "value": pl.Float64}
        paper_rows = pl.DataFrame(published, schema=schema)
        drawn = [found, pl.concat(seeds), paper_rows]
        y = share_axis(words, top=1.04)
        if measure == "auc":
            y = fitting_axis(words, drawn, digits=".2f")
        repetitions = int(found["seeds"].max() or 0)  # type: ignore[arg-type]
        chart = estimates_chart(
            found,
            looks,
            there(places, marks),
            y,
            x_title=f"one token in k is dropped; {CONTROL.name}: documents left out",
            title=words[0].upper() + words[1:],
            subtitle=f"mean of {repetitions} repetitions (small), bars: "
            + (
                "95 % t-intervals, none at 1" if measure == "auc" else "95 % intervals, all members"
            ),
            seeds=drawn[1],
            published=paper_rows,
            share=measure != "auc",
        )
        name = f"membership-{measure.replace('_', '-').replace('.', '')}"
        add(figures, name, chart, f"{words}, by k and attack", "membership")
    return figures
