"""Measuring an arm: hidden labels of test posts, labels it never saw, and what labels are."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.errors import BooruError
from booru_pipeline.evaluation.figures.ranks import Ranks, hidden_ranks, recall_at
from booru_pipeline.evaluation.scorer import scores_in_parts
from booru_pipeline.hydration.concepts import ConceptResult, Concepts, tell_apart
from booru_pipeline.hydration.questions import Questions, held_out_auc, without
from booru_pipeline.hydration.words import Words
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.predictor import Predictor, read_recipe
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.model.ranking import Ranker, ranker_for
from booru_pipeline.model.start import label_rows, pretrained_model
from booru_pipeline.training.warm_start import row_map
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

MEASURES_FILE: Final = "measures.json"


@dataclass(frozen=True)
class Measures:
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

    recall_at_10: list[float]
    held_out_auc: dict[str, float]
    concepts_before: dict[str, ConceptResult]
    concepts_after: dict[str, ConceptResult]
    posts: int
    steps: int
    seconds: float

    def write(self, folder: Path) -> None:
        """Keep the measures in the arm's folder."""
        (folder / MEASURES_FILE).write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Measures":
        """Read an arm's measures."""
        content: dict[str, Any] = json.loads((folder / MEASURES_FILE).read_text(encoding="utf-8"))
        for when in ("concepts_before", "concepts_after"):
            content[when] = {name: ConceptResult(**result) for name, result in content[when].items()}
        return cls(**content)


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
    matrices = [(trained.shared.weight, start.shared.weight)]
    if trained.lm_head.weight is not trained.shared.weight:
        matrices.append((trained.lm_head.weight, start.lm_head.weight))
    with torch.no_grad():
        for weight, former in matrices:
            rows, before = label_rows(weight, everything), label_rows(former, everything)
            rows[learned:] = before[learned:] @ row_map(before[:learned], rows[:learned])


K: Final = 10


def measure(
    checkpoint: Path, source: str, words: Words, questions: Questions, concepts: Concepts, batch_size: int = 256
) -> Measures:
    """Measure a trained arm, and the model that it started from.

    Args:
        checkpoint: What the training program wrote.
        source: The arm's base model.
        words: The labels with the arm's texts.
        questions: What is asked.
        concepts: What some labels are.
        batch_size: Contexts at a time.
    """
    encoding, objective = read_recipe(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(words.training.tokenizer_folder)
    start = pretrained_model(source, tokenizer, words.everything, dropout=0.0).eval()
    trained = AutoModelForSeq2SeqLM.from_pretrained(checkpoint, local_files_only=True, use_safetensors=True).eval()
    place_text_rows(trained, start, words.everything, words.learned)

    def ranker(model: Any) -> Ranker:
        model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        return ranker_for(model, words.everything, encoding, objective)

    ranker_before, ranker_after = ranker(start), ranker(trained)
    after = Predictor(ranker_after, words.everything, Calibration())
    before = Predictor(ranker_before, words.everything, Calibration())
    asked = questions.recovery
    ranks: list[NDArray[np.int64]] = []
    for part, scores in scores_in_parts(after, [np.sort(own) for own in asked.given], batch_size):
        if np.isnan(scores[:, : words.learned]).any():
            raise BooruError(
                f"the model of {checkpoint} gives scores that are not numbers: its training diverged. "
                "Run the experiment again with a lower learning_rate."
            )
        ranks += hidden_ranks(scores[:, : words.learned], asked.asked[part])
    training = read_provenance(checkpoint)["training"]
    return Measures(
        recall_at_10=recall_at(Ranks.of(asked.posts, asked.asked, ranks), K).tolist(),
        held_out_auc=_held_out(ranker_after, words, questions.whole, batch_size),
        concepts_before=_concepts(before, words, concepts, encoding),
        concepts_after=_concepts(after, words, concepts, encoding),
        posts=int(training["posts"]),
        steps=int(training["steps"]),
        seconds=float(training["seconds"]),
    )


def _held_out(ranker: Ranker, words: Words, posts: Posts, batch_size: int) -> dict[str, float]:
    """AUC of each held-out label, given all of a post's labels that are learned.

    A label's score is its log-probability less the held-out labels' mean: posts with many labels, or of which the model
    is sure, have lower probabilities for whatever is not in sight, and would rank by that.
    """
    seen = without(posts, words.learned)
    rows = np.arange(words.learned, words.first_concept)
    scores = np.empty((len(posts), words.held_out))
    order = np.argsort(seen.sizes, kind="stable")  # batches of like length have little padding
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        asked = Posts(np.tile(rows, len(chosen)), np.arange(len(chosen) + 1) * len(rows))
        found = ranker.log_probabilities(seen.take(chosen), asked)[:, rows].astype(np.float64)
        scores[chosen] = found - found.mean(axis=1, keepdims=True)
    labels = words.everything.labels[words.learned : words.first_concept]
    return dict(zip(labels, held_out_auc(scores, posts, words.learned), strict=True))


def _concepts(
    predictor: Predictor, words: Words, concepts: Concepts, encoding: EncodingName
) -> dict[str, ConceptResult]:
    learned = words.everything.labels[: words.learned]
    labels = concepts.known(set(learned))
    index = words.everything.index
    scores = predictor.scores([[index[label]] for label in labels])
    # Over all learned labels that are asked for, so that no other word's row matters.
    own = scores[:, words.concept_rows(encoding)].astype(np.float64)
    told = own - logsumexp(scores[:, : words.learned].astype(np.float64), axis=1, keepdims=True)
    return tell_apart(concepts, labels, told)
