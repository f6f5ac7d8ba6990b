"""Names of a release that are written in other ways than here."""

from booru_pipeline.tag_table.accounting import summarise
from booru_pipeline.tag_table.options import TagTableOptions
from booru_pipeline_tests.tag_table.test_load import FILES_HEADER, TAGS_HEADER, file_line, join, load, rows

FILES = join(FILES_HEADER, file_line(1), file_line(2, booru="Example.ORG "))
TAGS = join(
    TAGS_HEADER,
    "b\t1\thatsune miku\t1\t4\tvocaloid",
    "b\t1\thatsune_miku\t2\t4\tvocaloid",
    "b\t1\thatsune miku\t1\t4\tvocaloid",
    "b\t1\tRabbit_Ears\t3\t0\tGENERAL",
    "b\t1\tpoke\u0301mon\t4\t3\tpokemon",
    "https://example.org/\t2\tpok\u00e9mon\t4\t3\tpokemon",
    "b\t1\tcarrot&#039;s\t4\t0\tGENERAL",
    "b\t1\t\u200b\t4\t0\tx",
)


def test_two_spellings_of_a_tag_on_a_post_are_the_first_one_and_nothing_is_lost(tmp_path):
    final = load(tmp_path, FILES, TAGS)
    assert rows(final, "SELECT tag, tag_id FROM tags WHERE fid = 1 ORDER BY tag") == [
        ("carrot's", 4),
        ("hatsune_miku", 1),
        ("pok\u00e9mon", 4),
        ("rabbit_ears", 3),
    ]
    assert rows(final, "SELECT tag, raw_tag FROM raw_tags ORDER BY tag") == [
        ("carrot's", "carrot&#039;s"),
        ("hatsune_miku", "hatsune miku"),
        ("pok\u00e9mon", "poke\u0301mon"),
        ("rabbit_ears", "Rabbit_Ears"),
    ]
    _, tags = summarise(final).accounting
    assert (tags.lines_read, tags.kept, tags.merged, tags.duplicates, tags.rejected) == (9, 5, 1, 1, 1)
    assert tags.holds
    assert rows(final, "SELECT line, reason FROM rejects") == [(9, "empty_tag")]


def test_boorus_are_one_however_they_are_spelled(tmp_path):
    final = load(tmp_path, FILES, TAGS)
    assert rows(final, "SELECT booru, fid FROM files ORDER BY fid") == [("b", 1), ("example.org", 2)]
    assert rows(final, "SELECT booru, tag FROM tags WHERE fid = 2") == [("example.org", "pok\u00e9mon")]


def test_every_rule_is_counted_by_names_and_rows(tmp_path):
    found = summarise(load(tmp_path, FILES, TAGS)).spellings
    assert sorted(found) == [
        ("files", "booru", "case", 1, 1),
        ("files", "booru", "spaces", 1, 1),
        ("tags", "booru", "host", 1, 1),
        ("tags", "tag", "case", 1, 1),
        ("tags", "tag", "entities", 1, 1),
        ("tags", "tag", "invisible", 1, 1),
        ("tags", "tag", "spaces", 1, 2),
        ("tags", "tag", "unicode", 1, 1),
    ]


def test_a_rule_can_be_switched_off(tmp_path):
    options = TagTableOptions(max_reject_share=1, skip_name_rules=["spaces", "case"])
    final = load(tmp_path, join(FILES_HEADER, file_line(1)), TAGS.replace(b"https://example.org/\t2", b"b\t1"), options)
    assert rows(final, "SELECT tag FROM tags ORDER BY tag") == [
        ("Rabbit_Ears",),
        ("carrot's",),
        ("hatsune miku",),
        ("hatsune_miku",),
        ("pok\u00e9mon",),
    ]


def test_categories_of_other_boorus_are_uncatalogued_and_counted(tmp_path):
    lines = [
        ("b", "studio", 2, "STUDIO", -1),
        ("b", "medium", 8, "MEDIUM", -1),
        ("b", "wolf", 5, "SPECIES", -1),
        ("b", "highres", 5, "META", 5),
        ("b", "artist", 1, "ARTIST", 1),
        ("e621.net", "fox", 5, "", -1),
        ("e621.net", "hi_res", 7, "", 5),
    ]
    files = join(FILES_HEADER, file_line(1), file_line(1, booru="e621.net"))
    tags = join(TAGS_HEADER, *[f"{booru}\t1\t{tag}\t0\t{number}\t{fr}" for booru, tag, number, fr, _ in lines])
    final = load(tmp_path, files, tags)
    assert dict(rows(final, "SELECT tag, tag_cat FROM tags")) == {tag: category for _, tag, _, _, category in lines}
    assert rows(final, "SELECT tag, raw_cat FROM raw_tags ORDER BY tag") == [
        ("fox", 5),
        ("hi_res", 7),
        ("medium", 8),
        ("studio", 2),
        ("wolf", 5),
    ]
    counted = {(kind, rule): rows for _, kind, rule, _, rows in summarise(final).spellings}
    assert counted == {("category", "category"): 5}


def test_placeholders_cut_off_names_and_headers_within_are_accounted_for(tmp_path):
    tags = join(
        TAGS_HEADER,
        "b\t1\tusada_pekora\t0\t4\tCOPYRIGHT",
        "b\t1\tusada_pekora\t0\t4\tCOPYRIGHT",
        "b\t1\ta_very_long_na...\t0\t0\tGENERAL",
        "b\t1\t...\t0\t0\tGENERAL",
        TAGS_HEADER,
        "b\t1\t\t0\t1\tARTIST",
        "b\t1\thololive\t5\t3\thololive",
    )
    final = load(tmp_path, join(FILES_HEADER, file_line(1)), tags)
    assert rows(final, "SELECT tag, tag_id, danb_fr FROM tags ORDER BY tag") == [
        ("...", 0, None),
        ("a_very_long_na...", 0, None),
        ("hololive", 5, "hololive"),
        ("usada_pekora", 0, None),
    ]
    assert rows(final, "SELECT line, reason FROM rejects") == [(6, "bad_number")]
    assert rows(final, "SELECT duplicates, blank FROM accounting WHERE source = 'tags'") == [(1, 1)]


def test_more_rows_than_are_loaded_at_once_give_the_same(tmp_path, monkeypatch):
    from booru_pipeline.tag_table import load as module

    files = join(FILES_HEADER, *[file_line(fid) for fid in range(300)])
    lines = [f"b\t{fid}\t{tag}\t{fid}\t0\tG" for fid in range(300) for tag in ("x y", "x_y", "z", "Z", "z", "w")]
    tags = join(TAGS_HEADER, *lines, *lines[:100], "b\t1\tw\t9\t0\tG", "b\t7\tw\t9\t0\tG")
    whole = load(tmp_path / "whole", files, tags)
    from booru_pipeline.tag_table import filling
    from booru_pipeline.tag_table import lines as line_module

    monkeypatch.setattr(module, "_CHUNK_SHARE", 1e-9)
    monkeypatch.setattr(line_module, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(filling, "_HASHES", 100)
    parts = load(tmp_path / "parts", files, tags)
    assert summarise(parts).accounting == summarise(whole).accounting
    for table in ("files", "tags", "raw_tags", "rejects", "spellings"):
        query = f"SELECT * FROM {table} ORDER BY ALL"
        assert rows(parts, query) == rows(whole, query)
    _, counted = summarise(parts).accounting
    assert (counted.kept, counted.rejected) == (900, 2)
