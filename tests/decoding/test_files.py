"""Filters on disk: whole, or refused."""

import json
import struct

import numpy as np
import pytest

from byrote.decoding import BloomFilter, NGramSet, Origin, load_filter, read_header, tokenizer_hash
from byrote.errors import ByroteError, InputError

IDS = np.random.default_rng(0).integers(0, 90, 500)
KINDS = {"exact": NGramSet.build, "bloom": BloomFilter.build}


@pytest.fixture(params=KINDS)
def saved(request, tmp_path):
    origin = Origin(tokenizer="a" * 64, tokenizer_name="mine", sources=("x.txt",))
    ngrams = KINDS[request.param]([IDS, IDS[:50]], 4, origin=origin)
    return ngrams, ngrams.save(tmp_path / "filter.bin")


def test_a_loaded_filter_is_the_saved_one(saved):
    ngrams, path = saved
    again = load_filter(path)
    assert type(again) is type(ngrams)
    assert (again.n, again.count, again.origin) == (4, ngrams.count, ngrams.origin)
    assert again.fpr == ngrams.fpr
    assert again.matches(IDS).all()
    rows = np.random.default_rng(1).integers(0, 90, (2000, 4))
    assert again.contains(rows).tolist() == ngrams.contains(rows).tolist()
    assert (
        again.followers(rows[:, 1:], 90)[0].tolist()
        == ngrams.followers(rows[:, 1:], 90)[0].tolist()
    )
    assert read_header(path)["kind"] == ngrams.kind


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    ngrams, path = saved
    assert ngrams.save(tmp_path / "other").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["filter.bin", "other"]


def test_a_truncated_file_is_refused_at_every_length(saved, tmp_path):
    _, path = saved
    whole = path.read_bytes()
    cut = tmp_path / "cut"
    for length in [*range(0, 1200, 7), *range(1200, len(whole), 997), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match="truncated"):
            load_filter(cut)


def test_one_changed_bit_is_noticed(saved, tmp_path):
    _, path = saved
    whole = path.read_bytes()
    for place in (20, 60, 300, len(whole) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 4
        (tmp_path / "changed").write_bytes(changed)
        with pytest.raises(InputError, match=r"damaged|truncated"):
            load_filter(tmp_path / "changed")


def test_more_bytes_than_there_should_be(saved):
    _, path = saved
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InputError, match="damaged"):
        load_filter(path)


def test_another_version_is_named(saved):
    _, path = saved
    content = bytearray(path.read_bytes())
    content[8:12] = struct.pack("<I", 99)
    path.write_bytes(content)
    with pytest.raises(InputError, match="version 99"):
        load_filter(path)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"n": 1},
        {"arrays": []},
        {"origin": None},
        {"arrays": [{"name": "ngrams", "dtype": "object", "length": 3, "offset": 0}]},
        {"arrays": [{"name": "ngrams", "dtype": "uint8", "length": 1 << 40, "offset": 0}]},
        {"arrays": [{"name": "ngrams", "dtype": "uint8", "length": 5, "offset": -9}]},
    ],
)
def test_a_header_of_lies_is_refused(saved, tmp_path, change):
    import hashlib

    _, path = saved
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    header = json.loads(content[48 : 48 + length]) | change
    text = json.dumps(header).encode()
    start = -(-(48 + length) // 64) * 64
    body = text + bytes(-(48 + len(text)) % 64) + content[start:]
    head = struct.pack("<8sII32s", b"BYROTENG", 1, len(text), hashlib.sha256(body).digest())
    path.write_bytes(head + body)
    with pytest.raises(InputError):
        load_filter(path)


def test_what_is_no_filter(tmp_path):
    (tmp_path / "text").write_text("In the beginning God created the heaven and the earth.")
    with pytest.raises(InputError, match="no filter"):
        load_filter(tmp_path / "text")
    with pytest.raises(InputError, match="byrote filter build"):
        load_filter(tmp_path / "gone")


def test_a_filter_of_another_tokenizer_is_refused(byte_tokenizer, tmp_path):
    origin = Origin(tokenizer=tokenizer_hash(byte_tokenizer), tokenizer_name="bytes")
    path = NGramSet.build([IDS], 4, origin=origin).save(tmp_path / "f")
    assert load_filter(path, byte_tokenizer).n == 4
    other = larger(byte_tokenizer)
    with pytest.raises(InputError, match="another tokenizer \\(bytes\\)"):
        load_filter(path, other)


def test_the_hash_is_of_what_a_tokenizer_does(byte_tokenizer):
    import copy

    padded = copy.deepcopy(byte_tokenizer)
    padded.padding_side = "left"
    assert tokenizer_hash(padded) == tokenizer_hash(byte_tokenizer)
    lower = copy.deepcopy(byte_tokenizer)
    from tokenizers import normalizers

    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    assert tokenizer_hash(lower) != tokenizer_hash(byte_tokenizer)
    assert tokenizer_hash(larger(byte_tokenizer)) != tokenizer_hash(byte_tokenizer)


def test_a_full_disk_leaves_the_file_before(saved, monkeypatch):
    import errno
    import os

    ngrams, path = saved
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ByroteError, match="disk is full"):
        ngrams.save(path)
    assert path.read_bytes() == before


def larger(tokenizer):
    import copy

    other = copy.deepcopy(tokenizer)
    other.add_tokens(["another"])
    return other
