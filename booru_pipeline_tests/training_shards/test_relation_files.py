import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import re
from contextlib import suppress

import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.training_shards.relations import find_relations, load_relations, relations_files

MUTATIONS = int(os.environ.get("BOORU_MUTATIONS", "25"))  # of each form; tests do not see BOORU_ settings
COLUMNS = ["id", "antecedent_name", "consequent_name", "status", "reason"]
PAIRS = [("bunny_ears", "rabbit_ears"), ("hug,_tight", "hugging"), ('o"o', "o_o"), ("ポケモン", "pokémon")]


def rows(pairs, status="active"):
    return [
        {"id": number, "antecedent_name": alias, "consequent_name": tag, "status": status, "reason": "a\nb"}
        for number, (alias, tag) in enumerate(pairs)
    ]


def separated(entries, delimiter=",", columns=COLUMNS):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(entries)
    return out.getvalue()


def pages(entries):
    return json.dumps(entries[:2], indent=1) + "\n" + json.dumps(entries[2:]) + "\n[]"


FORMS = {
    "lines": lambda entries: "".join(json.dumps(entry) + "\n" for entry in entries),
    "objects over several lines": lambda entries: "\n".join(json.dumps(entry, indent=2) for entry in entries),
    "array": json.dumps,
    "pages of the API": pages,
    "csv": separated,
    "csv, other columns": lambda entries: separated(entries, columns=[*COLUMNS[:0:-1]]),
    "csv, no status": lambda entries: separated(entries, columns=[name.upper() for name in COLUMNS[:3]][::-1]),
    "semicolons": lambda entries: separated(entries, ";"),
    "tsv": lambda entries: separated(entries, "\t"),
}


def upper_keys(entries, form):
    """For the form whose columns are capitals, entries with such keys."""
    capitals = "no status" in form
    return [{key.upper() if capitals else key: value for key, value in entry.items()} for entry in entries]


def write(folder, name, text, compress=lambda content: content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(compress(text.encode()))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_each_form_says_the_same_with_the_same_fingerprints(tmp_path, form):
    plain = load_relations(write(tmp_path / "lines", "tag_aliases.json", FORMS["lines"](rows(PAIRS))))
    entries = upper_keys(rows(PAIRS), form)
    found = load_relations(write(tmp_path / "other", "tag_aliases.json", "\ufeff" + FORMS[form](entries)))
    assert found.aliases == plain.aliases == dict(PAIRS)
    assert found.fingerprints == plain.fingerprints


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("tag_implications.jsonl", bytes),
        ("TAG_IMPLICATIONS.CSV.GZ", gzip.compress),
        ("tag_implications.csv", gzip.compress),
        ("tag_implications-2024-05-01.csv.bz2", bz2.compress),
        ("tag_implications.ndjson.xz", lzma.compress),
    ],
)
def test_a_list_is_found_by_its_name_and_read_by_its_content(tmp_path, name, compress):
    write(tmp_path, name, separated([*rows(PAIRS), *rows([("x", "y")], "deleted")]), compress)
    found = find_relations(None, tmp_path)
    assert found.implications == {tag: {implied} for tag, implied in PAIRS}
    assert found.absent == ("tag_aliases.json",)
    assert relations_files(None, tmp_path) == [tmp_path / name]


def test_names_are_canonical_and_their_spellings_say_nothing(tmp_path):
    pairs = [("Bunny Ears ", "rabbit_ears"), ("hatsune\u3000miku", "MIKU"), ("it&#039;s", "its"), (":D", ":d")]
    write(tmp_path, "tag_aliases.csv", separated(rows(pairs)))
    write(tmp_path, "tag_implications.csv", separated(rows([("Rabbit Ears", "rabbit_ears"), ("Rabbit Ears", "Ears")])))
    found = load_relations(tmp_path)
    assert found.aliases == {"bunny_ears": "rabbit_ears", "hatsune_miku": "miku", "it's": "its", ":D": ":d"}
    assert found.implications == {"rabbit_ears": {"ears"}}


HEAD = "antecedent_name,consequent_name,status\n"
BROKEN = {
    "column": ("id,antecedent_name\n1,a\n", "line 1: column consequent_name is missing (the header has id, "),
    "neither": ("\x1b[31mx\n", "line 1: this is neither JSON nor the header of a CSV file with antecedent_name and"),
    "open quote": (f'{HEAD}a,b,active\n"c,d,active\n' + "e,f,active\n" * 9, "line 3: the quotes or line ends of this"),
    "quote inside": (f'{HEAD}"a"b,c,active\n', "line 2: the quotes or line ends of this entry are broken"),
    "comma": (
        f'{HEAD}"x\ny",b,active\na,b,c,active\n',
        "line 4: this has 4 fields, and the header has 3 columns. Put",
    ),
    "short": (f"{HEAD}a\n", "line 2: this has 1 field, and"),
    "status": (f"{HEAD}a,b,\n", 'line 2: status is "", not a word such as active. Correct the line or remove it.'),
    "name": (f"{HEAD}a,b,active\n  ,b,active\n", 'line 3: antecedent_name is "  ", not the name of a tag. Correct'),
    "itself": (f"{HEAD}a,a,active\n", "line 2: a is an alias of itself. Correct the line or remove it."),
    "array entry": ('[{},\n\n {"antecedent_name": 7}]', "line 1: antecedent_name is missing, not the name of a tag."),
    "array line": ('[\n{"status": "deleted"},\n {"status":\n 7}]', "line 3: status is 7, not a word such as active."),
    "array of arrays": ("[[]]", "line 1: this is not a JSON object with names and values, but []."),
    "array comma": ('[{"status": "deleted"}\n{}]', "line 2: a comma or ] is missing before this."),
    "array end": ('[{"status": "deleted"},\n', "line 2: the file ends before its array does. Download it again."),
    "after array": ("[]\n{}", "line 2: this is after the end of the array."),
    "in array": ("[\nnul]", "line 2: this is not JSON. Correct the line or remove it."),
    "deep": ("[" * 100_000, "line 1: this is not JSON."),
    "page": ("<!DOCTYPE html>", "is an HTML or XML page, not plain text."),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_named_with_file_line_and_remedy(tmp_path, kind):
    text, says = BROKEN[kind]
    write(tmp_path, "tag_aliases.csv", text)
    with pytest.raises(BooruError, match=rf"tag_aliases\.csv,? {re.escape(says)}") as caught:
        load_relations(tmp_path)
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith(".")


def test_a_list_that_breaks_off_is_named(tmp_path):
    whole = gzip.compress(separated(rows(PAIRS)).encode())
    (tmp_path / "tag_aliases.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(BooruError, match=r"tag_aliases\.csv\.gz cannot be read to its end .* Download it again\."):
        load_relations(tmp_path)


def test_a_header_in_the_middle_and_lines_that_say_nothing_are_passed_over(tmp_path):
    write(tmp_path, "tag_aliases.csv", f"\n{HEAD}a,b,active\n\n,,\n{HEAD}c,d,Active\ne,f,retired\n")
    assert load_relations(tmp_path).aliases == {"a": "b", "c": "d"}
    write(tmp_path, "tag_aliases.csv", " \n")
    assert load_relations(tmp_path).aliases == {}


def test_two_files_of_a_list_are_refused_and_two_names_of_a_file_are_not(tmp_path):
    write(tmp_path, "tag_aliases.json", FORMS["lines"](rows(PAIRS)))
    (tmp_path / "tag_aliases.csv").symlink_to("tag_aliases.json")
    assert load_relations(tmp_path).aliases == dict(PAIRS)
    (tmp_path / "tag_aliases.csv").unlink()
    write(tmp_path, "tag_aliases.csv.gz", HEAD)
    both = rf"{tmp_path}/tag_aliases\.csv\.gz and {tmp_path}/tag_aliases\.json are two files of one list\. Remove one"
    with pytest.raises(BooruError, match=both):
        find_relations(None, tmp_path)


@pytest.mark.parametrize(
    "name", ["tag_aliases.txt", "tag_aliases.parquet", "tag_aliases.json.7z", "deprecated_tags.db"]
)
def test_a_list_in_another_form_is_named_with_the_forms_that_are_read(tmp_path, name):
    write(tmp_path, name, "x")
    says = rf"{name} is not read: .*\.json, \.jsonl, \.ndjson, \.csv or \.tsv, plain or .* Convert or rename it"
    with pytest.raises(BooruError, match=says):
        find_relations(None, tmp_path)
    write(tmp_path, f"{name.partition('.')[0]}.csv", "antecedent_name,consequent_name,name\n")  # the other may stay
    assert find_relations(None, tmp_path).aliases == {}


def test_a_list_that_is_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "tag_aliases.json").symlink_to("gone")
    assert relations_files(None, tmp_path) == []
    with pytest.raises(BooruError, match=r"tag_aliases\.json cannot be read: No such file"):
        find_relations(None, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "Old Tag", "is_deprecated": true, "post_count": 0}, {"name": "b", "is_deprecated": false}]',
        '{"name": "old_tag"}\n',
        "id,name,is_deprecated\n1,old_tag,true\n2,b,f\n",
        "name\nold_tag\n",
    ],
)
def test_deprecated_tags_are_a_third_list_that_changes_no_fingerprint(tmp_path, text):
    write(tmp_path, "tag_aliases.json", FORMS["lines"](rows(PAIRS)))
    before = find_relations(None, tmp_path)
    assert before.deprecated == frozenset()
    write(tmp_path, "deprecated_tags.json", text)
    found = find_relations(None, tmp_path)
    assert found.deprecated == {"old_tag"}
    assert (found.fingerprints, found.missing()) == (before.fingerprints, before.missing())
    (tmp_path / "tag_aliases.json").unlink()
    assert load_relations(tmp_path).deprecated == {"old_tag"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tag\na\n", "line 1: this is neither JSON nor the header of a CSV file with name (it begins with tag)"),
        ('{"name": "a", "is_deprecated": "maybe"}', 'line 1: is_deprecated is "maybe", not true or false'),
        ('{"name": ""}', 'line 1: name is "", not the name of a tag'),
    ],
)
def test_a_broken_list_of_deprecated_tags_is_named(tmp_path, text, says):
    write(tmp_path, "deprecated_tags.csv", text)
    with pytest.raises(BooruError, match=rf"deprecated_tags\.csv, {re.escape(says)}"):
        load_relations(tmp_path)


@pytest.mark.parametrize("name", ["tag_aliases", "deprecated_tags"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_mutated_bytes_give_relations_or_a_message(tmp_path, form, name, compress):
    chance = random.Random(f"{form}{name}")
    entries = [{**entry, "name": entry["antecedent_name"], "is_deprecated": True} for entry in rows(PAIRS * 3)]
    columns = {"columns": ["name", "is_deprecated"]} if name == "deprecated_tags" and "csv" in form else {}
    text = separated(entries, **columns) if columns else FORMS[form](upper_keys(entries, form))
    whole = compress(text.encode())
    path = tmp_path / f"{name}.json"
    for _ in range(MUTATIONS):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(content))
            match chance.randrange(3):
                case 0:
                    content[at] = chance.choice([*b"\0\n\r\t\"',;{}[]\\\x1b\xff", chance.randrange(256)])
                case 1:
                    del content[at : at + chance.randint(1, 20)]
                case 2:
                    content[at:at] = content[chance.randrange(len(content)) :][:20]
            content = content or bytearray(whole)
        path.write_bytes(content)
        with suppress(BooruError):
            found = load_relations(tmp_path, skip_ambiguous=True)
            assert not set(found.aliases) & set(found.aliases.values())
