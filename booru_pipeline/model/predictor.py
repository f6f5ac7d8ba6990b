"""A checkpoint answering: given these labels, which others does the post have?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForSeq2SeqLM

from booru_pipeline.errors import BooruError, first_line
from booru_pipeline.model.calibration import Calibration
from booru_pipeline.model.generation import Generator, InvalidRate
from booru_pipeline.model.objective import ObjectiveName
from booru_pipeline.model.provenance import read_provenance
from booru_pipeline.model.ranking import Ranker, as_posts, ranker_for
from booru_pipeline.model.start import quiet_transformers
from booru_pipeline.vocabulary.options import EncodingName
from booru_pipeline.vocabulary.vocabulary import Vocabulary

Contexts = Sequence[Sequence[int]]


class T5Alone:
    """What the T5 says by itself: scores and probabilities of all labels for sets of visible ones; all by row."""

    def __init__(self, ranker: Ranker, labels: int, calibration: Calibration) -> None:
        """Put a ranker of so many labels and its calibration together."""
        self._ranker = ranker
        self._labels = labels
        self.calibration = calibration

    @property
    def is_slow(self) -> bool:
        """Whether a context takes long, a good part of a second on a CPU, so that fewer of them should be scored."""
        return self._ranker.few

    def scores(
        self,
        contexts: Contexts,
        batch_size: int = 256,
        shortlist: Sequence[Sequence[int]] | Sequence[npt.NDArray[np.int64]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Scores as the objective gives them; see `Ranker.scores`.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context; their order hardly matters.
            batch_size: Contexts at a time.
            shortlist: Vocabulary rows of the labels that are asked for, one sequence a context; all if None. Fewer are
                faster if `is_slow`; see `model.shortlist` for where they come from.

        Returns:
            float32 [contexts, labels]. What is visible or not asked for has -inf.
        """
        posts = as_posts(contexts)
        asked = None if shortlist is None else as_posts(shortlist)
        scores = np.empty((len(posts), self._labels), dtype=np.float32)
        order = np.argsort(posts.sizes, kind="stable")  # batches of like length have little padding
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            asked_of = None if asked is None else asked.take(chosen)
            scores[chosen] = self._ranker.scores(posts.take(chosen), asked_of)
        return scores

    def to_probabilities(
        self, scores: npt.NDArray[np.floating], visible: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float64]:
        """Calibrated probabilities by scores [contexts, labels], or those of some labels, and how many are visible."""
        return self.calibration.probabilities(scores, visible)

    def probabilities(self, contexts: Contexts) -> npt.NDArray[np.float64]:
        """Calibrated probability that a post with these visible labels has the label too.

        Returns:
            [contexts, labels] in [0, 1]; 0 for the visible labels themselves.
        """
        return self.to_probabilities(self.scores(contexts), sizes_of(contexts))


def sizes_of(contexts: Contexts) -> npt.NDArray[np.int64]:
    """int64 [contexts]: how many labels each has."""
    return np.array([len(context) for context in contexts], dtype=np.int64)


class Predictor:
    """The answer of a checkpoint: scores and probabilities of all labels for sets of visible ones; all by row.

    Attributes:
        vocabulary: The labels.
        t5: What the T5 says by itself.
    """

    def __init__(self, t5: T5Alone, vocabulary: Vocabulary, generator: Generator | None = None) -> None:
        """Put a predictor together; without a generator if the model is trained to rank alone."""
        self.vocabulary = vocabulary
        self.t5 = t5
        self._generator = generator

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> "Predictor":
        """Read a checkpoint folder.

        Args:
            folder: As the training payload wrote it.
            device: Such as `cuda:0`; a GPU if there is one, else the CPU.

        Raises:
            BooruError: The folder is no checkpoint of this pipeline.
        """
        quiet_transformers()
        try:
            vocabulary = Vocabulary.load(folder)
            calibration = Calibration.read(folder)
            encoding, objective = read_recipe(folder)
            model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, BooruError) as error:
            raise BooruError(
                f"{folder} is not a complete checkpoint: {first_line(error)}. Make it with `booru run --to checkpoint`."
            ) from error
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        ranker = ranker_for(model, vocabulary, encoding, objective)
        generates = objective is not ObjectiveName.SET
        generator = Generator(model, vocabulary, encoding, objective) if generates else None
        return cls(T5Alone(ranker, len(vocabulary), calibration), vocabulary, generator)

    @property
    def mixes(self) -> bool:
        """Whether counting takes part in the answer; checkpoints of before it did not count answer as the T5 does."""
        return False

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
        return self.t5.scores(contexts, batch_size, shortlist)

    def to_probabilities(
        self, scores: npt.NDArray[np.floating], visible: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float64]:
        """See `T5Alone.to_probabilities`."""
        return self.t5.to_probabilities(scores, visible)

    def invalid_rate(self, contexts: Contexts) -> InvalidRate | None:
        """How much of what the model generates by itself is invalid, see `Generator.invalid_rate`.

        None for the `set` objective: a ranking of labels holds nothing invalid, and the model was not trained to say
        anything else.
        """
        return None if self._generator is None else self._generator.invalid_rate(contexts)

    def probabilities(self, contexts: Contexts) -> npt.NDArray[np.float64]:
        """Calibrated probability that a post with these visible labels has the label too.

        Returns:
            [contexts, labels] in [0, 1]; 0 for the visible labels themselves.
        """
        return self.to_probabilities(self.scores(contexts), sizes_of(contexts))


def read_recipe(checkpoint: Path) -> tuple[EncodingName, ObjectiveName]:
    """The encoding and the objective that a checkpoint was trained with."""
    provenance = read_provenance(checkpoint)
    return EncodingName(provenance.get("encoding", "labels")), ObjectiveName(provenance.get("objective", "set"))
