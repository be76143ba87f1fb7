"""The report in a headless browser. These tests fail in CI where there is no Chromium."""

from __future__ import annotations

from urllib.parse import quote

import polars as pl
import pytest
from synthetic import NASTY, SCRIPT

pytestmark = pytest.mark.browser

_IDS = "[...document.querySelectorAll('#explorer-cards h3')].map((e) => e.textContent)"
_COUNT = "document.querySelector('#explorer-count').textContent"
_TIP = "document.querySelector('#explorer-tip')"
_THEME = "document.documentElement.dataset.theme"
_PAGE_COLOUR = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture
def texts(run_of):
    frame = pl.read_parquet(run_of("base") / "tables" / "passages.parquet")
    return frame.filter(~pl.col("is_control")).with_columns(
        per=pl.col("logprob") / pl.col("suffix_len")
    )


def _live(browser):
    browser.wait(
        "document.querySelectorAll('.chart').length"
        " === document.querySelectorAll('[data-live]').length"
    )


def test_the_page_asks_for_nothing_and_reports_no_problem(browser, report_of):
    browser.open(report_of("base"))
    _live(browser)
    assert [r for r in browser.requests if not r.startswith("data:")] == [
        report_of("base").resolve().as_uri()
    ]
    assert browser.problems == []


def test_every_kind_of_run_opens_without_a_problem(browser, report_of, kind):
    browser.open(report_of(kind))
    _live(browser)
    assert browser.problems == []
    assert browser.run("document.querySelectorAll('.card').length") >= 1


def test_every_chart_comes_alive_under_the_policy(browser, report_of):
    browser.open(report_of("sweep"))
    _live(browser)
    states = browser.run("[...document.querySelectorAll('[data-live]')].map((e) => e.dataset.live)")
    assert len(states) >= 15
    assert set(states) == {"yes"}
    assert browser.run("document.querySelectorAll('.chart > svg').length") == 0
    assert browser.run("document.querySelectorAll('.chart svg').length") == len(states)


def test_the_policy_stops_a_script_and_a_request_that_are_put_in_later(browser, report_of):
    browser.open(report_of("base"))
    browser.run(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.broken = 1';"
        " document.body.append(s); const i = new Image(); i.src = 'https://example.org/a.png';"
        " document.body.append(i); })()"
    )
    assert browser.run("window.broken === undefined")
    assert any("Content Security Policy" in problem for problem in browser.problems)


def test_a_script_in_a_passage_is_shown_and_not_run(browser, report_of):
    browser.open(report_of("base"), "q=" + quote(SCRIPT))
    shown = browser.run("document.querySelector('#explorer-cards').textContent")
    assert SCRIPT in shown
    assert browser.run("document.querySelectorAll('#explorer-cards script').length") == 0
    assert browser.run("document.querySelectorAll('#explorer-cards b').length") > 0  # badges
    assert not any("dialog" in problem for problem in browser.problems)


def test_text_is_never_taken_as_markup(browser, report_of):
    browser.open(report_of("base"), "q=" + quote("<b>bold</b>"))
    assert NASTY[1] in browser.run("document.querySelector('#explorer-cards').textContent")
    assert browser.run("document.querySelectorAll('.part-text b').length") == 0


def test_characters_that_hide_or_turn_the_line_are_shown_as_signs(browser, report_of):
    browser.open(report_of("base"), "q=" + quote("reversed"))
    shown = browser.run("document.querySelector('.part-text').textContent")
    for sign in ("␀", "␇", "␛", "[U+2028]", "[U+202E]"):
        assert sign in shown
    assert "\u202e" not in shown


def test_line_breaks_are_kept_and_signed(browser, report_of):
    browser.open(report_of("base"), "q=" + quote("line one"))
    assert "line one↵\nline two↵\n↵\n" in browser.run(
        "document.querySelector('.part-text').textContent"
    )


def test_passages_are_sorted_by_how_well_they_are_recited(browser, report_of, texts):
    browser.open(report_of("base"), "group=texts")
    expected = texts.with_row_index().sort(
        pl.col("per").round(6), "index", descending=[True, False]
    )
    assert browser.run(_IDS)[:10] == expected["id"].to_list()[:10]


@pytest.mark.parametrize(
    ("key", "column"), [("run", "longest_run"), ("acc", "token_accuracy"), ("lp", "per")]
)
def test_the_order_can_be_turned(browser, report_of, texts, key, column):
    browser.open(report_of("base"), f"group=texts&sort={key}&dir=asc")
    values = dict(texts.select("id", column).iter_rows())
    shown = [values[i] for i in browser.run(_IDS)]
    assert shown == pytest.approx(sorted(values.values())[: len(shown)])


def test_filters_and_the_number_shown(browser, report_of, texts):
    browser.open(report_of("base"), "group=texts&source=corpus:licenses&category=MIT&recited=full")
    wanted = texts.filter((pl.col("category") == "MIT") & pl.col("extractable"))
    assert 0 < len(wanted) < 20
    assert sorted(browser.run(_IDS)) == sorted(wanted["id"])
    assert browser.run(_COUNT) == f"{len(wanted)} of 160 match; {len(wanted)} shown"


def test_controls_can_be_shown_alone(browser, report_of):
    browser.open(report_of("base"), "group=mismatched")
    assert browser.run(_COUNT) == "80 of 160 match; 20 shown"
    assert all(i.endswith("~mismatched") for i in browser.run(_IDS))


def test_typing_searches_and_keeps_the_state_in_the_address(browser, report_of, texts):
    browser.open(report_of("base"))
    browser.run("document.querySelector('[name=q]').focus()")
    browser.call("Input.insertText", text="BSD-3-Clause-2@")
    wanted = texts.filter(pl.col("id").str.contains("BSD-3-Clause-2@", literal=True))
    browser.wait(f"{_COUNT}.startsWith('{2 * len(wanted)} of 160 match')")
    assert "q=BSD-3-Clause-2" in browser.run("location.hash")


def test_a_search_without_result_says_so(browser, report_of):
    browser.open(report_of("base"), "q=" + quote("no such words anywhere"))
    assert browser.run(_COUNT) == "None of 160 matches"
    assert browser.run("document.querySelector('#explorer-more').hidden")


def test_a_changed_address_changes_the_view(browser, report_of):
    browser.open(report_of("base"))
    browser.run("location.hash = '#group=texts&recited=not&sort=acc'")
    browser.wait(f"!{_COUNT}.startsWith('160')")
    assert browser.run("document.querySelector('[name=sort]').value") == "acc"


def test_a_senseless_address_is_harmless(browser, report_of):
    browser.open(report_of("base"), "sort=nonsense&group=__proto__&dir=%00&min=x&other=1")
    assert browser.problems == []
    assert browser.run(_COUNT).startswith("160 of 160")


def test_more_passages_are_shown_on_demand(browser, report_of):
    browser.open(report_of("base"))
    browser.run("document.querySelector('#explorer-more').click()")
    assert browser.run(_COUNT) == "160 of 160 match; 40 shown"
    assert browser.run("document.querySelectorAll('.card').length") == 40


def test_recited_stretches_are_underlined_from_the_chosen_length(browser, report_of, run_of):
    tokens = pl.read_parquet(run_of("base") / "tables" / "tokens.parquet")
    for least in (1, 5, 12):
        browser.open(report_of("base"), f"group=texts&recited=not&sort=run&min={least}")
        first = browser.run(_IDS)[0]
        hits = tokens.filter(pl.col("passage") == first).sort("position")["hit"].to_list()
        expected = []
        for run in "".join("x" if hit else " " for hit in hits).replace(" ", "| |").split("|"):
            expected += [run[:1] == "x" and len(run) >= least] * len(run)
        marked = browser.run(
            "[...document.querySelector('.suffix .part-text').querySelectorAll('.tok')]"
            ".map((t) => t.classList.contains('run'))"
        )
        assert marked == expected


def test_a_token_is_shaded_by_its_probability(browser, report_of, run_of):
    browser.open(report_of("base"), "group=texts&recited=not")
    first = browser.run(_IDS)[0]
    tokens = pl.read_parquet(run_of("base") / "tables" / "tokens.parquet")
    chances = tokens.filter(pl.col("passage") == first).sort("position")["logprob"].exp()
    shades = browser.run(
        "[...document.querySelector('.suffix .part-text').querySelectorAll('.tok')]"
        ".map((t) => Number(/p(\\d)/.exec(t.className)[1]))"
    )
    edges = (0.01, 0.1, 0.5, 0.9, 0.99)
    for chance, shade in zip(chances, shades, strict=True):
        if min(abs(chance - edge) for edge in edges) > 0.002:
            assert shade == sum(chance >= edge for edge in edges)


def test_tokens_can_be_reached_by_keyboard_and_left_again(browser, report_of):
    browser.open(report_of("base"), "group=texts&recited=not")
    browser.run("document.querySelector('.suffix .part-text').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowRight")
    assert "2 of 50" in browser.run(f"{_TIP}.textContent")
    browser.press("End")
    assert "50 of 50" in browser.run(f"{_TIP}.textContent")
    browser.press("ArrowRight")
    assert "50 of 50" in browser.run(f"{_TIP}.textContent")
    browser.press("Home")
    assert "1 of 50" in browser.run(f"{_TIP}.textContent")
    browser.press("Escape")
    assert browser.run(f"{_TIP}.hidden")
    browser.press("Tab")
    assert not browser.run("document.activeElement.matches('.suffix .part-text')")


def test_the_tooltip_of_a_miss_says_what_the_model_would_have_said(browser, report_of, run_of):
    browser.open(report_of("base"), "group=texts&recited=not&sort=acc&dir=asc")
    first = browser.run(_IDS)[0]
    tokens = pl.read_parquet(run_of("base") / "tables" / "tokens.parquet")
    miss = tokens.filter((pl.col("passage") == first) & ~pl.col("hit")).sort("position")
    miss = miss.row(0, named=True)
    browser.run(
        "document.querySelectorAll('.suffix .part-text')[0].querySelectorAll('.tok')"
        f"[{miss['position']}].dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}))"
    )
    shown = browser.run(f"{_TIP}.textContent")
    assert f"model says“{miss['argmax_text']}”".replace("\n", "↵") in shown
    assert f"rank{miss['rank'] + 1:,}. choice" in shown


def test_tab_starts_with_the_skip_link(browser, report_of):
    browser.open(report_of("base"))
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Enter")
    assert browser.run("location.hash") == "#report"


def test_the_theme_follows_the_system_and_the_button_turns_it(browser, report_of):
    browser.emulate(scheme="light")
    browser.open(report_of("base"))
    browser.run("localStorage.clear()")
    browser.open(report_of("base"))
    light = browser.run(_PAGE_COLOUR)
    browser.emulate(scheme="dark")
    dark = browser.run(_PAGE_COLOUR)
    assert light != dark
    browser.run("document.querySelector('#theme-switch').click()")
    assert browser.run(_PAGE_COLOUR) == light
    assert browser.run(_THEME) == "light"
    browser.run("document.querySelector('#theme-switch').click()")
    assert browser.run(_PAGE_COLOUR) == dark
    browser.emulate(scheme="light")
    browser.open(report_of("base"))
    assert browser.run(_THEME) == "dark"
    browser.run("localStorage.clear()")


def test_the_address_can_ask_for_a_theme(browser, report_of):
    browser.open(report_of("base"), "theme=dark&q=God")
    assert browser.run(_THEME) == "dark"
    assert "theme=dark" in browser.run("location.hash") or browser.run(_THEME) == "dark"


def test_charts_turn_dark_with_the_page(browser, report_of):
    browser.open(report_of("base"), "theme=light")
    _live(browser)
    colour = "getComputedStyle(document.querySelector('.chart svg text')).fill"
    light = browser.run(colour)
    browser.run("document.querySelector('#theme-switch').click()")
    assert browser.run(colour) != light
    browser.run("localStorage.clear()")


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_the_page_never_scrolls_sideways(browser, report_of, width):
    browser.emulate(width=width)
    browser.open(report_of("sweep"))
    _live(browser)
    assert browser.run("document.documentElement.scrollWidth") <= width
    overflow = browser.run(
        "[...document.querySelectorAll('.chart')]"
        ".filter((c) => c.querySelector('svg').getBoundingClientRect().width > c.clientWidth + 1)"
        ".map((c) => c.dataset.chart)"
    )
    assert overflow == []


def test_a_large_run_answers_a_search_at_once(browser, report_of):
    browser.open(report_of("large"))
    count = browser.run(_COUNT)
    assert "1,000 of 1,000 match" in count
    milliseconds = browser.run(
        "(() => { const q = document.querySelector('[name=q]'); const start = performance.now();"
        " location.hash = '#q=Software'; window.dispatchEvent(new HashChangeEvent('hashchange'));"
        " return performance.now() - start; })()"
    )
    assert milliseconds < 1_000


def test_the_state_without_scripts_still_shows_charts_and_numbers(browser, report_of):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report_of("base"))
        tree = browser.call("DOM.getDocument", depth=-1, pierce=True)
        text = browser.call("DOM.getOuterHTML", nodeId=tree["root"]["nodeId"])["outerHTML"]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert 'data-live="' not in text
    assert text.count('class="marks"') == 13
    assert "without it they can be read from tables/passages.parquet" in text
