"""The report of a study: verdicts in colour, sign and word; its own sections; provenance."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import altair as alt
import polars as pl
import pytest
from tests.studies.fake import STUDY, DiceConfig

from byrote.errors import InputError
from byrote.report import ChartBlock, Figure, Section, load_study_data, study_page
from byrote.report.plotting import styled
from byrote.runs import Run
from byrote.studies import run_study
from byrote.studies.registry import STUDIES


def sections(data, config):
    bars = alt.Chart(data.tables["means"]).mark_bar().encode(x="name:N", y="mean:Q")
    figure = Figure("means", "means", styled(bars, f"{config.strings} strings"), "means by source")
    return [Section("means", "Means of <dice>", [ChartBlock([figure], "Higher is more.")], "Means")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(STUDIES, "dice", "tests.studies.fake:STUDY")
        folder = tmp_path_factory.mktemp("study") / "run"
        study = replace(STUDY, sections=sections)
        run_study(study, DiceConfig(), out=folder, engine="inline", preset="smoke")
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_order_of_the_page(page):
    anchors = re.findall(r'<section id="([\w-]+)"', page)
    assert anchors == ["claims", "means", "run"]
    assert "preset smoke" in page
    assert "On &lt;dice&gt; (arXiv 0000.00000)" in page


@pytest.mark.parametrize(
    ("mark", "words"), [("good", "✓ holds"), ("bad", "✗ fails"), ("open", "– not tested")]
)
def test_a_verdict_is_told_by_colour_sign_and_word(page, mark, words):
    assert page.count(f'<span class="verdict {mark}">{words}</span>') == 1


def test_published_and_measured_stand_side_by_side(page):
    row = re.search(r"<tr><th[^>]*>Dice show more eyes.*?</tr>", page, re.DOTALL)
    assert row is not None
    cells = [unescape(re.sub("<[^>]+>", "", c)) for c in re.findall("<td.*?</td>", row[0])]
    assert cells[1] == "2.0"
    assert cells[2].endswith("gap of the means")
    assert cells[3] == "the gap is above 0"


def test_what_a_study_says_is_escaped(page):
    assert "A die is a &lt;i&gt;coin&lt;/i&gt;" in page
    assert "6 &lt;b&gt;sides&lt;/b&gt;" in page
    assert "Means of &lt;dice&gt;" in page


def test_verdicts_are_counted_at_the_top(page):
    facts = re.findall(r"<li><strong>(\d+)</strong> <span>([\w ]+)</span>", page)
    assert facts == [("1", "claims hold"), ("1", "claims fail"), ("1", "were not tested")]


def test_only_marks_that_occur_are_explained(page):
    assert "S: summaries written by machine" in page
    assert "D: logs of the authors" not in page


def test_the_run_is_described(page):
    text = unescape(re.sub("<[^>]+>", " ", page))
    for words in ("sources.1.sides", "tables/throws.parquet", "engine", "threads", "coin-0"):
        assert words in text
    assert "3 strings of each source" in text


def test_charts_are_saved_beside_the_page(folder):
    assert sorted(p.name for p in (folder / "charts").iterdir()) == ["means.json", "means.svg"]


def test_own_facts_take_the_place_of_the_counts(folder):
    shown = study_page(load_study_data(folder), facts=[("3.3", "nats", "ln 26")])
    assert shown.facts == [("3.3", "nats", "ln 26")]
    assert [section.id for section in shown.sections] == ["claims", "run"]


def test_a_study_without_claims_says_so(folder):
    data = load_study_data(folder)
    shown = study_page(replace(data, claims=data.claims.clear()))
    assert shown.sections[0].blocks[-1].paragraphs == ["This study makes no claims."]


def test_a_run_without_claims_table_has_no_report(tmp_path):
    Run.start(tmp_path / "r", "dice", {})
    with pytest.raises(InputError, match="has no table of claims"):
        load_study_data(tmp_path / "r")


def test_all_tables_are_at_hand(folder):
    data = load_study_data(folder)
    assert set(data.tables) == {"throws", "surroundings", "cells", "means", "claims"}
    assert data.tables["means"].equals(pl.read_parquet(folder / "tables" / "means.parquet"))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_a_problem_and_fits(browser, folder, width, scheme):
    browser.emulate(width=width, scheme=scheme)
    browser.open(folder / "report.html")
    browser.wait("document.querySelectorAll('[data-live]').length === 1")
    assert browser.problems == []
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.run(
        "(() => { const t = document.querySelector('.sentences');"
        " return t.scrollWidth <= t.clientWidth; })()"
    )


@pytest.mark.browser
def test_on_a_narrow_screen_each_cell_names_its_column(browser, folder):
    browser.emulate(width=400)
    browser.open(folder / "report.html")
    heads = browser.run(
        "[...document.querySelector('.sentences tbody tr').querySelectorAll('td')]"
        ".map((e) => getComputedStyle(e, '::before').content)"
    )
    assert heads == ['"verdict"', '"published"', '"measured here"', '"why"']
