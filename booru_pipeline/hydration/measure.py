"""Measuring an arm: hidden labels of test posts, labels it never saw, and what labels are."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from scipy.special import logsumexp
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks, recall_at
from booru_pipeline.evaluation.options import HEADLINE_K
from booru_pipeline.evaluation.scorer import scores_in_parts
from booru_pipeline.hydration.arms import Words
from booru_pipeline.hydration.concepts import ConceptResult, Concepts, tell_apart
from booru_pipeline.hydration.splits import Questions, held_out_auc
from booru_pipeline.lake.document import Document
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.predictor import Predictor, read_recipe
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.model.ranking import Ranker
from booru_pipeline.model.ranking.torch_rankers import ranker_for
from booru_pipeline.model.start import label_rows, pretrained_model
from booru_pipeline.model.t5_alone import T5Alone
from booru_pipeline.training.warm_start import row_map
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary


class Measures(Document):
    """One arm, trained on one share with one seed.

    Attributes:
        recall_at_10: Of each test post, in the task's order.
        held_out_auc: By held-out label, in vocabulary order.
        concepts_before: By concept, of the model that the training started from.
        concepts_after: By concept, of the fine-tuned model.
        posts: Train posts.
        steps: Optimizer steps that were made.
        seconds: Of training.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    FILE: ClassVar = "measures.json"
    REMEDY: ClassVar = "Run `booru experiment hydration` again."

    recall_at_10: list[float]
    held_out_auc: dict[str, float]
    concepts_before: dict[str, ConceptResult]
    concepts_after: dict[str, ConceptResult]
    posts: int
    steps: int
    seconds: float


def place_text_rows(trained: Any, start: Any, everything: Vocabulary, learned: int) -> None:
    """Give each word beyond the learned labels a row, in place, as if it had come along in training.

    A row starts as the mean of its pieces' rows and is then moved as the learned labels' rows were: by the linear map
    (ridge regression towards none) that takes these from their start to where they are now. It knows nothing but the
    text. Before training there is nothing to move, and the row is the mean.

    Args:
        trained: The fine-tuned T5.
        start: The T5 that it was fine-tuned from, with a text-made row for every word.
        everything: The words.
        learned: How many of them were trained; they come first.
    """
    matrices = [(model.shared.weight, model.lm_head.weight) for model in (trained, start)]
    with torch.no_grad():
        # A dict by identity: one matrix where the two are tied.
        for weight, former in {id(now): (now, was) for now, was in zip(*matrices, strict=True)}.values():
            rows, before = label_rows(weight, everything), label_rows(former, everything)
            rows[learned:] = before[learned:] @ row_map(before[:learned], rows[:learned])


def measure(
    checkpoint: Path, source: str, words: Words, questions: Questions, concepts: Concepts, batch_size: int = 256
) -> Measures:
    """Measure a trained arm, and the model that it started from (`source`), `batch_size` contexts at a time.

    Raises:
        BooruError: The training diverged.
    """
    encoding, objective = read_recipe(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(words.training.tokenizer_folder)
    start = pretrained_model(source, tokenizer, words.everything, dropout=0.0).eval()
    trained = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, local_files_only=True, use_safetensors=True).eval()
    place_text_rows(trained, start, words.everything, words.learned)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    before, after = (ranker_for(model.to(device), words.everything, encoding, objective) for model in (start, trained))
    training = read_provenance(checkpoint)["training"]
    return Measures(
        recall_at_10=_recall(after, words, questions, batch_size, checkpoint),
        held_out_auc=_held_out(after, words, questions.whole, batch_size),
        concepts_before=_concepts(before, words, concepts, encoding),
        concepts_after=_concepts(after, words, concepts, encoding),
        posts=training["posts"],
        steps=training["steps"],
        seconds=training["seconds"],
    )


def _predictor(ranker: Ranker, words: Words) -> Predictor:
    return Predictor(T5Alone(ranker, len(words.everything), Calibration()), words.everything)


def _recall(ranker: Ranker, words: Words, questions: Questions, batch_size: int, checkpoint: Path) -> list[float]:
    asked = questions.recovery
    ranks: list[NDArray[np.int64]] = []
    for part, scores in scores_in_parts(_predictor(ranker, words), asked.given, batch_size):
        if np.isnan(scores[:, : words.learned]).any():
            raise BooruError(
                f"the model of {checkpoint} gives scores that are not numbers: its training diverged. "
                "Run the experiment again with a lower learning_rate."
            )
        ranks += hidden_ranks(scores[:, : words.learned], asked.asked[part])
    return list(recall_at(Ranks.of(asked.posts, asked.asked, ranks), HEADLINE_K).tolist())


def _held_out(ranker: Ranker, words: Words, posts: Posts, batch_size: int) -> dict[str, float]:
    """AUC of each held-out label, given all of a post's labels that are learned.

    A label's score is its log-probability less the held-out labels' mean: posts with many labels, or of which the model
    is sure, have lower probabilities for whatever is not in sight, and would rank by that.
    """
    seen = words.learnable(posts)
    rows = np.arange(words.learned, len(words.source))
    scores = np.empty((len(posts), len(rows)))
    order = np.argsort(seen.sizes, kind="stable")  # batches of like length have little padding
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        asked = Posts(np.tile(rows, len(chosen)), np.arange(len(chosen) + 1) * len(rows))
        found = ranker.scores(seen.take(chosen), asked)[:, rows].astype(np.float64)
        scores[chosen] = found - found.mean(axis=1, keepdims=True)
    return dict(zip(words.held_out, held_out_auc(scores, posts, words.learned), strict=True))


def _concepts(ranker: Ranker, words: Words, concepts: Concepts, encoding: EncodingName) -> dict[str, ConceptResult]:
    labels = concepts.known(words.training.index)
    scores = _predictor(ranker, words).scores([[words.training.index[label]] for label in labels]).astype(np.float64)
    # Over all learned labels that are asked for, so that no other word's row matters.
    base = logsumexp(scores[:, : words.learned], axis=1, keepdims=True)
    return tell_apart(concepts, labels, scores[:, words.concept_rows(encoding)] - base)
