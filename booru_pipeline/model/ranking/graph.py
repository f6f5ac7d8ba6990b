"""A checkpoint's first step as an ONNX graph beside its weights: who asks a question need not load torch for it.

Its scores are those of torch within 1e-4, or it is not kept. It is made from a checkpoint when it is first asked, and
bound to its weights: a graph that another training left in the folder is not read.
"""

import hashlib
import os
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from booru_pipeline.dataset.posts import Posts
from booru_pipeline.lake.record import Record
from booru_pipeline.model.objective_name import ObjectiveName
from booru_pipeline.model.provenance import PROVENANCE_FILE
from booru_pipeline.model.ranking.question import Question, as_posts
from booru_pipeline.ragged import IntArray

if TYPE_CHECKING:
    from booru_pipeline.model.ranking.torch_rankers import LabelRanker, PresenceRanker

GRAPH_FILE: Final = "first_step.onnx"
_CLOSE: Final = 1e-4
_LEFT_S: Final = 3600.0
_OF: Final = "booru_weights"  # of the graph's metadata: which weights it has, see `_weights`


class GraphRanker:
    """A `Ranker` by ONNX Runtime, on the CPU.

    Args:
        session: An `onnxruntime.InferenceSession` of the graph.
        question: How the model is asked.
        shares_one: Whether scores are log-probabilities of one label among those asked for, not log-odds of each.
    """

    few = False

    def __init__(self, session: Any, question: Question, *, shares_one: bool) -> None:
        self._session = session
        self._question = question
        self._shares_one = shares_one

    @classmethod
    def read(cls, folder: Path, question: Question, objective: ObjectiveName) -> Self | None:
        """The ranker of a checkpoint's graph; None if it has none, or that of other weights."""
        if not (folder / GRAPH_FILE).is_file():
            return None
        session = open_session(folder / GRAPH_FILE)
        if session is None or session.get_modelmeta().custom_metadata_map.get(_OF) != _weights(folder):
            return None
        return cls(session, question, shares_one=objective is not ObjectiveName.PRESENT)

    def scores(self, visible: Posts, shortlist: Posts | None = None) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        found: npt.NDArray[np.float32] = self._session.run(None, self._question.batch(visible))[0]
        asked = np.full(found.shape, shortlist is None)
        for posts, is_asked in ((shortlist, True), (visible, False)):
            if posts is not None:
                asked[posts.owner, posts.rows] = is_asked
        found[~asked] = -np.inf
        if self._shares_one:
            some = asked.any(axis=1)  # where nothing is left, the softmax of nothing is no number
            found[some] = log_softmax(found[some], axis=1)
        return found

    def scores_of(self, visible: Posts, labels: IntArray) -> npt.NDArray[np.float32]:
        """See `Ranker`."""
        return self.scores(visible)[np.arange(len(labels)), labels]


def keep_graph(folder: Path, ranker: "LabelRanker | PresenceRanker") -> bool:
    """Write a checkpoint's graph into its folder, in one step; whether it is there now.

    Without it everything works, but slowly: where the folder cannot be written, or the graph answers otherwise than
    torch does, there is none.
    """
    weights = _weights(folder)
    with suppress(OSError):
        for left in folder.glob(f".{GRAPH_FILE}.*"):  # by one who was killed, but not by one who writes now
            if time.time() - left.stat().st_mtime > _LEFT_S:
                left.unlink()
    try:
        number, name = tempfile.mkstemp(dir=folder, prefix=f".{GRAPH_FILE}.")
    except OSError:
        return False
    os.close(number)
    draft = Path(name)
    try:
        _export(draft, ranker, weights)
        if not _agrees(draft, ranker):
            return False
        draft.chmod(0o644)  # as the checkpoint's other files, not as a temporary one
        os.replace(draft, folder / GRAPH_FILE)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            draft.unlink()
    return True


def _export(path: Path, ranker: "LabelRanker | PresenceRanker", weights: str) -> None:
    import onnx
    import torch

    inputs = _some_input(ranker)
    names = list(inputs)
    axes = {**{name: {0: "posts", 1: "tokens"} for name in names}, "scores": {0: "posts"}}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer, about constants that do not depend on the input
        # Torch's newer exporter takes ten times as long, and fails on T5's attention unless that is made slow first.
        torch.onnx.export(
            ranker.as_module(),
            tuple(torch.from_numpy(part) for part in inputs.values()),
            str(path),
            input_names=names,
            output_names=["scores"],
            dynamic_axes=axes,
            dynamo=False,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {_OF: weights})
    onnx.save(model, str(path))


def _some_input(ranker: "LabelRanker | PresenceRanker") -> dict[str, IntArray]:
    """Of several posts, of different lengths, so that nothing of them is taken for a constant."""
    labels = ranker.labels
    return ranker.question.batch(as_posts([[0], list(range(min(labels, 5))), list(range(min(labels, 2)))]))


def _agrees(path: Path, ranker: "LabelRanker | PresenceRanker") -> bool:
    import torch

    session = open_session(path)
    inputs = _some_input(ranker)
    with torch.inference_mode():
        theirs = ranker.as_module()(*(torch.from_numpy(part) for part in inputs.values())).numpy()
    return session is not None and bool(np.allclose(session.run(None, inputs)[0], theirs, rtol=0, atol=_CLOSE))


def open_session(path: Path) -> Any:
    """A session on the graph; None if it cannot be read."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a server waits most of the time
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception:  # its errors have no common base, and what it cannot read is made again
        return None


def _weights(folder: Path) -> str:
    """What tells a checkpoint's weights from others': its own account of itself, with the time and figures in it."""
    parts = [(folder / name).read_bytes() for name in (Record.FILE, PROVENANCE_FILE) if (folder / name).is_file()]
    written = [path.stat() for path in sorted(folder.glob("*.safetensors"))]
    parts += [f"{file.st_size} {file.st_mtime_ns}".encode() for file in written]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
