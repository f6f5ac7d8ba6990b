import copy
import json
import shutil
from dataclasses import replace

import jsonschema
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict, load_from_disk
from safetensors.torch import load_file, save_file

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.comparison.leakage import find_leaks
from booru_pipeline.evaluation.evaluate import evaluate
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.evaluation.report.findings import metrics_schema
from booru_pipeline.evaluation.report.summary import to_markdown
from booru_pipeline.evaluation.results import BASELINES, RECALL, T5_ALONE
from booru_pipeline.model.predictor import Predictor
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.vocabulary import Vocabulary

SHARES = [0.1, 0.5, 0.9]
OPTIONS = EvaluationOptions(test_posts=100, top=100, ks=[1, 5], hidden_shares=SHARES, bootstrap_samples=100)
IMPLICATIONS = {"usada_pekora": frozenset({"rabbit_ears"}), "hatsune_miku": frozenset({"twintails"})}
RELATIONS = Relations({}, IMPLICATIONS, "the test")


def run(world, output, options=OPTIONS, relations=RELATIONS, **other):
    folders = {name: other.get(name, getattr(world, name)) for name in ("checkpoint", "dataset", "vocabulary")}
    return evaluate(**folders, output=output, options=options, release="2021b", relations=relations)


@pytest.fixture(scope="module")
def report(world, tmp_path_factory):
    output = tmp_path_factory.mktemp("reports") / "2021b"
    return output, run(world, output)


@pytest.fixture(scope="module")
def metrics(report):
    return json.loads((report[0] / "metrics.json").read_text())


@pytest.fixture(scope="module")
def predictions(report):
    """Rows of predictions.parquet by hidden share."""
    rows = pq.read_table(report[0] / "predictions.parquet").to_pylist()
    return {share: [row for row in rows if row["hidden_share"] == share] for share in SHARES}


def recall(posts, guesses, k):
    shares = [
        len(set(guess[:k]) & set(post["hidden"])) / min(k, len(post["hidden"]))
        for post, guess in zip(posts, guesses, strict=True)
    ]
    return sum(shares) / len(shares)


@pytest.mark.parametrize("share", SHARES)
def test_the_model_s_metrics_follow_from_the_predictions(report, predictions, share):
    _, summary = report
    posts = [post for post in predictions[share] if post["hidden"]]
    guesses = [post["predicted"] for post in posts]
    result = summary.results[share]
    assert len(predictions[share]) == summary.sizes.test_posts == 100
    assert len(posts) == result.posts
    for k in (1, 5, 10):
        assert result.methods["model"][f"recall@{k}"] == pytest.approx(recall(posts, guesses, k))
    first = [min(guess.index(label) for label in post["hidden"]) for post, guess in zip(posts, guesses, strict=True)]
    assert result.methods["model"]["mrr"] == pytest.approx(sum(1 / (place + 1) for place in first) / len(posts))
    for post, guess in zip(posts, guesses, strict=True):
        others = [label for label in guess if label not in post["hidden"]]
        for own, (label, rank) in enumerate(zip(post["hidden"], post["rank"], strict=True), start=1):
            assert rank == own + sum(guess.index(other) < guess.index(label) for other in others)


@pytest.mark.parametrize("share", SHARES)
def test_popularity_is_counted_on_the_train_split_alone(report, predictions, world, share):
    _, summary = report
    posts = [post for post in predictions[share] if post["hidden"]]
    known = Vocabulary.load(world.vocabulary)
    counts = dict.fromkeys(known.labels, 0)
    for caption in load_from_disk(str(world.dataset))["train"]["label_rows"]:
        for token in caption:
            counts[known.labels[token]] += 1
    guesses = []
    for post in posts:
        order = {label: (-counts[label], label in post["hidden"]) for label in known.labels}
        given = {*post["visible"], *post["implied"]}
        guesses.append(sorted(set(known.labels) - given, key=order.__getitem__))
    for k in (1, 5, 10):
        assert summary.results[share].methods["popularity"][f"recall@{k}"] == pytest.approx(recall(posts, guesses, k))


def test_what_is_derivable_is_what_the_implications_say(predictions, metrics):
    for share, found in zip(SHARES, metrics["shares"], strict=True):
        for post in predictions[share]:
            closed = RELATIONS.closure(post["visible"])
            assert set(post["implied"]) == closed - set(post["visible"])
            assert set(post["derivable"]) <= closed
            assert not set(post["hidden"]) & closed
        counted = sum(len(post["derivable"]) for post in predictions[share])
        assert found["derivable_labels"] == counted
        assert found["hidden_labels"] == counted + sum(len(post["hidden"]) for post in predictions[share])
        assert found["not_derivable"]["labels"] == found["hidden_labels"] - counted
    assert sum(found["derivable_labels"] for found in metrics["shares"]) > 0


def test_the_same_posts_are_asked_about_at_every_share_and_what_is_hidden_grows(predictions):
    def hidden(post):
        return {*post["hidden"], *post["derivable"]}

    for smaller, larger in ((0.1, 0.5), (0.5, 0.9)):
        for few, many in zip(predictions[smaller], predictions[larger], strict=True):
            assert (few["booru"], few["fid"]) == (many["booru"], many["fid"])
            assert hidden(few) <= hidden(many)


def test_every_prediction_is_written(predictions, world):
    known = set(Vocabulary.load(world.vocabulary).labels)
    test_fids = set(load_from_disk(str(world.dataset))["test"]["fid"])
    for posts in predictions.values():
        for post in posts:
            assert post["fid"] in test_fids
            assert len(post["probability"]) == len(post["predicted"])
            assert all(0 <= probability <= 1 for probability in post["probability"])
            if post["hidden"]:
                assert set(post["predicted"]) == known - set(post["visible"]) - set(post["implied"])
            else:
                assert post["predicted"] == []


def test_written_probabilities_are_the_predictor_s(predictions, world):
    known = Vocabulary.load(world.vocabulary)
    posts = [post for post in predictions[0.5] if post["hidden"]][:20]
    contexts = [[known.index[label] for label in (*post["visible"], *post["implied"])] for post in posts]
    probability = Predictor.load(world.checkpoint).probabilities(contexts)
    for post, own in zip(posts, probability, strict=True):
        assert post["probability"] == pytest.approx([own[known.index[label]] for label in post["predicted"]], rel=1e-3)


def test_a_checkpoint_that_diverged_is_refused(world, tmp_path):
    shutil.copytree(world.checkpoint, tmp_path / "checkpoint")
    weights = load_file(tmp_path / "checkpoint" / "model.safetensors")
    diverged = {name: weight * float("nan") for name, weight in weights.items()}
    save_file(diverged, tmp_path / "checkpoint" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BooruError, match="diverged"):
        run(world, tmp_path / "out", checkpoint=tmp_path / "checkpoint")


def test_the_metrics_obey_their_schema(metrics):
    jsonschema.Draft202012Validator.check_schema(metrics_schema())
    validator = jsonschema.Draft202012Validator(metrics_schema())
    validator.validate(metrics)
    impossible = copy.deepcopy(metrics)
    impossible["shares"][0]["not_derivable"]["differences"][BASELINES[0]]["mrr"]["high"] = 2.0  # of two shares
    for broken in (
        impossible,
        {**metrics, "format_version": 2},
        {**metrics, "extra": 1},
        {**metrics, "shares": [{**metrics["shares"][0], "not_derivable": {}}]},
    ):
        assert not validator.is_valid(broken)


def test_the_metrics_say_what_the_summary_says(report, metrics, world):
    _, summary = report
    assert metrics["release"] == "2021b"
    assert metrics["options"]["seed"] == 0
    assert metrics["sizes"]["test_posts"] == 100
    assert metrics["sizes"]["labels"] == len(Vocabulary.load(world.vocabulary))
    assert metrics["verdict"] == summary.verdict
    assert metrics["beats_baselines"] is summary.beats_baselines is False  # the weights are random
    assert [method["name"] for method in metrics["methods"]] == ["model", *BASELINES] == list(summary.headline.methods)
    assert all(method["description"] for method in metrics["methods"])
    assert [share["hidden_share"] for share in metrics["shares"]] == SHARES == list(summary.results)
    for share in metrics["shares"]:
        result, own = share["not_derivable"], summary.results[share["hidden_share"]]
        assert result["methods"]["model"]["recall@10"] == own.methods["model"]["recall@10"]
        assert result["best_baseline"] == own.best_baseline
        for baseline in BASELINES:
            interval = result["differences"][baseline]["recall@10"]
            difference = own.methods["model"]["recall@10"] - own.methods[baseline]["recall@10"]
            assert interval["low"] <= interval["mean"] <= interval["high"]
            assert interval["mean"] == pytest.approx(difference)
    assert metrics["leaks"] == {"groups": 0, "posts": 0}
    assert {"recall_at_k", "not_derivable", "claim"} <= set(metrics["definitions"])


def test_the_same_inputs_give_the_same_files(report, world, tmp_path):
    output, summary = report
    assert run(world, tmp_path / "again") == summary
    for name in ("metrics.json", "report.html"):
        assert (tmp_path / "again" / name).read_bytes() == (output / name).read_bytes()


def test_the_headline_does_not_depend_on_how_the_model_s_posts_are_batched(report, world, tmp_path):
    _, summary = report
    again = run(world, tmp_path / "again", OPTIONS.model_copy(update={"batch_size": 7}))
    for share, result in again.results.items():
        before = summary.results[share].methods
        assert result.methods["model"]["recall@10"] == pytest.approx(before["model"]["recall@10"], abs=0.01)
        assert result.methods["co-occurrence"] == before["co-occurrence"]


def test_a_slow_checkpoint_gets_fewer_posts_and_the_report_says_so(world, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "is_slow", True)
    summary = run(world, tmp_path / "slow", OPTIONS.model_copy(update={"test_posts_slow": 20}))
    sizes = json.loads((tmp_path / "slow" / "metrics.json").read_text())["sizes"]
    assert summary.sizes.test_posts == sizes["test_posts"] == 20
    assert sizes["is_slow"] is True


def test_of_a_shortlist_no_more_than_its_ceiling_is_found(world, tmp_path):
    run(world, tmp_path / "out", OPTIONS.model_copy(update={"shortlist": 5}))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    jsonschema.validate(metrics, metrics_schema())
    assert (metrics["shortlist"]["size"], metrics["shortlist"]["proposer"]) == (5, "EASE")
    ceilings = {entry["hidden_share"]: entry["ceiling"] for entry in metrics["shortlist"]["ceiling"]}
    proposed = {share["hidden_share"]: share["not_derivable"]["methods"] for share in metrics["shares"]}
    assert list(ceilings) == SHARES
    for share, methods in proposed.items():
        assert 0 < ceilings[share] < 1
        # With five ranked, the first five of the model and of the proposer are the same set.
        assert methods["model"]["recall@5"] == pytest.approx(methods["EASE"]["recall@5"])
    assert "5 labels a post, those that EASE puts first" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("shortlist", [0, 5])
def test_where_counting_takes_part_t5_alone_is_beside_the_answer(report, world, tmp_path, monkeypatch, shortlist):
    """With nothing mixed in, the answer is the T5's: the two have the same figures."""
    monkeypatch.setattr(Predictor, "mixes", True)
    summary = run(world, tmp_path / "out", OPTIONS.model_copy(update={"shortlist": shortlist}))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    jsonschema.validate(metrics, metrics_schema())
    assert [method["name"] for method in metrics["methods"]] == ["model", T5_ALONE, *BASELINES]
    assert metrics["t5_beats_baselines"] is False
    for share in metrics["shares"]:
        own, alone = share["not_derivable"], share["t5_alone"]
        assert list(own["methods"]) == ["model", T5_ALONE, *BASELINES]
        assert own["methods"][T5_ALONE] == own["methods"]["model"]
        assert own["best_baseline"] in BASELINES
        assert list(alone["methods"]) == [T5_ALONE, *BASELINES]
        for name in BASELINES:
            for metric, found in alone["differences"][name].items():
                assert found == pytest.approx(own["differences"][name][metric])
    assert list(metrics["probes"]["characters"]["methods"]) == ["model", T5_ALONE, *BASELINES]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "T5 alone less each baseline" in page
    assert "| T5 alone |" in to_markdown(summary)
    assert "T5 alone less each baseline" not in (report[0] / "report.html").read_text()
    assert report[1].t5_alone == {}


def test_baselines_are_set_for_each_hidden_share(metrics):
    described = {method["name"]: method["description"] for method in metrics["methods"]}
    assert "% hidden: " in described["EDLAE"]
    assert "10 % hidden: " in described["naive Bayes"] or "10 and" in described["naive Bayes"]
    assert "hidden" not in described["popularity"]


def test_a_checkpoint_on_the_plateau_is_not_to_be_promoted(world, tmp_path):
    checkpoint = shutil.copytree(world.checkpoint, tmp_path / "checkpoint")
    figures = {"recall_at_10": 0.2, "popularity_recall_at_10": 0.25}
    (checkpoint / "provenance.json").write_text(json.dumps({"metrics": figures}))
    summary = run(world, tmp_path / "out", checkpoint=checkpoint)
    assert summary.has_learned is False
    assert summary.losses[0] == "it found no more on validation posts than the most frequent labels do"
    assert summary.judgement_in_words.startswith(summary.losses[0])
    assert summary.losses[0] in (tmp_path / "out" / "report.html").read_text()


def test_a_checkpoint_that_generates_is_let_speak_freely(world, tmp_path):
    checkpoint = shutil.copytree(world.checkpoint, tmp_path / "sequence")
    (checkpoint / "provenance.json").write_text(json.dumps({"encoding": "labels", "objective": "sequence"}))
    options = OPTIONS.model_copy(update={"generation_posts": 6})
    run(replace(world, checkpoint=checkpoint), tmp_path / "out", options)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    jsonschema.validate(metrics, metrics_schema())
    found = metrics["generation"]
    wrong = found["unknown"] + found["repeated"] + found["visible"]
    assert 0 < wrong <= found["answers"]  # random weights repeat themselves
    assert found["rate"] == pytest.approx(wrong / found["answers"])
    assert "that the model says freely are invalid" in (tmp_path / "out" / "report.html").read_text()


def test_without_implications_nothing_is_derivable(world, tmp_path):
    summary = run(world, tmp_path / "out", relations=Relations({}, {}, "the test"))
    shares = json.loads((tmp_path / "out" / "metrics.json").read_text())["shares"]
    assert [share["derivable"] for share in shares] == [None] * len(SHARES)
    assert all(result.posts == 100 for result in summary.results.values())


def test_a_leak_is_shouted(world, tmp_path):
    """A test post in train: its picture, its key, or both."""
    splits = load_from_disk(str(world.dataset))
    train = splits["train"].to_list()
    copies = splits["test"].select(range(5)).to_list()
    copies[0]["group_md5"] = "another picture"  # the same post
    copies[1]["fid"] = 10**9  # the same picture
    leaky = Dataset.from_list(train + copies, features=splits["train"].features)
    DatasetDict(train=leaky, validation=splits["validation"], test=splits["test"]).save_to_disk(tmp_path / "leaky")
    leaks = find_leaks(tmp_path / "leaky")
    assert (leaks.groups, leaks.posts) == (len({copy["group_md5"] for copy in copies[1:]}), 4)
    summary = run(world, tmp_path / "report", dataset=tmp_path / "leaky")
    assert summary.leaks == leaks
    assert summary.verdict.startswith("Leak: do not trust these numbers.")
    assert to_markdown(summary).startswith("**Leak")
    assert "do not trust" in (tmp_path / "report" / "report.html").read_text()


def test_markdown_has_a_table_and_no_raw_markup(report):
    _, summary = report
    markdown = to_markdown(summary)
    assert "| model |" in markdown
    assert f"{summary.results[0.5].figure('co-occurrence', RECALL):.3f}" in markdown
    [carrot] = [claim for claim in summary.probes.claims if claim.label == "carrot"]
    nasty = carrot.model_copy(update={"given": "p|pe<3", "label": "<script>", "named": "<script>"})
    probes = summary.probes.model_copy(update={"claims": [nasty]})
    markdown = to_markdown(summary.model_copy(update={"probes": probes}))
    assert "p\\|pe\\<3" in markdown
    assert "| <script>" not in markdown


def test_an_empty_test_split_is_named_with_the_remedy(world, tmp_path):
    splits = load_from_disk(str(world.dataset))
    splits["test"] = splits["test"].select([])
    splits.save_to_disk(tmp_path / "empty")
    with pytest.raises(BooruError, match=r"test split .* has 0 posts .* larger release"):
        run(world, tmp_path / "out", dataset=tmp_path / "empty")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_a_log_still_reports(world, tmp_path):
    shutil.copytree(world.checkpoint, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "training_log.json").unlink()
    run(world, tmp_path / "out", checkpoint=tmp_path / "checkpoint")
    assert "no training log" in (tmp_path / "out" / "report.html").read_text()


def test_a_checkpoint_of_another_vocabulary_is_refused(world, tmp_path):
    shutil.copytree(world.vocabulary, tmp_path / "vocabulary")
    table = pq.read_table(tmp_path / "vocabulary" / "labels.parquet")
    pq.write_table(table.slice(0, table.num_rows - 1), tmp_path / "vocabulary" / "labels.parquet")
    with pytest.raises(BooruError, match="vocabulary"):
        run(world, tmp_path / "out", vocabulary=tmp_path / "vocabulary")


def test_a_test_split_of_which_everything_is_implied_is_named(world, tmp_path):
    known = Vocabulary.load(world.vocabulary)
    splits = load_from_disk(str(world.dataset))
    test = splits["test"].to_list()[:1]
    test[0]["label_rows"] = [known.index[label] for label in ("usada_pekora", "carrot")]
    splits["test"] = Dataset.from_list(test, features=splits["test"].features)
    splits.save_to_disk(tmp_path / "implied")
    refused = []
    # One of the two labels is hidden, whichever: in one direction the other gives it away.
    for one, other in (("usada_pekora", "carrot"), ("carrot", "usada_pekora")):
        relations = Relations({}, {one: frozenset({other})}, "the test")
        try:
            run(world, tmp_path / one, relations=relations, dataset=tmp_path / "implied")
        except BooruError as error:
            refused.append(str(error))
    assert len(refused) == 1
    assert "1 posts and hides no label that the others do not imply" in refused[0]
