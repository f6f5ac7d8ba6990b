import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.sample.world import load_world
from booru_pipeline.training_shards.relations import (
    ALIASES_FILE,
    IMPLICATIONS_FILE,
    Relations,
    find_relations,
    load_relations,
)


def line(antecedent, consequent, **more):
    return json.dumps({"id": 1, "antecedent_name": antecedent, "consequent_name": consequent, **more})


def write(folder, aliases=(), implications=()):
    """Files of such lines; pairs of names become lines."""
    for name, lines in ((ALIASES_FILE, aliases), (IMPLICATIONS_FILE, implications)):
        texts = [one if isinstance(one, str) else line(*one, status="active") for one in lines]
        (folder / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return folder


def test_aliases_are_followed_to_the_end_and_applied_to_implications(tmp_path):
    relations = load_relations(
        write(
            tmp_path,
            aliases=[("a", "b"), ("c", "d"), ("b", "c")],
            implications=[("a", "e"), ("e", "f"), ("f", "g_alias"), ("b", "d")],
        )
    )
    assert relations.aliases == {"a": "d", "b": "d", "c": "d"}
    assert (relations.canonical("a"), relations.canonical("d"), relations.canonical("z")) == ("d", "d", "z")
    assert relations.implications == {"d": {"e"}, "e": {"f"}, "f": {"g_alias"}}
    assert relations.closure(["d"]) == {"d", "e", "f", "g_alias"}
    assert relations.closure(["z", "f"]) == {"z", "f", "g_alias"}
    assert relations.source == str(tmp_path)


def test_only_active_lines_count_and_repeats_blanks_crlf_and_a_byte_order_mark_are_fine(tmp_path):
    deleted = [line("x", "y", status="deleted"), line("has space", "y", status="retired")]
    write(tmp_path, aliases=[line("a", "b"), "", line("a", "b", status="active"), *deleted])
    path = tmp_path / ALIASES_FILE
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_relations(tmp_path).aliases == {"a": "b"}


def test_one_file_is_enough(tmp_path):
    write(tmp_path, aliases=[("a", "b")], implications=[("c", "d")])
    (tmp_path / ALIASES_FILE).unlink()
    assert load_relations(tmp_path).aliases == {}
    assert load_relations(tmp_path).implications == {"c": {"d"}}


@pytest.mark.parametrize("name", [ALIASES_FILE, IMPLICATIONS_FILE])
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("3", "not a JSON object"),
        (line("a", "b", status=7), "status is 7"),
        ('{"antecedent_name": "a"}', "consequent_name is missing"),
        (line(7, "b"), "antecedent_name is 7"),
        (line("", "b"), 'antecedent_name is ""'),
        (line(" \u200b", "b"), 'antecedent_name is " '),
        (line("\ud800", "c"), "antecedent_name is"),
        (line(["x" * 50], "c"), r"…, not the name of a tag"),
        (line("a", "a"), "of itself|by itself"),
    ],
)
def test_a_broken_line_is_named(tmp_path, name, broken, says):
    write(tmp_path)
    (tmp_path / name).write_text(f"{line('c', 'd')}\n{broken}\n")
    with pytest.raises(BooruError, match=rf"{re.escape(name)}, line 2: .*({says}).*\. Correct the line or remove it\."):
        load_relations(tmp_path)


def test_a_file_that_is_not_utf_8_or_cannot_be_read_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / ALIASES_FILE).write_bytes(line("a", "b").encode() + b"\n" + '{"antecedent_name": "é"'.encode("latin-1"))
    with pytest.raises(BooruError, match=rf"{ALIASES_FILE}, line 2: this is not UTF-8"):
        load_relations(tmp_path)
    (tmp_path / ALIASES_FILE).unlink()
    (tmp_path / ALIASES_FILE).mkdir()
    with pytest.raises(BooruError, match=rf"{ALIASES_FILE} cannot be read: .*BOORU_RELATIONS"):
        load_relations(tmp_path)


@pytest.mark.parametrize("folder", ["empty", "file", "absent"])
def test_a_configured_folder_without_relations_is_an_error(tmp_path, raw, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(
        BooruError, match=rf"{folder} has neither {ALIASES_FILE} nor {IMPLICATIONS_FILE}\. .*--relations"
    ):
        find_relations(tmp_path / folder, raw)


CIRCLES = [("a", "b"), ("d", "c"), ("b", "c"), ("c", "a"), ("ok", "fine"), ("x", "y"), ("y", "x")]


def test_ambiguous_aliases_are_refused_with_their_lines_or_left_out(tmp_path):
    write(tmp_path, aliases=CIRCLES)
    says = (
        rf"{ALIASES_FILE}, lines 1, 3, 4: the aliases a -> b -> c -> a go in a circle "
        r"\(1 more such problem in the file\)\. .*BOORU_SKIP_AMBIGUOUS_ALIASES"
    )
    with pytest.raises(BooruError, match=says):
        load_relations(tmp_path)
    relations = load_relations(tmp_path, skip_ambiguous=True)
    assert set(relations.left_out) == {"a", "b", "c", "x", "y"}
    assert relations.aliases == {"d": "c", "ok": "fine"}

    write(tmp_path, aliases=[("a", "b"), ("c", "d"), ("a", "e")])
    with pytest.raises(BooruError, match=rf"{ALIASES_FILE}, lines 1, 3: a is an alias of b and of e\. "):
        load_relations(tmp_path)
    assert load_relations(tmp_path, skip_ambiguous=True).aliases == {"c": "d"}


def test_an_implication_circle_is_refused_with_its_lines(tmp_path):
    write(tmp_path, implications=[("a", "b"), ("b", "c"), ("b", "d"), ("c", "a")])
    with pytest.raises(BooruError, match=rf"{IMPLICATIONS_FILE}, lines .*go in a circle\. ") as caught:
        load_relations(tmp_path, skip_ambiguous=True)
    shown = re.search(r"implications (.*) go in", str(caught.value))[1].split(" -> ")
    lines = {("a", "b"): 1, ("b", "c"): 2, ("c", "a"): 4}
    numbers = [lines[pair] for pair in itertools.pairwise(shown)]
    assert sorted(numbers) == [1, 2, 4]
    assert f"lines {', '.join(map(str, numbers))}:" in str(caught.value)


def test_a_circle_that_only_aliases_close_is_found(tmp_path):
    write(tmp_path, aliases=[("c", "a")], implications=[("a", "b"), ("b", "c")])
    with pytest.raises(BooruError, match=rf"{IMPLICATIONS_FILE}, lines"):
        load_relations(tmp_path)


def test_the_configured_folder_then_the_raw_folder_then_none(tmp_path, raw):
    world = load_world()
    found = find_relations(None, raw)  # the sample writes its own files
    assert found.aliases == world.aliases
    assert found.implications == {tag: frozenset(implied) for tag, implied in world.implications.items()}
    assert found.canonical("bunny_ears") == "rabbit_ears"
    tags = ["rabbit_ears", "usada_pekora", "smile"]
    assert found.closure(tags) == world.closure(tags) > set(tags)
    assert found.source == str(raw)
    none = find_relations(None, tmp_path)
    assert not none.aliases
    assert not none.implications
    assert find_relations(write(tmp_path, aliases=[("a", "b")]), raw).aliases == {"a": "b"}
    assert find_relations(None, tmp_path).aliases == {"a": "b"}


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path, raw):
    assert find_relations(None, raw).missing() == ""
    both = find_relations(None, tmp_path)
    assert both.missing().startswith("no tag aliases and no implications: tag_aliases.json and tag_implications.json")
    for text in (f"not in {tmp_path}", "danbooru1.danbooru_public.tag_aliases", "--relations", "BOORU_RELATIONS"):
        assert text in both.missing()
    assert both.missing(ALIASES_FILE).startswith("no tag aliases: tag_aliases.json is not in")
    assert "implications" not in both.missing(ALIASES_FILE)
    (write(tmp_path, aliases=[("a", "b")]) / IMPLICATIONS_FILE).unlink()
    half = find_relations(tmp_path, raw)
    assert half.missing() == half.missing(IMPLICATIONS_FILE) != ""
    assert half.missing(ALIASES_FILE) == ""
    write(tmp_path)  # files that say that there are none
    assert find_relations(None, tmp_path).missing() == ""


def test_the_folder_is_a_setting(tmp_path, raw, monkeypatch):
    write(tmp_path, aliases=[("a", "b"), ("a", "c"), ("d", "e")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOORU_RELATIONS", ".")
    with pytest.raises(BooruError, match=re.escape(str(tmp_path / ALIASES_FILE))):
        _ = load_settings(raw=raw).tag_relations
    (tmp_path / "booru.toml").write_text("skip_ambiguous_aliases = true\n")
    assert load_settings(raw=raw).tag_relations.aliases == {"d": "e"}


def test_fingerprints_follow_what_a_file_says_and_not_how(tmp_path):
    def fingerprints(aliases, implications):
        loaded = load_relations(write(tmp_path, aliases, implications))
        return loaded.aliases_fingerprint, loaded.implications_fingerprint

    first = fingerprints([("a", "b"), ("c", "d")], [("d", "f"), ("d", "e")])
    assert fingerprints([("c", "d"), ("a", "b"), ("a", "b")], [("d", "e"), ("d", "f")]) == first
    other_implications = fingerprints([("a", "b"), ("c", "d")], [("d", "f")])
    assert other_implications[0] == first[0]
    assert other_implications[1] != first[1]
    assert fingerprints([("a", "b"), ("c", "e")], [])[0] != first[0]


TAGS = st.sampled_from("abcdefgh")


@given(st.dictionaries(TAGS, st.frozensets(TAGS, max_size=3)), st.sets(TAGS), st.sets(TAGS))
def test_a_closure_is_the_least_set_that_implications_keep(implications, some, others):
    relations = Relations({}, implications, "a test")
    closed = relations.closure(some)
    assert some <= closed == relations.closure(closed)
    assert all(implications.get(tag, frozenset()) <= closed for tag in closed)
    assert relations.closure(some | others) == closed | relations.closure(others)
    reached = set().union(*(implications.get(tag, frozenset()) for tag in closed), some)
    assert closed == reached


@given(st.dictionaries(TAGS, TAGS))
def test_each_alias_is_resolved_refused_or_left_out(tmp_path_factory, pairs):
    pairs = {alias: tag for alias, tag in pairs.items() if alias != tag}
    folder = write(tmp_path_factory.mktemp("relations"), aliases=pairs.items())
    relations = load_relations(folder, skip_ambiguous=True)
    assert set(relations.aliases) | set(relations.left_out) == set(pairs)
    assert not set(relations.aliases) & set(relations.left_out)
    for alias, tag in relations.aliases.items():
        assert tag not in relations.aliases
        steps = [alias]
        while steps[-1] != tag:
            steps.append(pairs[steps[-1]])
    for alias in relations.left_out:
        tag = pairs[alias]
        while tag != alias:
            tag = pairs[tag]
    if relations.left_out:
        with pytest.raises(BooruError, match="go in a circle"):
            load_relations(folder)


def test_the_shared_files(shared):
    """15,506 lines, 112 of them repeats; 21 aliases stand for two tags each, and two pairs for each other."""
    with pytest.raises(
        BooruError, match=r"lines 79, 768: animal_tails is an alias of tail and of multiple_tails \(22 more"
    ):
        load_relations(shared / "data")
    relations = load_relations(shared / "data", skip_ambiguous=True)
    assert len(relations.left_out) == 25
    assert len(relations.aliases) == 15373 - 25
    assert relations.canonical("bunny_ears") == "rabbit_ears"
    assert relations.canonical("copyright") == "watermark"  # over copyright_notice
    assert not [tag for tag in relations.aliases.values() if tag in relations.aliases]
    assert sum(len(implied) for implied in relations.implications.values()) == 2866  # of 2,869, aliases applied
    assert "animal_ears" in relations.closure(["rabbit_ears"])
    with (shared / "data" / IMPLICATIONS_FILE).open(encoding="utf-8") as file:
        for entry in map(json.loads, file):
            tag = relations.canonical(entry["antecedent_name"])
            assert relations.canonical(entry["consequent_name"]) in relations.closure([tag])
