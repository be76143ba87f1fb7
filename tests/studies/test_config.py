"""Configs: by dotted names, from files, to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byrote.errors import InputError
from byrote.studies import flat_fields, from_json, load_config, override, to_json
from tests.studies.fake import DiceConfig, Source, Throwing

CONFIG = DiceConfig()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("strings", "7", 7),
        ("strings", "-7", -7),
        ("verbose", "yes", True),
        ("verbose", "FALSE", False),
        ("label", "none", None),
        ("label", "a,b = c", "a,b = c"),
        ("label", "", None),
        ("trouble", "none", "none"),
        ("trouble", "", ""),
        ("order", "sorted", "sorted"),
        ("ks", "1,2,5", (1, 2, 5)),
        ("ks", "4", (4,)),
        ("ks", "4,", (4,)),
        ("ks", "(4, 5)", (4, 5)),
        ("ks", "[4, 5]", (4, 5)),
        ("ks", "", ()),
        ("ks.1", "9", (1, 9)),
        ("bounds", "1e-3,2", (0.001, 2.0)),
        ("bounds.0", "0.5", (0.5, 1.0)),
        ("throwing.throws", "30", Throwing(30)),
        ("throwing.pause", "1e-4", Throwing(pause=1e-4)),
        ("throwing.pause", "3", Throwing(pause=3.0)),
        ("throwing.limit", "4", Throwing(limit=4)),
        ("throwing", '{"throws": 3}', Throwing(3)),
        ("sources.1.sides", "8", (Source(), Source("die", 8))),
        ("sources", '[{"name": "d", "sides": 4}]', (Source("d", 4),)),
        ("tags", '{"a": 1}', {"a": 1.0}),
        ("tags.b", "0.5", {"b": 0.5}),
    ],
)
def test_a_field_is_read_as_its_annotation_says(name, text, value):
    changed = override(CONFIG, {name: text})
    found = getattr(changed, name.split(".")[0])
    assert found == value
    assert repr(found) == repr(value)
    assert DiceConfig() == CONFIG


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("string", "3", "there is no field 'string'; did you mean strings"),
        ("throwing.thows", "3", "no field 'thows' in throwing; did you mean throws"),
        ("pause", "3", "did you mean throwing.pause"),
        ("sides", "3", "did you mean sources.0.sides or sources.1.sides"),
        ("nonsense", "3", "known are: sources, strings"),
        ("strings.deep", "3", "which has no fields"),
        ("strings", "3.5", "'3.5': it must be a whole number"),
        ("strings", "", "it must be a whole number"),
        ("throwing.pause", "quick", "it must be a number"),
        ("throwing.pause", "nan", "it must be a finite number"),
        ("throwing.pause", "inf", "it must be a finite number"),
        ("throwing.limit", "few", "it must be a whole number or `none`"),
        ("throwing", "3", "it has fields of its own: throws, pause, limit"),
        ("throwing", '{"throw": 3}', "no field 'throw'; did you mean throws"),
        ("throwing", "{", "this is no JSON"),
        ("verbose", "maybe", "it must be true or false"),
        ("order", "sortd", "one of random, sorted .did you mean sorted"),
        ("ks", "1,x", "it must be a whole number"),
        ("ks.2", "1", "give an index from 0 to 1"),
        ("bounds", "1,2,3", "it must have 2 values, not 3"),
        ("sources", "coin", "it has fields of its own"),
        ("tags", "3", "it must be a mapping"),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(name, text, message):
    with pytest.raises(InputError, match=message) as caught:
        override(CONFIG, {name: text})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_later_changes_win():
    assert override(CONFIG, {"ks": "1,2,3", "ks.0": "9"}).ks == (9, 2, 3)


def test_values_of_the_right_type_are_taken_as_they_are():
    changed = override(CONFIG, {"throwing": Throwing(3), "ks": [1], "label": None, "strings": 2})
    assert changed == DiceConfig(throwing=Throwing(3), ks=(1,), strings=2)


@pytest.mark.parametrize("value", [True, 2.0, None, [1]])
def test_a_whole_number_is_no_other_type(value):
    with pytest.raises(InputError, match="whole number"):
        override(CONFIG, {"strings": value})


TOML = """
strings = 4
ks = [3]
tags = { a = 0.5 }
[throwing]
throws = 5
[[sources]]
name = "d"
"""
YAML = """
strings: 4
ks: [3]
tags: {a: 0.5}
throwing:
  throws: 5
sources:
  - name: d
"""
FILES = {
    "a.toml": TOML,
    "a.yaml": YAML,
    "a.yml": YAML,
    "a.json": json.dumps(
        {
            "strings": 4,
            "ks": [3],
            "tags": {"a": 0.5},
            "throwing": {"throws": 5},
            "sources": [{"name": "d"}],
        }
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_each_kind_say_the_same(name, tmp_path):
    (tmp_path / name).write_text(FILES[name])
    base = DiceConfig(throwing=Throwing(pause=2.0))
    assert load_config(tmp_path / name, base) == DiceConfig(
        sources=(Source("d"),),
        strings=4,
        throwing=Throwing(5, 2.0),
        ks=(3,),
        tags={"a": 0.5},
    )


def test_yaml_numbers_without_a_point_are_numbers(tmp_path):
    (tmp_path / "a.yaml").write_text("throwing: {pause: 1e-4}\n")
    assert load_config(tmp_path / "a.yaml", CONFIG).throwing.pause == 1e-4


def test_an_empty_file_cannot_be_meant(tmp_path):
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(InputError, match="holds no fields"):
        load_config(tmp_path / "a.yaml", CONFIG)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.ini", "x", "ends in .toml, .yaml or .json"),
        ("a.toml", "strings = ", "is no valid TOML"),
        ("a.yaml", "a: [", "is no valid YAML"),
        ("a.yaml", "!!python/object:os.system {}", "is no valid YAML"),
        ("a.json", "{", "is no valid JSON"),
        ("a.toml", "[throwing]\nthrow = 3", "throwing.throw: there is no field 'throw'"),
        ("a.toml", "strings = 'x'", "strings = 'x': it must be a whole number"),
    ],
)
def test_files_that_cannot_be_used_are_named(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_config(tmp_path / name, CONFIG)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no config file at .*gone\.toml"):
        load_config(tmp_path / "gone.toml", CONFIG)


CONFIGS = st.builds(
    DiceConfig,
    sources=st.lists(st.builds(Source, st.text(), st.integers()), max_size=3).map(tuple),
    strings=st.integers(),
    throwing=st.builds(
        Throwing,
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.integers(),
    ),
    ks=st.lists(st.integers()).map(tuple),
    order=st.sampled_from(["random", "sorted"]),
    tags=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    verbose=st.booleans(),
)


@given(CONFIGS)
def test_json_and_back_is_the_same(config):
    text = json.dumps(to_json(config), allow_nan=False)
    assert from_json(DiceConfig, json.loads(text)) == config


@pytest.mark.parametrize("change", [{"colour": "red"}, {"strings": "x"}, {"throwing": {"a": 1}}])
def test_a_foreign_config_is_refused(change):
    with pytest.raises(InputError, match="the config cannot be read"):
        from_json(DiceConfig, to_json(CONFIG) | change)


def test_a_config_that_lacks_a_field_takes_its_default():
    assert from_json(DiceConfig, {"strings": 2}) == DiceConfig(strings=2)


@dataclass(frozen=True)
class Strict:
    needed: int
    either: int | float | str = 1
    more: tuple[tuple[int, ...], ...] = ()


def test_a_field_without_default_is_asked_for():
    with pytest.raises(InputError, match="it lacks needed"):
        from_json(Strict, {})


@pytest.mark.parametrize(("text", "value"), [("2", 2), ("2.5", 2.5), ("x", "x"), ("none", "none")])
def test_a_union_is_tried_in_its_order_with_text_last(text, value):
    assert override(Strict(1), {"either": text}).either == value


def test_tuples_of_tuples_are_given_as_json():
    assert override(Strict(1), {"more": "[[1, 2], [3]]"}).more == ((1, 2), (3,))


def test_names_of_all_fields_can_be_set():
    fields = flat_fields(CONFIG)
    assert fields["throwing.pause"] == 0.0
    assert fields["sources.1.sides"] == 6
    assert fields["tags"] == {}
    assert not {"throwing", "sources"} & fields.keys()
    for name, value in fields.items():
        assert override(CONFIG, {name: value}) == CONFIG


@dataclass(frozen=True)
class Named:
    sources: Mapping[str, Source] = field(
        default_factory=lambda: {"a-1": Source(), "a-1.3b": Source("b", 3)}
    )
    ladders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NAMED = Named()


def test_keys_may_hold_dots():
    names = {"sources.a-1.3b.sides": "4", "sources.a-1.sides": 5}
    changed = override(NAMED, names)
    assert changed.sources == {"a-1": Source(sides=5), "a-1.3b": Source("b", 4)}
    assert list(flat_fields(NAMED)) == [
        "sources.a-1.name",
        "sources.a-1.sides",
        "sources.a-1.3b.name",
        "sources.a-1.3b.sides",
        "ladders",
    ]


def test_a_mapping_takes_new_keys_with_whole_values():
    changed = override(NAMED, {"sources.c-2.8b": '{"name": "c"}', "ladders.x": "a-1,a-1.3b"})
    assert changed.sources["c-2.8b"] == Source("c")
    assert changed.ladders == {"x": ("a-1", "a-1.3b")}


def test_a_key_that_is_not_there_has_no_fields_to_set():
    with pytest.raises(
        InputError, match=r"no field .b. in sources; did you mean sources\.a-1\.name"
    ):
        override(NAMED, {"sources.b.name": "4"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", '[sources."a-1.3b"]\nsides = 4\n[sources."c.1"]\nname = "c"\n'),
        ("a.yaml", "sources:\n  a-1.3b: {sides: 4}\n  c.1: {name: c}\n"),
    ],
)
def test_files_change_keys_one_by_one(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert load_config(tmp_path / name, NAMED).sources == {
        "a-1": Source(),
        "a-1.3b": Source("b", 4),
        "c.1": Source("c"),
    }
