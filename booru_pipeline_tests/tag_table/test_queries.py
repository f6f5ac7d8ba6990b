"""Every query of the library, against plain Python over the rows."""

from collections import Counter, defaultdict

import duckdb
import pytest

from booru_pipeline.errors import BooruError
from booru_pipeline.pipeline.artifact_views import ArtifactViews
from booru_pipeline.tag_table.attach import add_functions, attach_all
from booru_pipeline.tag_table.queries import Query, check_variables, find_query, library, parse_variables, set_variables


@pytest.fixture
def connection(lake):
    with duckdb.connect() as connection:
        attach_all(connection, lake)
        add_functions(connection)
        ArtifactViews(connection, lake, lambda: None)
        yield connection


@pytest.fixture
def rows(connection):
    """Tag rows of the latest listings: (booru, fid, tag, category)."""
    return connection.execute("SELECT booru, fid, tag, tag_cat FROM tags_latest").fetchall()


def run(connection, name, *settings):
    query = find_query(name)
    variables = parse_variables(settings)
    check_variables(query, variables)
    set_variables(connection, variables)
    return connection.execute(query.text).fetchall()


def by_count(counts, least):
    return sorted(((*key, n) for key, n in counts.items() if n >= least), key=lambda row: (-row[-1], *row[:-1]))


@pytest.mark.parametrize(("settings", "least"), [([], 31), (["min_posts=100"], 100), (["min_posts=1"], 1)])
def test_general_labels(connection, rows, settings, least):
    counts = Counter((tag.lower(),) for _, _, tag, category in rows if category == 0)
    assert run(connection, "general_labels", *settings) == by_count(counts, least)
    assert by_count(counts, least)


@pytest.mark.parametrize(
    ("settings", "least", "categories"),
    [([], 83, (1, 3, 4)), (["min_posts=20"], 20, (1, 3, 4)), (["min_posts=5", "categories=[4]"], 5, (4,))],
)
def test_name_labels(connection, rows, settings, least, categories):
    names = {1: "artist", 3: "copyright", 4: "character"}
    counts = Counter((tag.lower(), names[category]) for _, _, tag, category in rows if category in categories)
    assert run(connection, "name_labels", *settings) == by_count(counts, least)
    assert by_count(counts, least)


@pytest.mark.parametrize(("settings", "least"), [([], 31), (["min_posts=5"], 5)])
def test_label_counts(connection, rows, settings, least):
    names = {-1: "uncatalogued", 0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta"}
    counts = defaultdict(Counter)
    for _, _, tag, category in rows:
        counts[-1 if category is None else category][tag.lower()] += 1
    expected = []
    for category in sorted(counts):
        frequent = [n for n in counts[category].values() if n >= least]
        share = sum(frequent) / counts[category].total()
        expected.append((names[category], len(counts[category]), len(frequent), pytest.approx(share, abs=1e-4)))
    assert run(connection, "label_counts", *settings) == expected
    assert any(row[2] for row in expected)


@pytest.mark.parametrize(
    ("settings", "franchises"),
    [
        ([], ["hololive"]),
        (["franchises=Hololive"], ["Hololive"]),
        (["franchises=fate_(series)"], ["fate_(series)"]),
        (['franchises=["hololive", "fate_(series)"]'], ["fate_(series)", "hololive"]),
        (["franchises=[hololive, no_such_franchise]"], ["hololive", "no_such_franchise"]),
    ],
)
def test_franchise_posts(connection, rows, settings, franchises):
    posts = defaultdict(list)
    for booru, fid, tag, category in rows:
        if category == 3:
            posts[booru, fid] += [name for name in franchises if name.lower() == tag.lower()]
    files = {
        (booru, fid): (name, release)
        for booru, fid, name, release in connection.execute(
            "SELECT booru, fid, file_name, release FROM files_latest"
        ).fetchall()
    }
    expected = sorted((*key, sorted(names), *files[key]) for key, names in posts.items() if names)
    assert run(connection, "franchise_posts", *settings) == expected
    assert expected or franchises == ["fate_(series)"]


def test_the_library_says_what_each_query_is_for(connection):
    queries = library()
    assert [query.name for query in queries] == [
        "aliases_to_propose",
        "audit_by_tag",
        "franchise_posts",
        "general_labels",
        "implications_to_propose",
        "label_counts",
        "lacking_core",
        "missing_tags",
        "name_labels",
        "suspect_tags",
    ]
    for query in queries:
        assert query.summary.endswith(".")
        assert query.variables
        for variable in query.variables:
            assert f"{variable} (" in query.text, "a variable is explained, with its default"
        connection.execute(query.text)


def test_a_query_in_a_file_is_read_and_one_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "mine.sql"
    path.write_text("SELECT getvariable('a') + GETVARIABLE( 'B' )", encoding="utf-8")
    assert find_query(str(path)).variables == ["a", "B"]
    assert find_query(str(path)).summary == ""
    with pytest.raises(BooruError, match=r"no file nowhere\.sql.*general_labels"):
        find_query("nowhere.sql")
    with pytest.raises(BooruError, match="Is a directory"):
        find_query(str(tmp_path))
    path.write_bytes(b"SELECT '\xff'")
    with pytest.raises(BooruError, match="is not UTF-8 text"):
        find_query(str(path))


def test_variables_are_json_where_they_are_json_and_text_otherwise(connection):
    settings = ["a=1", "b=0.5", "c=x", 'd=["x", "y"]', "e=a=b", "f=", "g=null", "h=true"]
    variables = parse_variables(settings)
    assert variables == {"a": 1, "b": 0.5, "c": "x", "d": ["x", "y"], "e": "a=b", "f": "", "g": None, "h": True}
    set_variables(connection, variables)
    found = connection.execute("SELECT " + ", ".join(f"getvariable('{name}')" for name in variables)).fetchall()
    assert found == [tuple(variables.values())]


@pytest.mark.parametrize("setting", ["a", "=1", "1a=1", "a b=1", "a'=1", "x = 1; --=2"])
def test_a_setting_that_is_none_is_named(setting):
    with pytest.raises(BooruError, match="write name=value"):
        parse_variables([setting])


def test_a_variable_that_the_query_does_not_read_is_named():
    with pytest.raises(BooruError, match=r"mine does not read .*it reads: min_posts"):
        check_variables(Query("mine", "SELECT getvariable('min_posts')"), {"min_post": 1})
