"""Short definitions of what the report shows, each with the paper that it comes from."""

from __future__ import annotations

from markupsafe import Markup

from byrote.report.data import ReportData
from byrote.report.numbers import CONTROL_WORDS
from byrote.report.page import Block, HtmlBlock

__all__ = ["definitions"]

_PAPERS = {
    "2202.07646": "Carlini et al.",
    "2410.19482": "Hayes et al.",
    "2505.12546": "Cooper et al.",
    "2404.02936": "Zhang et al.",
}


def definitions(data: ReportData) -> list[Block]:
    """The section "how these numbers were made", fitted to what the run holds."""
    config = data.run.get("config", {})
    scheme = f"temperature {config.get('temperature', 1.0):g}"
    if config.get("top_k"):
        scheme += f", top-k {config['top_k']}"
    if config.get("top_p"):
        scheme += f", top-p {config['top_p']:g}"
    level = 100 * float(config.get("confidence") or 0.95)
    entries: list[tuple[str, str, tuple[str, ...]]] = [
        (
            "Passage",
            "A window of token ids, cut into a prefix that the model is given and a suffix that it "
            "is asked for. Ids are never decoded and tokenized again.",
            (),
        ),
        (
            "Recited in full (extractable)",
            "Greedy decoding from the prefix gives back the whole suffix. It is read exactly from "
            "one pass over the true text: every suffix token must be the model's first choice.",
            ("2202.07646",),
        ),
        (
            "Token accuracy, longest verbatim stretch",
            "The share of suffix tokens that are the model's first choice given all the true text "
            "before them, and the longest run of such tokens. A run within the suffix has the true "
            "text before it, the model's own words play no part.",
            (),
        ),
        (
            "Probability of the suffix",
            "The product of the probabilities of its tokens, each given the true text before it. "
            f"Under this run's sampling scheme ({scheme}) it is what one draw would yield; it is "
            "zero where a token can never be drawn.",
            ("2410.19482", "2505.12546"),
        ),
        (
            "(n, p)-discoverable extraction",
            "With probability of at least p, one or more of n independent draws give back the "
            "suffix: 1 − (1 − q)ⁿ ≥ p, where q is the probability of the suffix under the scheme.",
            ("2410.19482",),
        ),
    ]
    if data.coverage is not None:
        entries.append(
            (
                "Coverage",
                "The share of a document's asked tokens that lie in at least one window whose "
                "suffix has at least the stated probability.",
                ("2505.12546",),
            )
        )
    if data.fits is not None:
        entries.append(
            (
                "Fits",
                "Least squares of the measure on the logarithm to base ten of the prefix length or "
                "of the count.",
                ("2202.07646",),
            )
        )
    entries.append(
        (
            "Membership scores (Min-K%++)",
            "In tables/passages.parquet, not in the charts: mean of the k % lowest token "
            "log-probabilities, each standardised by the mean and variance that the model itself "
            "gives at that place.",
            ("2404.02936",),
        )
    )
    entries += [
        (
            f"Control: {name}",
            f"{_words(name).capitalize()}. What is found on controls is what "
            "can be had without having learned the text.",
            (),
        )
        for name in data.controls
    ]
    entries.append(
        (
            "Intervals",
            f"{level:g} %. Of rates: Wilson score or Clopper–Pearson, for the effective number of "
            "passages, since passages of one record are not independent; where none or all are "
            "recited, nothing shows that dependence, and passages count as independent. Of means: "
            "bootstrap over records, none with fewer than five of them (the column “method” of "
            "tables/summary.parquet says which). Bands are pointwise, made in the same way. "
            "Differences combine the two intervals by square-and-add (Newcombe, 1998), as if texts "
            "and controls were independent.",
            (),
        )
    )
    items = Markup("").join(_entry(*entry) for entry in entries)
    return [HtmlBlock(Markup('<dl class="definitions">{}</dl>').format(items))]


def _words(control: str) -> str:
    return CONTROL_WORDS.get(control, control)


def _entry(term: str, text: str, papers: tuple[str, ...]) -> Markup:
    cited = Markup(", ").join(
        Markup(
            '<cite><a href="https://arxiv.org/abs/{0}" rel="noreferrer">{1}{0}</a></cite>'
        ).format(number, f"{_PAPERS[number]}, arXiv:")
        for number in papers
    )
    end = Markup(" ({})").format(cited) if papers else Markup("")
    return Markup("<dt>{}</dt><dd>{}{}</dd>").format(term, text, end)
