"""A report of the second of two releases: what has changed since the first."""

import json
import shutil

import jsonschema
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_from_disk
from typer.testing import CliRunner

from booru_pipeline.cli.app import app
from booru_pipeline.dataset.posts import load_posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.leakage import trained_on
from booru_pipeline.evaluation.comparison.rivals import load_rival
from booru_pipeline.evaluation.evaluate import evaluate
from booru_pipeline.evaluation.report.findings import metrics_schema
from booru_pipeline.evaluation.report.summary import to_markdown
from booru_pipeline.evaluation.results import RECALL
from booru_pipeline.lake.lake import Lake
from booru_pipeline.lake.record import Record
from booru_pipeline.model.provenance import EarlierCheckpoint
from booru_pipeline.pipeline.checkpoints import find_earlier, find_predecessor
from booru_pipeline.vocabulary.vocabulary import Vocabulary
from booru_pipeline_tests.evaluation.comparison.conftest import NEWCOMER, rows_of_both
from booru_pipeline_tests.evaluation.test_evaluate import OPTIONS, RELATIONS, SHARES


@pytest.fixture(scope="module")
def report(lake, tmp_path_factory):
    output = tmp_path_factory.mktemp("reports") / "2021b"
    summary = evaluate(
        lake.checkpoint("2021b"),
        lake.tokenized_dataset("2021b"),
        lake.vocabulary("2021b"),
        output,
        OPTIONS.model_copy(update={"change_support": 5}),
        release="2021b",
        relations=RELATIONS,
        parent=find_predecessor(lake, "2021b"),
    )
    return output, summary


def test_the_parent_is_found_with_the_dataset_that_it_was_trained_on(lake):
    parent = find_predecessor(lake, "2021b")
    assert (parent.release, parent.key) == ("2021a", "key of 2021a")
    assert parent.dataset == lake.tokenized_dataset("2021a")
    assert find_predecessor(lake, "2021a") is None
    assert find_earlier(lake, "2020a") is None


def test_the_parent_of_provenance_comes_before_the_newest_one(lake, tmp_path):
    home = Lake(tmp_path)
    for release, parent in (("2021a", None), ("2021b", "2021a"), ("2021c", "2021a"), ("2021d", "2020z")):
        folder = home.checkpoint(release)
        folder.mkdir(parents=True)
        Record(stage="checkpoint", release=release, key=release).write(folder)
        (folder / "provenance.json").write_text(json.dumps({"parent": {"release": parent} if parent else None}))
    assert find_predecessor(home, "2021c").release == "2021a"
    assert find_predecessor(home, "2021d").release == "2021c"  # its parent is gone
    assert find_predecessor(home, "2021c").dataset is None


def test_a_dataset_that_was_made_anew_tells_nothing_of_what_a_checkpoint_was_trained_on(lake, tmp_path):
    home = Lake(tmp_path)
    for artifact in (Lake.checkpoint, Lake.tokenized_dataset):
        shutil.copytree(artifact(lake, "2021a"), artifact(home, "2021a"))
    assert find_earlier(home, "2021a").dataset is not None
    Record(stage="tokenized_dataset", release="2021a", key="another key").write(home.tokenized_dataset("2021a"))
    earlier = find_earlier(home, "2021a")
    assert earlier.dataset is None
    test = load_posts(lake.tokenized_dataset("2021b"), "test", about=True)
    assert load_rival(earlier, test, []).seen is None


def test_no_test_picture_was_in_the_parent_s_train_split(lake, report):
    """Counted here from the shards, not from what the code under test reads."""
    in_train = {row["group_md5"] for row in rows_of_both() if row["release"] == "2021a" and row["split"] == "train"}
    asked = {row["group_md5"] for row in rows_of_both() if row["split"] == "test"}
    assert not in_train & asked
    assert report[1].comparison.parent.left_out == 0
    assert report[1].comparison.parent.posts == report[1].sizes.test_posts


def test_a_planted_leak_is_found_by_key_and_by_picture(lake, tmp_path):
    test = load_posts(lake.tokenized_dataset("2021b"), "test", about=True)
    splits = load_from_disk(str(lake.tokenized_dataset("2021a")))
    copies = splits["train"].to_list()[:2]
    pictures = test.column("group_md5")
    copies[0] |= {name: test.column(name)[0] for name in ("booru", "fid")}  # the same post, of another group
    copies[1] |= {"group_md5": pictures[5]}  # another post of the same picture
    splits["train"] = Dataset.from_list(splits["train"].to_list() + copies, features=splits["train"].features)
    splits.save_to_disk(tmp_path / "leaky")
    assert trained_on(lake.tokenized_dataset("2021a"), test) == frozenset()
    assert trained_on(tmp_path / "leaky", test) == {pictures[0], pictures[5]}


def test_a_parent_that_cannot_be_read_is_named_with_the_remedy(lake, tmp_path):
    shutil.copytree(lake.checkpoint("2021a"), tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text("{")
    earlier = EarlierCheckpoint("2021a", "key", tmp_path / "broken", None)
    test = load_posts(lake.tokenized_dataset("2021b"), "test", about=True)
    with pytest.raises(BooruError, match=r"checkpoint of 2021a, .* cannot be read.* --release 2021a"):
        load_rival(earlier, test, [])


def at(share, results):
    """The result at a hidden share."""
    [found] = [own for own in results if own.hidden_share == share]
    return found


def test_what_the_second_release_brought_is_reported(report, lake):
    found = report[1].comparison
    before, now = (set(Vocabulary.load(lake.vocabulary(release)).labels) for release in ("2021a", "2021b"))
    assert NEWCOMER in now - before
    assert (found.labels_new, found.labels_both) == (len(now - before), len(now & before))
    assert found.new_releases == ["2021b"]
    assert at(0.5, found.out_of_time.new_posts).posts + at(0.5, found.out_of_time.earlier_posts).posts == (
        at(0.5, found.parent.shares).posts
    )
    assert NEWCOMER in {one.label for one in found.drift.risen}
    assert found.drift.fallen[0].label in {"hat", "carrot", "rabbit_ears", "usada_pekora"}
    assert set(at(0.5, found.new_labels).methods) == {"model", report[1].results[0.5].best_baseline}


def test_metrics_obey_their_schema_and_say_what_the_comparison_says(report):
    output, summary = report
    metrics = json.loads((output / "metrics.json").read_text())
    jsonschema.Draft202012Validator(metrics_schema()).validate(metrics)
    assert metrics["comparison"] == json.loads(json.dumps(summary.comparison.model_dump(mode="json")))
    assert [own["hidden_share"] for own in metrics["comparison"]["parent"]["shares"]] == SHARES
    assert metrics["losses"] == summary.losses
    assert {"parent", "left_out", "changes", "drift", "out_of_time", "losses"} <= set(metrics["definitions"])


def test_the_model_s_figures_are_the_headline_s_if_nothing_is_left_out(report):
    _, summary = report
    for own in summary.comparison.parent.shares:
        for metric, value in own.methods["model"].items():
            assert value == pytest.approx(summary.results[own.hidden_share].methods["model"][metric])


def test_a_checkpoint_is_level_with_itself(lake, tmp_path):
    summary = evaluate(
        lake.checkpoint("2021b"),
        lake.tokenized_dataset("2021b"),
        lake.vocabulary("2021b"),
        tmp_path / "out",
        OPTIONS,
        release="2021b",
        relations=RELATIONS,
        parent=find_earlier(lake, "2021b"),
    )
    for own in summary.comparison.parent.shares:
        assert own.differences["parent"][RECALL].mean == pytest.approx(0, abs=0.01)  # batches round otherwise
    assert summary.comparison.labels_new == 0
    assert summary.comparison.new_releases == []
    assert summary.comparison.drift is None


def test_the_page_and_the_markdown_tell_it(report, lake):
    output, summary = report
    html = (output / "report.html").read_text()
    assert "Since 2021a" in html
    assert "None of their pictures is in its train split" in html
    assert NEWCOMER in html
    markdown = to_markdown(summary)
    assert "#### Since 2021a" in markdown
    half = at(0.5, summary.comparison.parent.shares)
    assert f"| 50 % | {half.figure('model', RECALL):.3f} | {half.figure('parent', RECALL):.3f} |" in markdown


def test_suggest_follows_the_pointer_and_says_so_where_there_is_none(lake, tmp_path):
    def ask(*arguments):
        result = CliRunner().invoke(app, [*arguments, "--home", str(lake.home)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    question = ["suggest", "smile", "--raw", str(tmp_path)]
    newest = ask(*question)
    assert "no checkpoint is promoted: the newest is taken, 2021b" in newest.stderr
    assert "smile (2021b)" in newest.stdout
    assert "promoted: 2021a" in ask("promote", "2021a").stdout
    followed = ask(*question)
    assert "smile (2021a)" in followed.stdout
    assert followed.stderr == ""
    assert "smile (2021b)" in ask(*question, "--release", "2021b").stdout
    assert "no checkpoint is promoted" in ask("promote", "--none").stdout
    assert "smile (2021b)" in ask(*question).stdout
    for wrong in (["promote"], ["promote", "2021a", "--none"]):
        with pytest.raises(BooruError, match="name a release"):
            CliRunner().invoke(app, [*wrong, "--home", str(lake.home)], catch_exceptions=False)


def test_predictions_are_as_without_a_parent(report, lake, tmp_path):
    output, _ = report
    evaluate(
        lake.checkpoint("2021b"),
        lake.tokenized_dataset("2021b"),
        lake.vocabulary("2021b"),
        tmp_path / "alone",
        OPTIONS,
        release="2021b",
        relations=RELATIONS,
    )
    assert pq.read_table(tmp_path / "alone" / "predictions.parquet").equals(
        pq.read_table(output / "predictions.parquet")
    )
    metrics = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    jsonschema.Draft202012Validator(metrics_schema()).validate(metrics)
    assert metrics["comparison"] is None
    assert "First release" in (tmp_path / "alone" / "report.html").read_text()
