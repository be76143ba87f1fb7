from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from markupsafe import Markup
from synthetic import Shape, write_run

from byrote.report import (
    Cell,
    ChartBlock,
    HtmlBlock,
    Page,
    ProseBlock,
    Section,
    TableBlock,
    audit_figures,
    audit_page,
    load_report_data,
    render_page,
    write_report,
)
from byrote.report.findings import headline_sentences, summary_blocks

_LOADING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "manifest"}


class _Outline(HTMLParser):
    """What a page loads, runs and is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.metas: dict[str, str] = {}
        self.tags: list[str] = []
        self.text = ""
        self._inside: list[str] = []
        self._script: str | None = None

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.loads += [v for k, v in values.items() if k in _LOADING]
        self.handlers += [k for k in values if k.startswith("on")]
        if tag == "link":
            self.loads.append(values.get("href", ""))
        elif tag in ("a", "use", "image"):
            self.links.append(values.get("href", values.get("xlink:href", "")))
        if tag == "meta" and "http-equiv" in values:
            self.metas[values["http-equiv"]] = values["content"]
        if tag == "script":
            self._script = values.get("type", "")
            self.scripts += [] if self._script else [""]
        self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script == "":
            self.scripts[-1] += data
        elif self._script is None and self._inside and self._inside[-1] != "style":
            self.text += data


def _outline(html: str) -> _Outline:
    outline = _Outline()
    outline.feed(html)
    outline.text = re.sub(r"\s+", " ", outline.text)
    return outline


@pytest.fixture(scope="module")
def base(report_of):
    return _outline(report_of("base").read_text(encoding="utf-8"))


def test_nothing_is_loaded(base):
    assert base.loads == []
    assert all(link.startswith(("#", "https://arxiv.org/abs/")) for link in base.links)


def test_no_style_loads_anything(report_of):
    html = report_of("base").read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", html, re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_forbids_everything_but_the_pages_own_scripts(base):
    policy = dict(
        part.strip().split(" ", 1) for part in base.metas["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    hashes = {
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in base.scripts
    }
    assert hashes == set(policy["script-src"].split())
    assert len(base.scripts) == 3
    assert "connect-src" not in policy
    assert base.handlers == []


def test_ids_are_unique(base):
    assert len(base.ids) == len(set(base.ids))


def test_the_page_has_landmarks_and_one_first_heading(base):
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert base.tags.count(tag) == 1
    assert base.tags.count("section") == base.tags.count("h2") >= 8


def test_the_headline_is_that_of_the_tables(base, run_of):
    passages = pl.read_parquet(run_of("base") / "tables" / "passages.parquet")
    texts = passages.filter(~pl.col("is_control"))
    hits = int(texts["extractable"].sum())
    accuracy = 100 * texts["token_accuracy"].to_numpy().mean()
    assert f"Of 80 passages, the model recites {hits} in full ({100 * hits / 80:.1f} %" in base.text
    assert f"On average {accuracy:.1f} % of the suffix tokens" in base.text
    longest = texts["longest_run"].to_numpy().max()
    assert f"the longest verbatim stretch is {longest} tokens" in base.text


def test_every_number_of_the_summary_is_in_the_table(base, run_of):
    data = load_report_data(run_of("base"))
    for row in data.headline.filter(pl.col("unit") == "share").iter_rows(named=True):
        if row["source"] != "all" or row["category"] == "all":
            assert f"{100 * row['value']:.1f} %" in base.text
            assert f"{100 * row['low']:.1f}–{100 * row['high']:.1f} %" in base.text


def test_what_was_run_is_in_the_page(base, run_of):
    info = load_report_data(run_of("base")).run
    for fact in (
        info["command"],
        info["model"]["weights_hash"],
        info["data"]["hash"],
        info["config_hash"],
        info["versions"]["torch"],
        info["hardware"]["cpu"],
        info["notes"][0],
        "3 min 21 s",
    ):
        assert fact in base.text


def test_papers_are_cited(base):
    for number in ("2202.07646", "2410.19482", "2505.12546", "2404.02936"):
        assert f"arXiv:{number}" in base.text


def test_sentences_without_controls_say_so(run_of):
    sentences = headline_sentences(load_report_data(run_of("no-controls")))
    assert "There are no controls" in sentences[-1]
    assert "control" not in sentences[0]


def test_sentences_of_one_passage(run_of):
    sentences = headline_sentences(load_report_data(run_of("one")))
    assert sentences[0].startswith("Asked for one passage, the model recites")


def test_sentences_of_no_recital(run_of):
    sentences = headline_sentences(load_report_data(run_of("zero")))
    assert sentences[0].startswith("Of 80 passages, the model recites 0 in full (0.0 %")
    assert "first choice" in sentences[1]


def test_sentences_of_a_run_of_verdicts_only(run_of):
    sentences = headline_sentences(load_report_data(run_of("verdict-only")))
    assert len(sentences) == 1


def test_held_out_controls_are_beside_every_group(run_of):
    page = audit_page(load_report_data(run_of("held-out")))
    tables = [b for b in page.sections[0].blocks if isinstance(b, TableBlock)]
    assert all("held-out: 0.0 %" in row[2].small for row in tables[0].rows)


def test_every_kind_of_run_has_a_whole_report(report_of, kind):
    html = report_of(kind).read_text(encoding="utf-8")
    assert html.endswith("</html>")
    assert "nan" not in _outline(html).text.lower().split()


def test_a_report_is_small_enough_to_send(report_of):
    assert report_of("base").stat().st_size < 2_500_000
    assert report_of("large").stat().st_size < 5_000_000


def test_a_report_is_the_same_each_time(run_of, report_of):
    before = report_of("one").read_bytes()
    assert write_report(run_of("one")).read_bytes() == before


def test_names_with_markup_are_escaped(tmp_path):
    run = write_run(tmp_path / "run", Shape(per_category=2))
    evil = "<img src=x onerror=alert(1)>"
    for path in (run / "tables").iterdir():
        frame = pl.read_parquet(path)
        for column in {"source", "category"} & set(frame.columns):
            frame = frame.with_columns(pl.col(column).replace({"corpus:kjv": evil, "MIT": evil}))
        frame.write_parquet(path)
    info = run / "run.json"
    info.write_text(info.read_text().replace("byrote audit", evil))
    outline = _outline(write_report(run).read_text(encoding="utf-8"))
    assert outline.handlers == []
    assert outline.loads == []
    assert "img" not in outline.tags
    assert evil in outline.text


def test_a_study_can_build_its_own_page(run_of):
    figure = audit_figures(load_report_data(run_of("base")))[0]
    page = Page(
        title="A <study>",
        subtitle="of something",
        sections=[
            Section(
                "claims",
                "Claims & verdicts",
                [
                    ProseBlock(["1 < 2"]),
                    TableBlock(
                        "Verdicts", ["claim", "verdict"], [[Cell("<i>", True), Cell("holds")]]
                    ),
                    ChartBlock([figure], "Read it so."),
                    HtmlBlock(Markup("<p class='own'>own</p>")),
                ],
            )
        ],
    )
    html = render_page(page)
    outline = _outline(html)
    assert "A <study>" in outline.text
    assert "1 < 2" in outline.text
    assert "<i>" in outline.text
    assert "i" not in outline.tags
    assert "passage-data" not in outline.ids
    assert "svg" in outline.tags
    assert "<p class='own'>" in html


def test_a_page_without_charts_carries_no_chart_library():
    html = render_page(Page("Title", "sub", [Section("a", "A", [ProseBlock(["b"])])]))
    assert len(html) < 60_000


def test_the_overview_says_of_how_many_records(run_of):
    blocks = summary_blocks(load_report_data(run_of("base")))
    overview = next(block for block in blocks if isinstance(block, TableBlock))
    assert overview.rows[0][1].text == "80"
    assert overview.rows[0][1].small == "of 28 records"
