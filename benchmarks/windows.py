"""Passages of ids, from a Parquet file through windows, on one core."""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import table
from byrote.texts import cut, open_source

PASSAGES, LENGTH, A_RECORD = 1_000_000, 100, 10


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ids.parquet"
        schema = pa.schema([("input_ids", pa.list_(pa.int32()))])
        with pq.ParquetWriter(path, schema) as writer:
            for _ in range(100):
                block = rng.integers(0, 50_000, (PASSAGES // A_RECORD // 100, LENGTH * A_RECORD))
                lists = pa.FixedSizeListArray.from_arrays(
                    pa.array(block.astype(np.int32).ravel()), LENGTH * A_RECORD
                ).cast(schema.field(0).type)
                writer.write_table(pa.table({"input_ids": lists}, schema=schema))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        count = sum(1 for _ in cut(open_source(str(path)).records(), None, vocab_size=50_000))
        seconds = time.perf_counter() - start
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        size = path.stat().st_size
    assert count == PASSAGES
    table(
        "1 M passages of ids through texts and windows, one core (at least 20,000 a second)",
        [
            ("passages a second", f"**{count / seconds:,.0f}**"),
            ("file", f"{size / 1e6:,.0f} MB"),
            ("memory grown by", f"{grown / 1e6:,.0f} MB"),
        ],
    )


if __name__ == "__main__":
    main()
