import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from datasets import DatasetDict, load_from_disk
from safetensors.torch import load_file, save_file

from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.evaluate import evaluate
from booru_pipeline.evaluation.leakage import shared_groups
from booru_pipeline.evaluation.options import EvaluationOptions
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.predictor import Predictor
from booru_pipeline_tests.evaluation.world import NASTY

OPTIONS = EvaluationOptions(test_posts=100, top=100, ks=[1, 5], bootstrap_samples=200)
VOID = {"meta", "br", "hr", "img", "input", "link"}


@pytest.fixture(scope="module")
def report(world, tmp_path_factory):
    output = tmp_path_factory.mktemp("reports") / "2021b"
    summary = evaluate(world.checkpoint, world.dataset, world.vocabulary, output, OPTIONS, release="2021b")
    return output, summary


def recall(posts, guesses, k):
    shares = [
        len(set(guess[:k]) & set(post["hidden"])) / min(k, len(post["hidden"]))
        for post, guess in zip(posts, guesses, strict=True)
    ]
    return sum(shares) / len(shares)


def test_the_model_s_metrics_follow_from_the_predictions(report):
    output, summary = report
    posts = pq.read_table(output / "predictions.parquet").to_pylist()
    guesses = [post["predicted"] for post in posts]
    assert len(posts) == summary.test_posts == 100
    for k in (1, 5, 10):
        assert summary.recall["model"][k] == pytest.approx(recall(posts, guesses, k))
    first = [min(guess.index(label) for label in post["hidden"]) for post, guess in zip(posts, guesses, strict=True)]
    assert summary.mrr["model"] == pytest.approx(sum(1 / (place + 1) for place in first) / 100)


def test_popularity_is_counted_on_the_train_split_alone(report, world):
    output, summary = report
    posts = pq.read_table(output / "predictions.parquet").to_pylist()
    known = Vocabulary.load(world.vocabulary)
    train = load_from_disk(str(world.dataset))["train"]["label_rows"]
    counts = dict.fromkeys(known.labels, 0)
    for caption in train:
        for token in caption:
            counts[known.labels[token]] += 1
    guesses = []
    for post in posts:
        order = {label: (-counts[label], label in post["hidden"]) for label in known.labels}
        guesses.append(sorted(set(known.labels) - set(post["visible"]), key=order.__getitem__))
    for k in (1, 5, 10):
        assert summary.recall["popularity"][k] == pytest.approx(recall(posts, guesses, k))


def test_every_prediction_is_written(report, world):
    output, _ = report
    table = pq.read_table(output / "predictions.parquet")
    assert {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)} == {
        "booru": "string",
        "fid": "int64",
        "visible": "list<element: string>",
        "hidden": "list<element: string>",
        "predicted": "list<element: string>",
        "probability": "list<element: float>",
    }
    known = set(Vocabulary.load(world.vocabulary).labels)
    test_fids = set(load_from_disk(str(world.dataset))["test"]["fid"])
    for post in table.to_pylist():
        assert post["fid"] in test_fids
        assert set(post["predicted"]) == known - set(post["visible"])
        assert all(0 <= probability <= 1 for probability in post["probability"])
        assert len(post["probability"]) == len(post["predicted"])


def test_written_probabilities_are_the_predictor_s(report, world):
    output, _ = report
    known = Vocabulary.load(world.vocabulary)
    posts = pq.read_table(output / "predictions.parquet").to_pylist()[:20]
    contexts = [[known.index[label] for label in post["visible"]] for post in posts]
    probability = Predictor.load(world.checkpoint).probabilities(contexts)
    for post, own in zip(posts, probability, strict=True):
        assert post["probability"] == pytest.approx([own[known.index[label]] for label in post["predicted"]], rel=1e-3)


def test_a_checkpoint_that_diverged_is_refused(world, tmp_path):
    shutil.copytree(world.checkpoint, tmp_path / "checkpoint")
    weights = load_file(tmp_path / "checkpoint" / "model.safetensors")
    diverged = {name: weight * float("nan") for name, weight in weights.items()}
    save_file(diverged, tmp_path / "checkpoint" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BooruError, match="diverged"):
        evaluate(tmp_path / "checkpoint", world.dataset, world.vocabulary, tmp_path / "out", OPTIONS, release="2021b")


def test_the_metrics_are_plain_json_with_sizes_seeds_and_definitions(report, world):
    output, summary = report
    metrics = json.loads((output / "metrics.json").read_text())
    assert metrics["release"] == "2021b"
    assert metrics["options"]["seed"] == 0
    assert metrics["sizes"]["test_posts"] == 100
    assert metrics["sizes"]["labels"] == len(Vocabulary.load(world.vocabulary))
    assert set(metrics["methods"]) == {"model", "co-occurrence", "popularity"}
    assert metrics["methods"]["model"]["recall@10"] == summary.recall["model"][10]
    interval = metrics["model_less"]["popularity"]["recall@10"]
    difference = summary.recall["model"][10] - summary.recall["popularity"][10]
    assert interval["low"] <= interval["mean"] <= interval["high"]
    assert interval["mean"] == pytest.approx(difference)
    assert metrics["beats_popularity"] is (interval["low"] > 0)
    assert sum(category["hidden"] for category in metrics["categories"]) == metrics["sizes"]["hidden_labels"]
    assert metrics["shared_groups"] == 0
    assert "recall_at_k" in metrics["definitions"]


def test_the_same_inputs_give_the_same_files(report, world, tmp_path):
    output, summary = report
    again = evaluate(world.checkpoint, world.dataset, world.vocabulary, tmp_path / "again", OPTIONS, release="2021b")
    assert again == summary
    for name in ("metrics.json", "report.html"):
        assert (tmp_path / "again" / name).read_bytes() == (output / name).read_bytes()


def test_the_headline_does_not_depend_on_how_the_model_s_posts_are_batched(report, world, tmp_path):
    _, summary = report
    options = OPTIONS.model_copy(update={"batch_size": 7})
    again = evaluate(world.checkpoint, world.dataset, world.vocabulary, tmp_path / "again", options, release="2021b")
    assert again.recall["model"][10] == pytest.approx(summary.recall["model"][10], abs=0.01)
    assert again.recall["co-occurrence"] == summary.recall["co-occurrence"]


class Page(HTMLParser):
    """Collects what a browser would fetch or run, the text, and whether elements nest."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.fetched, self.text, self.style = [], [], [], [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def page(report):
    output, _ = report
    page = Page()
    page.feed((output / "report.html").read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def test_the_page_needs_nothing_but_itself(page):
    assert not {"script", "link", "img", "iframe", "object", "image", "base"} & set(page.elements)
    assert all(target.startswith("#") for target in page.fetched)
    assert "url(" not in page.style.replace("url(#", "")
    assert "@import" not in page.style
    assert page.elements.count("svg") == 4


def test_labels_are_text_and_never_markup(page):
    text = "".join(page.text)
    shown = [label for label in NASTY if label in text]
    # Eight example posts have six labels of thirteen each: all of these turn up.
    assert shown == NASTY


def test_the_page_says_what_was_measured(page, report):
    _, summary = report
    text = "".join(page.text)
    assert summary.verdict() in text
    assert "100 held-out posts" in text
    assert "not in the vocabulary" in text  # gawr_gura is not in this world
    assert "optimizer step" in text


def test_colours_follow_the_page_s_theme(report):
    output, _ = report
    html = (output / "report.html").read_text()
    assert "var(--model)" in html
    assert "#04040" not in html


def test_a_leak_is_shouted(world, tmp_path):
    splits = load_from_disk(str(world.dataset))
    leaky = DatasetDict(train=splits["train"], validation=splits["validation"], test=splits["train"].select(range(50)))
    leaky.save_to_disk(tmp_path / "leaky")
    summary = evaluate(
        world.checkpoint, tmp_path / "leaky", world.vocabulary, tmp_path / "report", OPTIONS, release="2021b"
    )
    assert summary.shared_groups == shared_groups(tmp_path / "leaky") > 0
    assert "Leak" in summary.to_markdown()
    assert "do not trust" in (tmp_path / "report" / "report.html").read_text()


def test_markdown_has_a_table_and_no_raw_markup(report):
    _, summary = report
    markdown = summary.to_markdown()
    assert "| model |" in markdown
    assert f"{summary.recall['co-occurrence'][10]:.3f}" in markdown
    nasty = replace(summary, probes=[replace(summary.probes[0], given="p|pe<3", label="<script>")])
    assert "p\\|pe\\<3" in nasty.to_markdown()
    assert "| <script>" not in nasty.to_markdown()


def test_an_empty_test_split_is_named_with_the_remedy(world, tmp_path):
    splits = load_from_disk(str(world.dataset))
    splits["test"] = splits["test"].select([])
    splits.save_to_disk(tmp_path / "empty")
    with pytest.raises(BooruError, match=r"test split .* has 0 posts .* larger release"):
        evaluate(world.checkpoint, tmp_path / "empty", world.vocabulary, tmp_path / "out", OPTIONS, release="2021b")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_a_log_still_reports(world, tmp_path):
    shutil.copytree(world.checkpoint, tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "training_log.json").unlink()
    evaluate(tmp_path / "checkpoint", world.dataset, world.vocabulary, tmp_path / "out", OPTIONS, release="2021b")
    assert "no training log" in (tmp_path / "out" / "report.html").read_text()


def test_a_checkpoint_of_another_vocabulary_is_refused(world, tmp_path):
    shutil.copytree(world.vocabulary, tmp_path / "vocabulary")
    table = pq.read_table(tmp_path / "vocabulary" / "labels.parquet")
    pq.write_table(table.slice(0, table.num_rows - 1), tmp_path / "vocabulary" / "labels.parquet")
    with pytest.raises(BooruError, match="vocabulary"):
        evaluate(world.checkpoint, world.dataset, tmp_path / "vocabulary", tmp_path / "out", OPTIONS, release="2021b")
