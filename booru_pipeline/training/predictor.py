"""A checkpoint answering: given these labels, which others does the post have?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForSeq2SeqLM

from booru_pipeline.errors import BooruError
from booru_pipeline.labels.options import EncodingName
from booru_pipeline.labels.posts import Posts
from booru_pipeline.labels.vocabulary import Vocabulary
from booru_pipeline.training.calibration import Calibration
from booru_pipeline.training.model import quiet_transformers
from booru_pipeline.training.objective import ObjectiveName
from booru_pipeline.training.provenance import read_provenance
from booru_pipeline.training.ranking import Ranker, ranker_for


class Predictor:
    """Scores and probabilities of all labels for sets of visible ones; labels are rows of the vocabulary throughout."""

    def __init__(self, ranker: Ranker, vocabulary: Vocabulary, calibration: Calibration) -> None:
        self.vocabulary = vocabulary
        self.calibration = calibration
        self._ranker = ranker

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
                f"{folder} is not a complete checkpoint: {str(error).splitlines()[0]} "
                "Make it with `booru run --to checkpoint`."
            ) from error
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()
        return cls(ranker_for(model, vocabulary, encoding, objective), vocabulary, calibration)

    def scores(self, contexts: Sequence[Sequence[int]], batch_size: int = 256) -> npt.NDArray[np.float32]:
        """Log-probability of each label as the first answer.

        Args:
            contexts: Vocabulary rows of the visible labels, one sequence a context; their order hardly matters.
            batch_size: Contexts at a time.

        Returns:
            float32 [contexts, labels]. The visible labels have -inf; exp of a row sums to 1.
        """
        sizes = np.array([len(context) for context in contexts], dtype=np.int64)
        rows = np.array([row for context in contexts for row in context], dtype=np.int64)
        posts = Posts(rows, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))
        scores = np.empty((len(sizes), len(self.vocabulary)), dtype=np.float32)
        order = np.argsort(sizes, kind="stable")  # batches of like length have little padding
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            scores[chosen] = self._ranker.log_probabilities(posts.take(chosen))
        return scores

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
