import errno
import json
import os

import polars as pl
import pytest

from byrote.errors import ByroteError
from byrote.runs import Parts, replacing, write_json, write_parquet


def test_a_file_appears_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_half_way():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ByroteError, match=r"run\.json: the disk is full .* free\)"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}


needs_a_full_device = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="no device that is always full"
)


@needs_a_full_device
def test_a_table_that_does_not_fit_is_the_disk_s_fault(tmp_path):
    path = tmp_path / "t.parquet"
    write_parquet(path, pl.DataFrame({"x": [1]}))
    (tmp_path / f".t.parquet.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(ByroteError, match=r"t\.parquet: the disk is full"):
        write_parquet(path, pl.DataFrame({"x": range(100_000)}))
    assert pl.read_parquet(path)["x"].to_list() == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_part_that_does_not_fit_leaves_the_others(tmp_path, monkeypatch):
    parts = Parts(tmp_path)
    parts.write(0, {"t": pl.DataFrame({"x": [1]})})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.mkdir", full)
        with pytest.raises(ByroteError, match=r"000001: the disk is full"):
            parts.write(1, {"t": pl.DataFrame({"x": [2]})})
        with pytest.raises(ByroteError, match=r"new/a\.json: the disk is full"):
            write_json(tmp_path / "new" / "a.json", {})
    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.write_table", full)
        with pytest.raises(ByroteError, match="the disk is full"):
            parts.write(1, {"t": pl.DataFrame({"x": [2]})})
    assert parts.done() == {0}


def test_tables_keep_their_columns(tmp_path):
    frame = pl.DataFrame(
        {"a": ["x", None], "b": [1.5, float("inf")], "c": [[1], []], "d": [None, True]}
    ).with_columns(e=pl.Series([1, None], dtype=pl.Int32))
    write_parquet(tmp_path / "t.parquet", frame)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)
    assert pl.read_parquet_schema(tmp_path / "t.parquet") == frame.schema


def test_json_refuses_what_json_cannot_say(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_parts_join_in_order_and_are_whole(tmp_path):
    parts = Parts(tmp_path)
    frames = [pl.DataFrame({"x": [i, i + 10], "y": ["a", None]}) for i in range(3)]
    for index in (2, 0, 1):
        parts.write(index, {"t": frames[index]})
    assert parts.done() == {0, 1, 2}
    parts.join("t", tmp_path / "tables" / "t.parquet", 3)
    joined = pl.read_parquet(tmp_path / "tables" / "t.parquet")
    assert joined.equals(pl.concat(frames))
    parts.remove()
    assert parts.done() == set()


def test_a_half_written_part_does_not_count(tmp_path, monkeypatch):
    parts = Parts(tmp_path)
    frame = pl.DataFrame({"x": [1]})
    real = write_parquet
    calls = []

    def dies_at_the_second_table(path, value):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(path, value)

    monkeypatch.setattr("byrote.runs.parts.write_parquet", dies_at_the_second_table)
    with pytest.raises(KeyboardInterrupt):
        parts.write(0, {"a": frame, "b": frame})
    assert parts.done() == set()
    monkeypatch.undo()
    parts.write(0, {"a": frame, "b": frame})
    assert parts.done() == {0}
