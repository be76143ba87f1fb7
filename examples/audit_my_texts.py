"""Audit texts of your own: write them as JSONL, ask the model, read the tables.

Texts that the model may have seen go into one file, texts that it cannot have seen into another:
what it gets right of the second is guessing. Runs offline on the bundled SmolLM2-135M, in a
temporary folder.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import polars as pl

from byrote import AuditConfig, run_audit

FAMOUS = {
    "gettysburg": (
        "Four score and seven years ago our fathers brought forth on this continent, a new "
        "nation, conceived in Liberty, and dedicated to the proposition that all men are created "
        "equal."
    ),
    "preamble": (
        "We the People of the United States, in Order to form a more perfect Union, establish "
        "Justice, insure domestic Tranquility, provide for the common defence, promote the "
        "general Welfare, and secure the Blessings of Liberty to ourselves and our Posterity."
    ),
}
INVENTED = {
    "ferry": (
        "The ferry to Osmundholm left at ten past four with two goats, a piano in a crate and a "
        "man who had forgotten his own birthday, and nobody on board thought any of it strange "
        "until the fog came down."
    ),
    "ledger": (
        "On page ninety of the harbour ledger someone had drawn a blue heron beside the price of "
        "rope, and under the heron, in another hand, the name of a street that was never built, "
        "followed by three question marks."
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = AuditConfig(
            model="bundled:smollm2-135m",
            texts=(_write(folder / "famous.jsonl", FAMOUS),),
            controls=("mismatched", _write(folder / "invented.jsonl", INVENTED)),
            prefix_len=(15,),
            suffix_len=15,
        )
        run = run_audit(config, out=folder / "run")

        passages = pl.read_parquet(run.table("passages"))
        for row in passages.sort("token_accuracy", descending=True).iter_rows(named=True):
            print(
                f"{row['control'] or 'text':10}  {row['record']:10}  "
                f"{row['token_accuracy']:4.0%} right, {row['longest_run']:2} in a row"
            )
        summary = pl.read_parquet(run.table("summary"))
        print(f"\n{len(summary)} rows in the summary, report of", end=" ")
        print(f"{(run.folder / 'report.html').stat().st_size / 1e6:.1f} MB")


def _write(path: Path, texts: dict[str, str]) -> str:
    """Write a JSONL file, one record a line; return its path as a source's name."""
    lines = [json.dumps({"id": key, "text": text}) for key, text in texts.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


if __name__ == "__main__":
    main()
