"""A checkpoint as one ONNX graph, from rows of labels to probabilities, for who has ONNX Runtime and nothing else."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from booru_pipeline.errors import BooruError
from booru_pipeline.export import card, tag_model
from booru_pipeline.export.checkpoint import write_tags
from booru_pipeline.export.source import Source
from booru_pipeline.model.provenance import CARD_FILE
from booru_pipeline.model.ranking.graph import open_session

GRAPH_FILE: Final = "model.onnx"
_OPSET: Final = 18  # the first with the largest of what is scattered to one place
_CLOSE: Final = 1e-4
_LARGEST: Final = "aten::scatter_reduce"
_KEPT: Final = ("labels", "categories", "posts", "aliases", "implies", "deprecated", "calibration", "mixture")


def write_graph(source: Source, folder: Path) -> None:
    """Write a folder with `model.onnx` and `tags.json`, which names the rows.

    The graph's input is `labels`, int64 [posts, longest], rows filled up with -1, each once and with what it implies;
    its output is `probabilities`, float32 [posts, labels]. T5, calibration, counting and mixture are all in it.

    Args:
        source: What is exported.
        folder: To be made.

    Raises:
        BooruError: The checkpoint is not whole, or the graph does not answer as torch does.
    """
    import torch

    from booru_pipeline.model.start import quiet_transformers

    quiet_transformers()
    model = tag_model.TagModel.load(source.checkpoint, source.tags)
    folder.mkdir()
    write_tags({name: source.tags[name] for name in _KEPT}, folder)
    some = torch.arange(min(3, len(model.tags))).repeat(3, 1)  # of several lengths, which are no constants then
    some = some.where(some < torch.tensor([[1], [2], [3]]), tag_model.NO_LABEL)
    with warnings.catch_warnings(), torch.inference_mode(), _plain_largest():
        warnings.simplefilter("ignore")  # of the tracer, about constants that do not depend on the input
        torch.onnx.export(
            model,
            (some,),
            str(folder / GRAPH_FILE),
            input_names=["labels"],
            output_names=["probabilities"],
            dynamic_axes={"labels": {0: "posts", 1: "longest"}, "probabilities": {0: "posts"}},
            opset_version=_OPSET,
            do_constant_folding=False,  # numbers stay as small as they are stored
            dynamo=False,
        )
        _check(folder / GRAPH_FILE, model, some)
    (folder / CARD_FILE).write_text(card.graph_card(source, _megabytes(model)), encoding="utf-8")


def _megabytes(model: "tag_model.TagModel") -> int:
    """What a post takes: each linear weight of a label is multiplied with whether its source is given."""
    linear = [table.numel() for name, table in model.named_buffers() if name.endswith("_weights")]
    return round(4 * max(linear, default=0) / 1e6) + 1


@contextmanager
def _plain_largest() -> Iterator[None]:
    """Have the exporter write `scatter_reduce` along the second axis as one node.

    Its own way also provides for a tensor without axes, by a branch whose shape the runtime warns of at each question.
    """
    import torch

    def largest(graph: Any, into: Any, _axis: Any, place: Any, source: Any, *_: Any) -> Any:
        return graph.op("ScatterElements", into, place, source, axis_i=1, reduction_s="max")

    torch.onnx.register_custom_op_symbolic(_LARGEST, largest, _OPSET)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(_LARGEST, _OPSET)  # type: ignore[attr-defined]


def _check(path: Path, model: "tag_model.TagModel", some: Any) -> None:
    session = open_session(path)
    for labels in (some, some[:1, :1]):
        found = None if session is None else session.run(None, {"labels": labels.numpy()})[0]
        if found is None or not np.allclose(found, model(labels).numpy(), rtol=0, atol=_CLOSE):
            raise BooruError("the graph does not answer as torch does, so that none is written. Please report this.")
