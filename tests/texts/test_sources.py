import json
import re
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.texts import open_source


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def read(spec, **options):
    return list(open_source(spec, **options).records())


def refusal(spec, **options):
    with pytest.raises(InputError) as error:
        open_source(spec, **options).check()
    return str(error.value)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


# JSON lines


def test_jsonl_holds_texts_pairs_and_ids(write):
    path = write(
        "d.jsonl",
        lines(
            {"text": "a", "id": "one", "count": 2, "member": True, "category": "x", "source": "w"},
            {"prefix": "b", "suffix": "c", "text": None},
        )
        + "\n"
        + lines({"input_ids": [1, 2, 3], "prefix_len": 1, "id": 7}),
    )
    one, two, three = read(path)
    assert (one.text, one.id, one.count, one.member) == ("a", "one", 2, True)
    assert (one.category, one.source) == ("x", "w")
    assert (two.prefix, two.suffix, two.text, two.id, two.source) == ("b", "c", None, "d:2", path)
    assert three.input_ids is not None
    assert three.input_ids.dtype == np.int32
    assert (three.input_ids.tolist(), three.prefix_len, three.id) == ([1, 2, 3], 1, "7")


def test_another_text_field_can_be_named(write):
    path = write("d.jsonl", lines({"body": "hello"}))
    assert read(path, text_field="body")[0].text == "hello"
    assert '(it has "body"); name the field that holds the text with text_field' in refusal(path)


def test_records_start_again_at_every_call(write):
    source = open_source(write("d.jsonl", lines({"text": "a"}, {"text": "b"})))
    assert next(source.records()).text == "a"
    assert [r.text for r in source.records()] == ["a", "b"]


def test_a_byte_order_mark_is_no_text(write):
    assert read(write("d.jsonl", b"\xef\xbb\xbf" + lines({"text": "a"}).encode()))[0].text == "a"
    assert read(write("d.txt", b"\xef\xbb\xbfa"))[0].text == "a"


def test_a_json_file_may_hold_one_array(write):
    path = write("d.json", json.dumps([{"text": "a"}, {"text": "b"}], indent=1))
    assert [(r.id, r.text) for r in read(path)] == [("d:1", "a"), ("d:2", "b")]
    assert "d.json, entry 2" in refusal(write("d.json", '[{"text": "a"}, 5]'))
    assert "line 2: broken JSON" in refusal(write("d.json", '[{"text": "a"},\n{"text": }]'))


GOOD = lines({"text": "fine"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "x"', "broken JSON (Expecting ',' delimiter at column 13)"),
        ("[1, 2]", "d.jsonl, line 2: must be an object like"),
        ('{"text": 5}', 'line 2: "text" must be a string, but it is an integer: 5.'),
        ('{"text": ["x"]}', "\"text\" must be a string, but it is a list: ['x']."),
        ('{"id": "q"}', 'line 2: holds none of "text", "prefix" + "suffix", or "input_ids"'),
        ("{}", "(it has no fields)"),
        ('{"prefix": "x"}', 'line 2: has "prefix" but no "suffix"; a pair needs both'),
        ('{"suffix": "x"}', 'line 2: has "suffix" but no "prefix"; a pair needs both'),
        ('{"prefix": "x", "suffix": 1}', '"suffix" must be a string, but it is an integer: 1'),
        ('{"input_ids": "1 2"}', '"input_ids" must be a list of integers, but it is a string'),
        ('{"input_ids": [1, 2.5]}', "but position 1 holds a number: 2.5."),
        ('{"input_ids": [true]}', "but position 0 holds a boolean: True."),
        ('{"input_ids": [3, -4]}', "of 0 or more (and below 2^31), but position 1 holds -4."),
        ('{"input_ids": [3, 4294967296]}', "but position 1 holds 4294967296."),
        ('{"text": "x", "prefix_len": 3}', '"prefix_len" counts tokens and needs "input_ids"'),
        ('{"input_ids": [1], "prefix_len": 1}', '"prefix_len" is 1, but it must leave'),
        ('{"input_ids": [1], "prefix_len": "x"}', '"prefix_len" must be an integer, but it is a s'),
        ('{"text": "x", "count": -1}', '"count" is -1, but a text is seen 0 times or more'),
        ('{"text": "x", "count": 1.5}', '"count" must be an integer of 0 or more, but it is a num'),
        ('{"text": "x", "member": "yes"}', '"member" must be true or false, but it is a string'),
        ('{"text": "x", "category": {}}', '"category" must be a string, but it is an object: {}'),
        ('{"text": "x", "id": " "}', '"id" is empty; leave the field out, or fill it'),
        (r'{"text": "a\ud800"}', '"text" holds half of a surrogate pair at character 1'),
    ],
)
def test_a_bad_line_is_refused_with_its_place(write, line, message):
    said = refusal(write("d.jsonl", GOOD + line + "\n"))
    assert message in said
    assert "d.jsonl, line 2" in said


def test_bytes_that_are_not_utf8_are_reported_with_their_place(write):
    path = write("d.jsonl", GOOD.encode() + b'{"text": "caf\xe9"}\n')
    at = len(GOOD) + len('{"text": "caf')
    assert f"d.jsonl, line 2: byte 0xe9 at byte offset {at} is not UTF-8" in refusal(path)
    path = write("d.txt", b"one\ntwo\nthr\xffee")
    assert "d.txt, line 3: byte 0xff at byte offset 11 is not UTF-8" in refusal(path)
    path = write("d.csv", b"text\nok\n\xc3(")
    assert "d.csv, line 3: byte 0xc3 at byte offset 8" in refusal(path)
    assert "iconv -f utf-16" in refusal(write("u.txt", "hello".encode("utf-16")))


# Any file


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.txt", "d.parquet"])
def test_missing_and_empty_files_are_refused(write, tmp_path, name):
    assert f"{name} does not exist" in refusal(str(tmp_path / name))
    assert f"{name} is empty (0 bytes)" in refusal(write(name, b""))


@pytest.mark.parametrize(
    ("name", "content"), [("d.jsonl", "\n\n"), ("d.txt", " \n \n"), ("d.csv", "text\n")]
)
def test_a_file_without_records_is_refused(write, name, content):
    assert "holds no records" in refusal(write(name, content))


def test_the_fingerprint_follows_the_content_not_the_name(write):
    first = open_source(write("a.jsonl", GOOD)).fingerprint()
    assert first.startswith("sha256:")
    assert open_source(write("b.jsonl", GOOD)).fingerprint() == first
    assert open_source(write("a.jsonl", GOOD + GOOD)).fingerprint() != first


def test_unknown_kinds_are_refused_with_the_known_ones(write, tmp_path):
    for spec in (write("d.docx", "x"), write("plain", "x"), str(tmp_path / "nothing"), " "):
        assert ".jsonl" in refusal(spec)
        assert "corpus:kjv" in refusal(spec)
    assert "did you mean corpus:kjv?" in refusal("kjv")


# CSV


def test_csv_cells_are_read_as_what_their_column_holds(write):
    path = write(
        "d.csv",
        "id,text,count,member,input_ids,prefix_len\n"
        'a,"two\nlines, ""quoted""",3,true,,\n'
        'b,,,,"[4, 5, 6]",2\n'
        "c,,,0,,\n",
    )
    one, two, three = read(path)
    assert (one.text, one.count, one.member) == ('two\nlines, "quoted"', 3, True)
    assert two.input_ids is not None
    assert (two.input_ids.tolist(), two.prefix_len, two.count) == ([4, 5, 6], 2, None)
    assert (three.text, three.member) == ("", False)


def test_tsv_is_split_at_tabs(write):
    (record,) = read(write("d.tsv", "prefix\tsuffix\na, b\tc\n"))
    assert (record.prefix, record.suffix, record.id) == ("a, b", "c", "d:2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("title,body\nx,y\n", 'line 1: no column "text", .* in the header \\("title", "body"\\)'),
        ('text,id\n"a\nb",1\nc\n', "line 4: 1 cells, but the header has 2 columns"),
        ('text\n"open\n', "broken CSV"),
        ("text,count\nx,many\n", "line 2: \"count\" must be an integer .* a string: 'many'"),
        ("text,member\nx,perhaps\n", 'line 2: "member" must be true or false'),
        ("input_ids\n1 2 3\n", 'line 2: "input_ids" must be a JSON list like'),
    ],
)
def test_a_bad_csv_is_refused_with_its_place(write, content, message):
    assert re.search(message, refusal(write("d.csv", content)))


# Parquet


def parquet(tmp_path, **columns):
    path = tmp_path / "d.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int32()), pa.large_list(pa.int64()), pa.list_(pa.uint16(), 3)],
)
def test_parquet_ids_are_read_from_any_list_type(tmp_path, kind):
    rows = [[i, i + 1, i + 2] for i in range(1200)]
    path = parquet(tmp_path, input_ids=pa.array(rows, kind), count=pa.array(range(1200)))
    records = read(path)
    assert [r.input_ids.tolist() for r in records if r.input_ids is not None] == rows
    assert [r.count for r in records] == list(range(1200))
    assert records[600].id == "d:601"
    assert records[0].input_ids is not None
    assert records[0].input_ids.dtype == np.int32


def test_parquet_rows_may_leave_ids_out(tmp_path):
    ids = pa.array([[1, 2], None, []], pa.list_(pa.int32()))
    records = read(parquet(tmp_path, input_ids=ids, text=pa.array([None, "x", None])))
    assert records[1].text == "x"
    assert [len(r.input_ids) for r in records if r.input_ids is not None] == [2, 0]


def test_parquet_texts_may_be_encoded_as_a_dictionary(tmp_path):
    path = parquet(tmp_path, text=pa.array(["a", "b", "a"]).dictionary_encode())
    assert [r.text for r in read(path)] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": ["x"]}, 'd.parquet: no column "text"'),
        ({"text": [5]}, 'column "text" must hold strings, but its type is int64'),
        ({"input_ids": [[0.5]]}, 'column "input_ids" must hold lists of integers, but its type is'),
        ({"input_ids": [[1], [2, -3]]}, "row 2:.* position 1 holds -3"),
        ({"input_ids": [[1], [2, 2**33]]}, "row 2:.* position 1 holds 8589934592"),
        ({"input_ids": [[1], [], [2, None]]}, "row 3:.* position 1 holds a null"),
        ({"text": ["x", None]}, "row 2: holds none of"),
        ({"text": ["x"], "count": [0.5]}, 'row 1: "count" must be an integer'),
    ],
)
def test_a_bad_parquet_file_is_refused_with_its_place(tmp_path, columns, message):
    assert re.search(message, refusal(parquet(tmp_path, **columns)), re.DOTALL)


def test_a_broken_parquet_file_is_refused(write):
    assert "cannot be read as Parquet near row 1" in refusal(write("d.parquet", b"PAR1 no more"))


# Plain text


def test_a_small_text_file_is_one_record(write):
    (record,) = read(write("poem.txt", "one\n\ntwo\n"))
    assert (record.id, record.text) == ("poem:1", "one\n\ntwo\n")


@settings(deadline=None, max_examples=200)
@given(
    st.text(alphabet="ab \n\té日🙂", max_size=120),
    st.integers(8, 40),
)
def test_blocks_join_to_the_file_and_cut_no_character(tmp_path_factory, text, size):
    from byrote.texts.formats import plain

    path = tmp_path_factory.mktemp("texts") / "d.txt"
    path.write_bytes(("x" + text).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_BLOCK_BYTES", size)
        records = read(str(path))
    assert all(len(r.text.encode()) <= size for r in records)
    # Blocks of white space alone are left out.
    joined = "".join(r.text for r in records)
    assert joined.split() == ("x" + text).split() or joined == "x" + text
    assert len({r.id for r in records}) == len(records)


def test_large_files_are_cut_at_paragraphs_then_lines_then_words(write, monkeypatch):
    monkeypatch.setattr("byrote.texts.formats.plain._BLOCK_BYTES", 20)
    texts = [r.text for r in read(write("p.txt", "one two three\n\nfour five six seven"))]
    assert texts == ["one two three\n\n", "four five six seven"]
    texts = [r.text for r in read(write("l.txt", "one two three\nfour five six seven"))]
    assert texts == ["one two three\n", "four five six seven"]
    records = read(write("w.txt", "first line\none two three four five six seven"))
    assert "".join(r.text for r in records) == "first line\none two three four five six seven"
    assert [r.id for r in records] == ["w:1", "w:2", "w:2.2"]
    assert records[2].text.startswith(" ")


@pytest.mark.parametrize("name", ["d.txt", "d.jsonl"])
def test_a_large_file_needs_little_memory(tmp_path, name):
    path = tmp_path / name
    paragraph = "the quick brown fox jumps over the lazy dog " * 20
    line = lines({"text": paragraph}) if name == "d.jsonl" else paragraph + "\n\n"
    with path.open("w") as file:
        for _ in range(40):
            file.write(line * 1200)
    assert path.stat().st_size > 40e6
    tracemalloc.start()
    source = open_source(str(path))
    source.fingerprint()
    total = sum(len(record.text or "") for record in source.records())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 40e6
    assert peak < 8e6


# Folders


def test_a_folder_gives_its_text_files_in_order(write, tmp_path):
    write("f/b.md", "second")
    write("f/a/x.txt", "first")
    write("f/c.txt", "")
    write("f/.hidden/h.txt", "no")
    write("f/image.png", b"\x89PNG")
    folder = str(tmp_path / "f")
    assert [(r.id, r.text) for r in read(folder)] == [("a/x.txt:1", "first"), ("b.md:1", "second")]
    before = open_source(folder).fingerprint()
    (tmp_path / "f/b.md").rename(tmp_path / "f/z.md")
    assert open_source(folder).fingerprint() != before


def test_a_folder_without_text_files_is_refused(write, tmp_path):
    write("f/data.parquet", b"x")
    said = refusal(str(tmp_path / "f"))
    assert "folder without text files (.txt, .text, .md, .rst); it holds .parquet files" in said


# Data sets


@pytest.fixture
def dataset():
    import datasets

    return datasets.Dataset.from_dict({"text": ["a", "b", "c"], "count": [1, 2, 3]})


def test_a_saved_dataset_is_read(dataset, tmp_path):
    folder = str(tmp_path / "saved")
    dataset.select([2, 0]).save_to_disk(folder)
    source = open_source(folder)
    source.check()
    assert [(r.id, r.text, r.count) for r in source.records()] == [
        ("saved:1", "c", 3),
        ("saved:2", "a", 1),
    ]
    assert source.fingerprint().startswith("sha256:")


def test_of_several_saved_splits_train_is_read(dataset, tmp_path):
    import datasets

    both = datasets.DatasetDict({"test": dataset.select([0]), "train": dataset.select([1])})
    both.save_to_disk(tmp_path / "both")
    assert [r.text for r in read(str(tmp_path / "both"))] == ["b"]
    assert [r.text for r in read(str(tmp_path / "both/test"))] == ["a"]
    datasets.DatasetDict({"x": dataset, "y": dataset}).save_to_disk(tmp_path / "none")
    assert "several splits and none is called train; give one of" in refusal(str(tmp_path / "none"))


def test_a_hub_spec_reads_a_local_folder_of_files(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "repo").mkdir()
    pq.write_table(pa.table({"body": ["a", "b"]}), tmp_path / "repo/train.parquet")
    source = open_source(f"hf:{tmp_path}/repo?split=train&field=body")
    source.check()
    assert [r.text for r in source.records()] == ["a", "b"]
    assert source.fingerprint().startswith("sha256:")


def test_bad_hub_specs_are_refused(tmp_path):
    assert 'unknown option "spilt"; ' in refusal("hf:a/b?spilt=train")
    assert 'the option "split" has no value; write split=VALUE' in refusal("hf:a/b?split=")
    assert "no data set is named" in refusal("hf:")
    (tmp_path / "void").mkdir()
    assert "the data set cannot be opened" in refusal(f"hf:{tmp_path}/void")


@pytest.mark.parametrize("field", ["source", "category"])
def test_the_name_of_the_pool_is_taken(tmp_path, field):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "t", field: "all"}) + "\n")
    with pytest.raises(InputError, match=f'line 1: "{field}" is "all", the name of the pool'):
        list(open_source(str(path)).records())
