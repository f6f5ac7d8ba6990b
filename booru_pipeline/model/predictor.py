"""A checkpoint answering: given these labels, which others does the post have?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import expit

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.mixture import Mixture, Views
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.pair_table import PairTable, views_of
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.model.ranking import Question, as_posts
from booru_pipeline.model.ranking.graph import GraphRanker, keep_graph
from booru_pipeline.model.t5_alone import Contexts, T5Alone, sizes_of
from booru_pipeline.training_shards.relations import Relations
from booru_pipeline.vocabulary.label_names import LabelNames
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

if TYPE_CHECKING:
    from booru_pipeline.model.generation import Generator, InvalidRate
    from booru_pipeline.model.presence import Presence

_CELLS: Final = 1 << 19
"""Contexts x labels that T5 and counting are mixed for at once, which fits the cache: 128 contexts of 40,399 labels
take 0.2 CPU seconds, and 0.6 when all are mixed at once."""


class Predictor:
    """The answer of a checkpoint: scores and probabilities of all labels for sets of visible ones; all by row.

    Attributes:
        vocabulary: The labels.
        t5: What the T5 says by itself.
        mixture: Mixes it with counting; None in checkpoints that have no counts, whose answer is the T5's.
        table: The counts.
        relations: Aliases and implications that `suggest`, `probabilities_of` and `suggestions` go by; none by itself.
    """

    def __init__(
        self,
        t5: T5Alone,
        vocabulary: Vocabulary,
        generator: "Generator | None" = None,
        counting: tuple[Mixture, PairTable] | None = None,
    ) -> None:
        """Put a predictor together; without a generator if the model is trained to rank alone."""
        self.vocabulary = vocabulary
        self.relations = Relations({}, {}, "")
        self.t5 = t5
        self._generator = generator
        self.mixture = counting[0] if counting else None
        self.table = counting[1] if counting else None

    @classmethod
    def load(
        cls,
        folder: Path | str,
        device: str | None = None,
        *,
        graph: bool = False,
        relations: Relations | None = None,
    ) -> "Predictor":
        """Read a checkpoint folder.

        Args:
            folder: As the training payload wrote it.
            device: Such as `cuda:0`; a GPU if there is one, else the CPU.
            graph: Ask it by its ONNX graph, see `graph.py`, which is made if it is not there: without torch, which
                takes long to load, and on the CPU. Where labels have pieces there is none.
            relations: Aliases and implications to go by.

        Raises:
            BooruError: The folder is no checkpoint of this pipeline.
        """
        found = cls._read(Path(folder), device, graph=graph)
        if relations is not None:
            found.relations = relations
        return found

    @classmethod
    def _read(cls, folder: Path, device: str | None, *, graph: bool) -> "Predictor":
        try:
            vocabulary = Vocabulary.load(folder)
            calibration = Calibration.read(folder)
            encoding, objective = read_recipe(folder)
            counts = read_provenance(folder).get("counts", False)  # checkpoints of before them do not say
            counting = (Mixture.read(folder), PairTable.read(folder)) if counts else None
            question = Question.of(vocabulary, encoding, objective)
            kept = GraphRanker.read(folder, question, objective) if graph else None
            if kept is not None:
                _check_labels(folder, len(vocabulary), None, counting)
                return cls(T5Alone(kept, len(vocabulary), calibration), vocabulary, None, counting)
            model, presence = _read_model(folder, objective)
        except BooruError as error:
            raise BooruError(f"{folder} is not a complete checkpoint: {error}") from error
        except (OSError, ValueError) as error:
            raise BooruError(
                f"{folder} is not a complete checkpoint: {first_line(error)}. Make it with `booru run --to checkpoint`."
            ) from error
        from booru_pipeline.model.generation import Generator
        from booru_pipeline.model.ranking.torch_rankers import LabelRanker, PresenceRanker, on_best_device, ranker_for

        _check_labels(folder, len(vocabulary), presence, counting)
        model = on_best_device(model, "cpu" if graph else device)
        ranker = ranker_for(model, vocabulary, encoding, objective, presence and presence.to(model.device))
        generates = not objective.names_labels_at_once
        generator = Generator(model, vocabulary, encoding, objective) if generates else None
        if graph and isinstance(ranker, LabelRanker | PresenceRanker) and keep_graph(folder, ranker):
            ranker = GraphRanker.read(folder, question, objective) or ranker  # the first answer is as all later ones
        return cls(T5Alone(ranker, len(vocabulary), calibration), vocabulary, generator, counting)

    @property
    def mixes(self) -> bool:
        """Whether counting takes part in the answer."""
        return self.mixture is not None

    @property
    def is_slow(self) -> bool:
        """See `T5Alone.is_slow`."""
        return self.t5.is_slow

    def scores(
        self,
        contexts: Contexts,
        batch_size: int = 256,
        shortlist: Sequence[Sequence[int]] | Sequence[npt.NDArray[np.int64]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Log-odds that a post with these visible labels has the label too, or the T5's own scores if nothing is mixed.

        Args and shape as `T5Alone.scores`.
        """
        scores = self.t5.scores(contexts, batch_size, shortlist)
        if self.mixture is not None and self.table is not None:
            visible = as_posts(contexts)
            for chosen in self._few(len(visible), batch_size):
                some = visible.take(chosen)
                odds = self.t5.calibration.log_odds(scores[chosen], some.sizes)
                scores[chosen] = self.mixture.log_odds(views_of(odds, self.table, some))
        return scores

    def mixed(
        self,
        t5_scores: npt.NDArray[np.floating],
        counted: Mapping[str, npt.NDArray[np.floating]],
        visible: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float32]:
        """The scores of `scores` for single labels, given what each part says of them, float32 [asked].

        Args:
            t5_scores: [asked], those of `T5Alone.scores`.
            counted: By name [asked], see `PairTable.says_of`.
            visible: [asked], how many labels are visible where each is asked for.
        """
        if self.mixture is None:
            return t5_scores.astype(np.float32)
        odds = self.t5.calibration.log_odds(t5_scores[:, None], visible)
        views = Views(odds, {name: says[:, None] for name, says in counted.items()}, visible)
        return self.mixture.log_odds(views)[:, 0]

    def to_probabilities(
        self, scores: npt.NDArray[np.floating], visible: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float64]:
        """Calibrated probabilities of labels that are missing from a caption, of which a share is hidden.

        Args:
            scores: [contexts, labels], or those of some labels.
            visible: [contexts], how many labels each context has.
        """
        if self.mixture is not None:
            return np.asarray(expit(np.asarray(scores, dtype=np.float64)))
        return self.t5.to_probabilities(scores, visible)

    def invalid_rate(self, contexts: Contexts) -> "InvalidRate | None":
        """How much of what the model generates by itself is invalid, see `Generator.invalid_rate`.

        None for the `set` objective: a ranking of labels holds nothing invalid, and the model was not trained to say
        anything else.
        """
        return None if self._generator is None else self._generator.invalid_rate(contexts)

    def probabilities(self, contexts: Contexts) -> npt.NDArray[np.float64]:
        """Calibrated probability that a picture of which these labels are known, and nothing else, has the label too.

        Not `to_probabilities` of `scores`, which are of captions with a share hidden: see `Mixture.of_known`. One label
        alone, or one with what it always brings along, has been counted: the share that was observed is the answer,
        with the mixture as its prior.

        Returns:
            [contexts, labels] in [0, 1]; 0 for the visible labels themselves.
        """
        scores = self.scores(contexts)
        if self.mixture is None or self.table is None:
            return self.to_probabilities(scores, sizes_of(contexts))
        found = np.empty(scores.shape)
        for chosen in self._few(len(scores), len(scores)):
            few = [contexts[row] for row in chosen.tolist()]
            odds = self.mixture.of_known(scores[chosen], sizes_of(few))
            found[chosen] = expit(odds)
            for row, context, own in zip(chosen.tolist(), few, odds, strict=True):
                label = self.table.alone(np.asarray(context, dtype=np.int64))
                if label is not None:
                    together, known = (part[0] for part in self.table.beside_all(np.array([label])))
                    known &= np.isfinite(own)
                    found[row, known] = self.mixture.posterior(own, together, self.table.counts[label])[known]
        return found

    def suggest(self, *tags: str, top: int = 10) -> list[tuple[str, float]]:
        """The most probable labels beside some tags, each with its probability: 1 for what they imply.

        `booru suggest` says the same, and counts posts beside it.

        Args:
            tags: Labels or aliases, such as `usada_pekora` or `bunny ears`; at least one.
            top: How many. Deprecated labels are not suggested.

        Raises:
            BooruError: None is given, or one is no label; with what may have been meant.
        """
        table = self.suggestions([tags], top)
        return list(zip(table["tag"].to_pylist(), table["probability"].to_pylist(), strict=True))

    def probabilities_of(self, posts: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
        """The probability that a picture of which these tags are known has each label too.

        Args:
            posts: Tags of each post, labels or aliases, at least one.

        Returns:
            [posts, labels] in [0, 1], labels in the order of `vocabulary.labels`; 1 for what is given or implied.

        Raises:
            BooruError: A post has none, or one is no label.
        """
        from booru_pipeline.model.suggest.explaining import answer_to, closure_of

        contexts = [closure_of(given, self.relations) for given in self._given(posts)]
        return answer_to(contexts, self) if contexts else np.empty((0, len(self.vocabulary)))

    def suggestions(self, posts: Sequence[Sequence[str]], top: int = 10) -> pa.Table:
        """The most probable labels of each post, most probable first, as an Arrow table with a row a suggestion.

        Args:
            posts: As of `probabilities_of`.
            top: Labels at most for each.

        Returns:
            Columns line (int64, the post's place, from 0), tag, probability, category, implied (bool).

        Raises:
            BooruError: As `probabilities_of`.
        """
        from booru_pipeline.model.suggest.filters import Filters
        from booru_pipeline.model.suggest.many import SCHEMA, suggest_many

        given = list(enumerate(self._given(posts)))
        return pa.concat_tables([SCHEMA.empty_table(), *suggest_many(self, self.relations, given, top, Filters())])

    @property
    def vectors(self) -> npt.NDArray[np.float32]:
        """The vector that the T5 has for each label, float32 [labels, d_model].

        Raises:
            BooruError: Labels have pieces, and so no vectors.
            OSError: This was not loaded from a checkpoint's folder.
        """
        from booru_pipeline.model.label_tables import vectors_of

        return vectors_of(self.vocabulary.folder, self.vocabulary)

    def _given(self, posts: Sequence[Sequence[str]]) -> list[list[str]]:
        """The labels of each post, each once.

        Raises:
            BooruError: A post has none, or one is no label.
        """
        found = []
        for place, tags in enumerate(posts):
            if isinstance(tags, str) or not tags:
                raise BooruError(f"post {place} is {tags!r}: a post is a list of tags, of at least one.")
            found.append(list(dict.fromkeys(map(self._names.label, tags))))
        return found

    @cached_property
    def _names(self) -> LabelNames:
        return LabelNames(self.vocabulary, self.relations)

    def _few(self, contexts: int, most: int) -> Iterator[npt.NDArray[np.int64]]:
        """Positions of all contexts, some at a time: what is worked on then stays in the processor's cache."""
        few = max(1, min(most, _CELLS // len(self.vocabulary)))
        for start in range(0, contexts, few):
            yield np.arange(start, min(start + few, contexts))


def read_recipe(checkpoint: Path) -> tuple[EncodingName, ObjectiveName]:
    """The encoding and the objective that a checkpoint was trained with."""
    provenance = read_provenance(checkpoint)
    return EncodingName(provenance.get("encoding", "labels")), ObjectiveName(provenance.get("objective", "set"))


def _read_model(folder: Path, objective: ObjectiveName) -> "tuple[Any, Presence | None]":
    """The T5 and, of the `present` objective, what turns its logits to log-odds."""
    from transformers import AutoModelForSeq2SeqLM

    from booru_pipeline.model.presence import Presence
    from booru_pipeline.model.start import quiet_transformers

    quiet_transformers()
    presence = Presence.read(folder) if objective is ObjectiveName.PRESENT else None
    return AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True, use_safetensors=True), presence


def _check_labels(
    folder: Path, labels: int, presence: "Presence | None", counting: tuple[Mixture, PairTable] | None
) -> None:
    sizes = {labels}
    if presence is not None:
        sizes.add(len(presence.bias))
    if counting is not None:
        sizes.add(counting[1].labels)
    if len(sizes) > 1:
        numbers = " and ".join(map(str, sorted(sizes)))
        raise BooruError(
            f"{folder} is not a complete checkpoint: its files are of {numbers} labels, so they do not belong "
            "together. Make it with `booru run --to checkpoint`."
        )
