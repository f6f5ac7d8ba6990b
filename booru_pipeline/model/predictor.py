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


class Predictor:
    """Scores and probabilities of all labels for sets of visible ones; labels are rows of the vocabulary throughout."""

    def __init__(
        self, ranker: Ranker, vocabulary: Vocabulary, calibration: Calibration, generator: Generator | None = None
    ) -> None:
        """Put a predictor together; without a generator if the model is trained to rank alone."""
        self.vocabulary = vocabulary
        self.calibration = calibration
        self._ranker = ranker
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
        return cls(ranker, vocabulary, calibration, generator)

    @property
    def is_slow(self) -> bool:
        """Whether a context takes long, a good part of a second on a CPU, so that fewer of them should be scored."""
        return self._ranker.few

    def scores(
        self,
        contexts: Sequence[Sequence[int]],
        batch_size: int = 256,
        shortlist: Sequence[Sequence[int]] | Sequence[npt.NDArray[np.int64]] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Log-probability of each label as the first answer.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context; their order hardly matters.
            batch_size: Contexts at a time.
            shortlist: Vocabulary rows of the labels that are asked for, one sequence a context; all if None. Fewer are
                faster if `is_slow`; see `model.shortlist` for where they come from.

        Returns:
            float32 [contexts, labels]. What is visible or not asked for has -inf; exp of a row sums to 1, unless
            nothing is left.
        """
        posts = as_posts(contexts)
        asked = None if shortlist is None else as_posts(shortlist)
        scores = np.empty((len(posts), len(self.vocabulary)), dtype=np.float32)
        order = np.argsort(posts.sizes, kind="stable")  # batches of like length have little padding
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            asked_of = None if asked is None else asked.take(chosen)
            scores[chosen] = self._ranker.log_probabilities(posts.take(chosen), asked_of)
        return scores

    def invalid_rate(self, contexts: Sequence[Sequence[int]]) -> InvalidRate | None:
        """How much of what the model generates by itself is invalid, see `Generator.invalid_rate`.

        None for the `set` objective: a ranking of labels holds nothing invalid, and the model was not trained to say
        anything else.
        """
        return None if self._generator is None else self._generator.invalid_rate(contexts)

    def probabilities(self, contexts: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
        """Calibrated probability that a post with these visible labels has the label too.

        Returns:
            [contexts, labels] in [0, 1]; 0 for the visible labels themselves.
        """
        visible = np.array([len(context) for context in contexts], dtype=np.int64)
        return self.calibration.probabilities(self.scores(contexts), visible)


def read_recipe(checkpoint: Path) -> tuple[EncodingName, ObjectiveName]:
    """The encoding and the objective that a checkpoint was trained with."""
    provenance = read_provenance(checkpoint)
    return EncodingName(provenance.get("encoding", "labels")), ObjectiveName(provenance.get("objective", "set"))
