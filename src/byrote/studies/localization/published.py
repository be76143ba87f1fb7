"""The paper's numbers (2311.09060, Tables 2, 3, 7 and 9), for the tables beside ours.

Parts of methods are those of `methods.PARTS`; models are called as the paper calls them.
"""

from __future__ import annotations

__all__ = ["DELETION", "MODELS", "RECALL", "RECALL_MODEL", "SECONDS"]

MODELS = {
    "gpt2": "GPT2",
    "gpt2-xl": "GPT2-XL",
    "EleutherAI/pythia-2.8b-deduped-v0": "Pythia-2.8B",
    "EleutherAI/pythia-6.9b-deduped": "Pythia-6.9B",
}
"""Hub id -> the paper's name."""

_ORDER = tuple(MODELS.values())
_PARTS = ("hard-concrete", "slimming", "zero-out", "integrated-gradients", "activations")

Recall = dict[tuple[str, float, str], tuple[float, float, float]]


def _recall(fraction: float, rows: str) -> Recall:
    """Read a table: a method a line, a model a column, R@r/2r/5r in per cent."""
    found: Recall = {}
    for part, line in zip(_PARTS, rows.strip().splitlines(), strict=True):
        for model, entry in zip(_ORDER, line.split(), strict=True):
            if entry != "-":
                one, two, five = (float(number) / 100 for number in entry.split("/"))
                found[model, fraction, part] = (one, two, five)
    return found


RECALL: Recall = {
    **_recall(
        0.01,
        """
        49.5/70.2/87.4 29.7/37.1/48.1 34.3/50.1/72.1 36.8/55.1/76.4
        48.1/66.7/80.7 19.3/29.2/41.1 37.0/50.7/61.5 39.9/55.1/66.5
        24.9/37.5/53.8 4.1/7.2/13.7 10.6/15.0/21.4 -
        20.5/32.1/49.9 4.3/7.2/13.3 11.6/16.9/23.9 12.8/18.7/27.2
        3.0/5.2/13.3 2.1/5.0/12.0 7.8/12.8/30.5 7.9/12.4/27.3
        """,
    ),
    **_recall(
        0.001,
        """
        56.4/79.6/93.7 47.5/59.1/68.0 48.5/67.3/86.7 46.4/66.3/82.3
        58.9/83.5/94.4 35.4/55.9/69.5 48.3/63.5/73.9 48.5/60.9/71.0
        54.1/77.8/90.9 14.3/21.8/31.9 16.5/21.1/26.6 -
        53.5/74.1/84.8 13.8/20.3/29.7 18.0/23.3/30.2 29.3/34.4/39.6
        11.1/26.5/51.5 7.5/15.9/30.6 21.6/34.6/52.5 34.0/45.9/59.5
        """,
    ),
}
"""Table 2: (model, fraction, part) -> Recall@r, @2r, @5r, the highest of every layer taken."""

RECALL_MODEL: Recall = {
    **_recall(
        0.01,
        """
        46.6/66.8/88.0 21.8/25.1/32.8 33.3/48.4/70.7 31.5/47.5/69.4
        43.1/64.6/79.9 5.2/11.5/27.0 33.6/47.3/59.8 35.0/49.6/63.4
        24.0/36.8/52.7 4.2/7.3/13.5 10.1/14.3/20.5 -
        10.3/18.1/36.3 1.4/4.8/12.2 6.1/10.8/21.1 8.9/13.9/24.1
        2.5/4.4/9.8 1.5/2.8/6.8 3.2/5.1/21.6 4.1/6.3/17.4
        """,
    ),
    **_recall(
        0.001,
        """
        51.2/77.4/96.4 49.8/57.5/63.6 45.6/65.5/85.9 28.7/40.7/55.8
        62.7/87.0/95.4 18.1/35.1/54.0 45.0/62.6/73.6 39.1/52.1/64.3
        57.4/81.7/91.9 14.7/20.9/31.1 16.4/20.6/25.8 -
        36.0/55.0/75.5 2.5/3.5/6.0 12.6/16.4/21.9 19.7/23.6/28.9
        9.0/12.9/23.4 3.5/4.6/6.7 8.0/16.8/40.5 21.2/31.4/50.2
        """,
    ),
}
"""Table 9: the same, the highest of the whole model taken."""

Deletion = dict[tuple[str, float, str], tuple[float, float, float, float, float]]


def _deletion(model: str, rows: str) -> Deletion:
    """Read a model's part of Table 3: a method a line, a measure a column, 0.1 % | 0.5 %."""
    found: Deletion = {}
    for line in rows.strip().splitlines():
        part, *entries = line.split()
        for index, fraction in enumerate((0.001, 0.005)):
            numbers = [float(entry.split("|")[index]) for entry in entries]
            own, far, neg, neg_far, text = numbers
            found[model, fraction, part] = (own / 100, far, neg / 100, neg_far, text)
    return found


DELETION: Deletion = {
    **_deletion(
        "GPT2-XL",
        """
        hard-concrete -34.6|-57.1 42.9|74.0 -2.4|-4.8 2.5|5.4 .03|.11
        slimming -30.5|-57.8 37.7|75.4 -3.5|-6.4 4.1|7.5 .02|.17
        zero-out -29.8|-46.1 33.0|55.2 -3.1|-4.8 3.5|5.5 .03|.09
        integrated-gradients -25.8|-40.8 27.0|46.0 -2.2|-3.4 2.3|3.7 .01|.05
        activations -14.8|-29.5 16.9|36.4 -3.0|-4.7 3.1|5.4 .11|.16
        random -.2|-.5 .2|.4 -.2|-.5 .1|.4 .00|.03
        """,
    ),
    **_deletion(
        "Pythia-2.8B",
        """
        hard-concrete -29.0|-53.2 55.3|99.8 -3.7|-10.5 7.7|22.1 .23|.56
        slimming -17.4|-45.1 32.9|80.8 -3.3|-7.0 6.6|13.9 .26|.49
        zero-out -14.8|-25.9 26.4|45.2 -1.1|-2.5 2.1|5.0 .21|.35
        integrated-gradients -16.7|-30.3 29.1|52.5 -0.9|-2.1 1.8|4.4 .09|.18
        activations -13.0|-25.5 27.5|52.2 -3.1|-6.1 6.6|12.9 .11|.20
        random -.1|-.3 .1|.5 -.1|-.3 .2|.5 .00|.02
        """,
    ),
    **_deletion(
        "Pythia-6.9B",
        """
        hard-concrete -29.2|-57.7 58.5|109.9 -3.8|-14.7 8.7|32.6 .16|.52
        slimming -24.1|-48.7 48.8|92.1 -4.2|-11.3 9.1|23.6 .23|.58
        integrated-gradients -16.9|-32.3 31.4|57.8 -2.3|-4.9 5.3|11.5 .27|.37
        activations -11.5|-26.8 25.5|51.5 -2.5|-8.1 5.5|17.2 .12|.45
        random -.1|-.2 .1|.4 -.1|-.2 .1|.3 .00|.02
        """,
    ),
}
"""Table 3: (model, fraction, part) -> change of the target's accuracy (a share) and distance, of
the others' accuracy and distance, and of what the paper calls perplexity."""

SECONDS = {
    "activations": 0.3,
    "slimming": 12.0,
    "hard-concrete": 60.0,
    "integrated-gradients": 43 * 60.0,
    "zero-out": 8.5 * 3600.0,
}
"""Table 6: seconds for one sequence of Pythia-6.9B on an A6000, by part."""
