"""The views of `booru sql` beside the tag tables."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booru_pipeline.audit.tables import MISSING, SCHEMAS, SUSPECT
from booru_pipeline.evaluation.report import predictions
from booru_pipeline.lake.lake import Lake
from booru_pipeline.pipeline.artifact_views import ArtifactViews
from booru_pipeline.tag_table.attach import add_functions
from booru_pipeline.tag_table.queries import find_query, set_variables
from booru_pipeline.training_shards.relations import Relations

VIEWS = {
    *("aliases", "implications", "labels", "predictions", "audit", "proposed_implications", "proposed_aliases"),
    *("not_kept_implications", "exclusions", "core_tags"),
}
RELATIONS = Relations({"bunny_ears": "rabbit_ears"}, {"rabbit_ears": frozenset({"animal_ears", "ears"})}, "here")
BECAUSE = [{"tag": "bunny_suit", "together": 93, "posts": 98, "expected": 7.5}]


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        add_functions(connection)
        # As `attach_all` makes it.
        connection.execute(
            "CREATE TABLE releases AS SELECT * FROM (VALUES ('2021a', 1), ('2021b', 2)) AS keys(release, position)"
        )
        yield connection


@pytest.fixture
def lake(tmp_path):
    """A home whose path has what means something in a statement, in a pattern of paths or to a partition."""
    return Lake(tmp_path / "o'ne \"[1]*?" / "release=x" / "home")


def finding(tag, fid, **more):
    return {
        "booru": "danbooru.donmai.us",
        "fid": fid,
        "tag": tag,
        "category": "general",
        "because": BECAUSE,
        **more,
    }


def missing(tag, fid, probability, *, implied=False, core_of=None):
    return finding(tag, fid, probability=probability, implied=implied, core_of=core_of)


def suspect(tag, fid, ratio):
    return finding(tag, fid, probability=ratio / 10, rate=0.1, ratio=ratio)


def write_audit(lake, release, **tables):
    folder = lake.tag_audit(release)
    folder.mkdir(parents=True)
    for name, schema in SCHEMAS.items():
        pq.write_table(pa.Table.from_pylist(tables.get(name, []), schema), folder / f"{name}.parquet")


def write_labels(lake, release, posts):
    folder = lake.vocabulary(release)
    folder.mkdir(parents=True)
    columns = {"label": ["usada_pekora", "solo"], "category": pa.array([4, 0], pa.int8())}
    pq.write_table(
        pa.table({**columns, "posts": posts, "train_posts": posts, "text": ["a", "b"]}), folder / "labels.parquet"
    )


@pytest.fixture
def views(connection, lake):
    return ArtifactViews(connection, lake, lambda: RELATIONS)


def rows(views, query):
    views.fill(query)
    return views.connection.sql(query).fetchall()


def test_what_is_not_made_yet_is_there_with_its_columns_and_without_rows(views):
    assert {name for (name,) in views.connection.sql("show tables").fetchall()} == {*VIEWS, "releases"}
    for view in VIEWS - {"aliases", "implications"}:
        assert rows(views, f"from {view}") == []
    columns = views.connection.sql("from audit").columns
    assert columns[:2] == ["release", "finding"]
    assert {*columns[2:]} == {*SCHEMAS[MISSING].names, *SCHEMAS[SUSPECT].names}


def test_the_predictions_columns_are_those_that_an_evaluation_writes(views, tmp_path):
    pq.write_table(predictions.SCHEMA.empty_table(), tmp_path / "predictions.parquet")
    written = views.connection.read_parquet(str(tmp_path / "predictions.parquet"))
    shown = views.connection.sql("from predictions")
    assert shown.columns == ["release", *written.columns]
    assert list(map(str, shown.types[1:])) == list(map(str, written.types))


def test_relations_are_those_in_force(views):
    assert rows(views, "from aliases") == [("bunny_ears", "rabbit_ears")]
    assert rows(views, "FROM Implications ORDER BY ALL") == [("rabbit_ears", "animal_ears"), ("rabbit_ears", "ears")]


def test_nothing_is_read_before_a_query_names_it(connection, lake):
    views = ArtifactViews(connection, lake, lambda: pytest.fail("the relations were read"))
    (lake.tag_audit("2021a")).mkdir(parents=True)
    (lake.tag_audit("2021a") / "missing.parquet").write_bytes(b"no Parquet file")
    assert rows(views, "select 'x' as proposed_aliases_of, count(*) from labels") == [("x", 0)]


def test_each_view_has_the_rows_of_all_releases_and_says_of_which(views, lake):
    write_labels(lake, "2021a", [7, 9])
    write_labels(lake, "2021b", [8, 10])
    write_audit(lake, "2021a", missing=[missing("solo", 1, 0.75)], suspect=[suspect("solo", 2, 0.01)])
    write_audit(
        lake,
        "2021b",
        core_tags=[
            {"character": "usada_pekora", "tag": "solo", "category": "general", "together": 8, "posts": 9, "share": 0.9}
        ],
    )
    assert rows(views, "from labels order by all") == [
        ("2021a", "solo", "general", 9, 9),
        ("2021a", "usada_pekora", "character", 7, 7),
        ("2021b", "solo", "general", 10, 10),
        ("2021b", "usada_pekora", "character", 8, 8),
    ]
    assert rows(views, "select release, finding, tag, fid, implied, because from audit order by fid") == [
        ("2021a", "missing", "solo", 1, False, [{**BECAUSE[0]}]),
        ("2021a", "suspect", "solo", 2, None, [{**BECAUSE[0]}]),
    ]
    assert rows(views, "select release, character, tag from core_tags") == [("2021b", "usada_pekora", "solo")]
    assert views.connection.sql("select getvariable('files'), getvariable('name')").fetchall() == [(None, None)]


def test_a_file_of_another_version_has_what_it_has(views, lake):
    write_audit(lake, "2021a", missing=[missing("solo", 1, 0.75)])
    write_audit(lake, "2021b")
    table = pa.table({"tag": ["solo"], "probability": [0.5], "later": [1]})
    pq.write_table(table, lake.tag_audit("2021b") / f"{MISSING}.parquet")
    assert rows(views, "select release, fid, tag, probability from audit order by release") == [
        ("2021a", 1, "solo", 0.75),
        ("2021b", None, "solo", 0.5),
    ]


@pytest.mark.parametrize("harm", ["cut", "gone", "within"])
def test_a_file_that_is_broken_is_named_with_what_to_do_and_hinders_nobody_else(views, lake, harm):
    write_audit(lake, "2021a", missing=[missing("solo", fid, fid / 1000) for fid in range(500)])
    write_audit(lake, "2021b", missing=[missing("solo", 2, 0.5)])
    path = lake.tag_audit("2021a") / f"{MISSING}.parquet"
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if harm == "cut" else content[:4] + b"\xff" * 200 + content[204:])
    assert rows(views, "select fid from audit where release = '2021b'") == [(2,)]
    assert rows(views, "with audit as (select 1) from audit") == [(1,)]
    with pytest.raises(duckdb.Error) as raised:
        rows(views, "select * from audit")
    problem = views.problem_of(raised.value)
    assert problem.startswith(f"{path} {'is not there' if harm == 'gone' else 'cannot be read: '}")
    assert problem.endswith(f"Remove {path.parent} and make it again with `booru run --release 2021a --to tag_audit`.")


def test_an_error_of_the_querys_own_is_no_files(views, lake):
    write_audit(lake, "2021a")
    with pytest.raises(duckdb.Error) as raised:
        rows(views, "select nothing from audit")
    assert views.problem_of(raised.value) is None


def implication(antecedent, consequent, posts, **more):
    sides = {"antecedent": antecedent, "consequent": consequent, "together": 30, "posts": posts}
    return {**sides, "both_ways": False, "may_be_asked": False, **more}


def run(views, name, **variables):
    query = find_query(name)
    set_variables(views.connection, variables)
    found = rows(views, query.text)
    for variable in variables:
        views.connection.execute(f"RESET VARIABLE {variable}")
    return found


@pytest.fixture
def audited(views, lake):
    """Findings in two releases."""
    write_labels(lake, "2021a", [7, 9])
    write_labels(lake, "2021b", [8, 10])
    write_audit(
        lake,
        "2021a",
        missing=[
            missing("solo", 1, 0.6),
            missing("solo", 2, 0.4),
            missing("animal_ears", 3, 0.1, implied=True),
        ],
        suspect=[suspect("solo", 5, 0.05), suspect("1boy", 6, 0.01)],
    )
    write_audit(
        lake,
        "2021b",
        missing=[missing("solo", 7, 0.9, core_of="usada_pekora"), missing("ears", 7, 0.7, core_of="usada_pekora")],
        implications=[
            implication("a", "b", 31, low=0.97),
            implication("c", "d", 30, low=0.96, may_be_asked=True),
            implication("e", "f", 30, low=0.98, both_ways=True),
        ],
        aliases=[{"alias": "ear", "tag": "ears", "alias_posts": 9, "tag_posts": 20, "together": 0, "likeness": 0.9}],
    )
    return views


def test_the_query_for_missing_tags(audited):
    found = run(audited, "missing_tags")
    assert [row[:6] for row in found] == [
        ("2021a", "danbooru.donmai.us", 3, "animal_ears", pytest.approx(0.1), True),
        ("2021b", "danbooru.donmai.us", 7, "solo", pytest.approx(0.9), False),
        ("2021b", "danbooru.donmai.us", 7, "ears", pytest.approx(0.7), False),
        ("2021a", "danbooru.donmai.us", 1, "solo", pytest.approx(0.6), False),
    ]
    assert found[0][6:] == ("bunny_suit 93 of 98", "https://danbooru.donmai.us/posts/3")
    assert [row[2] for row in run(audited, "missing_tags", tag="Solo ", release="2021a")] == [1]
    assert [row[2] for row in run(audited, "missing_tags", tag="solo", min_probability=0.3)] == [7, 1, 2]


def test_the_query_for_suspect_tags(audited):
    assert [row[2:4] for row in run(audited, "suspect_tags")] == [(6, "1boy"), (5, "solo")]
    assert [row[2:4] for row in run(audited, "suspect_tags", max_ratio=0.02)] == [(6, "1boy")]
    assert run(audited, "suspect_tags", release="2021b") == []


def test_the_query_by_tag(audited):
    assert run(audited, "audit_by_tag") == [
        ("solo", "general", 2, 0, 1, 10),
        ("1boy", "general", 0, 0, 1, None),
        ("animal_ears", "general", 1, 1, 0, None),
        ("ears", "general", 1, 0, 0, None),
    ]
    assert run(audited, "audit_by_tag", release="2021a", min_probability=0.3)[0] == ("solo", "general", 2, 0, 1, 9)


def test_the_query_for_posts_that_lack_core_tags(audited):
    page = "https://danbooru.donmai.us/posts/7"
    expected = [("2021b", "danbooru.donmai.us", 7, "usada_pekora", ["solo", "ears"], page)]
    assert run(audited, "lacking_core") == run(audited, "lacking_core", character="Usada Pekora") == expected
    assert run(audited, "lacking_core", character="someone") == []


def test_the_queries_for_what_can_be_proposed(audited):
    assert [row[:3] for row in run(audited, "implications_to_propose")] == [
        ("c", "d", "30 of 30"),
        ("e", "f", "30 of 30"),
        ("a", "b", "30 of 31"),
    ]
    assert [row[0] for row in run(audited, "implications_to_propose", both_ways=False)] == ["c", "a"]
    assert run(audited, "implications_to_propose", min_posts=40) == []
    assert [row[:2] for row in run(audited, "aliases_to_propose")] == [("ear", "ears")]
    assert run(audited, "aliases_to_propose", min_posts=10) == []
