"""The checkpoint's README.md: what it is, how to load it, how good it is, and what it is not."""

from typing import Any

from booru_pipeline.model.provenance import base_names

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [t5, booru, tag-sets]
{base_line}---
# {title}

A T5 fine-tuned on the tag sets of booru pictures: from the labels that are seen it tells which others the picture has.
It knows {labels:,} labels.

## Use

`booru suggest` asks it, and in Python `booru_pipeline.Predictor.load(FOLDER)`. For who has neither, `booru export hub`
writes a folder that is asked in ten lines, and `booru export onnx` a graph.

## Training

| | |
| --- | --- |
| base model | {base} |
| releases | {releases} |
| posts | {posts:,} in the train split |
| weights | {weights:,} |
| length | {steps:,} steps of {posts_per_step} posts, {seconds:.0f} s on {device}{shared_by}, {precision} |
| optimizer | {plan[optimizer]}, learning rate {plan[learning_rate]:g} ({plan[schedule]}), \
embedding rows {plan[embedding_learning_rate_factor]:g} times that |
| objective | {objective}: a random share ({options[hidden_share_min]:.0%} to {options[hidden_share_max]:.0%}) of a \
post's labels is hidden; {loss} |

## Figures on the validation split ({metrics[posts]:,} posts)

| | this model | most frequent labels |
| --- | --- | --- |
| recall@10 of hidden labels, half of them hidden | {metrics[recall_at_10]:.3f} | \
{metrics[popularity_recall_at_10]:.3f} |
| loss, nats | {metrics[loss]:.3f} | |

## Limits

- It knows how people tag, not what is in a picture: frequent labels are favoured, and what taggers leave out counts as
  absent.
- Artist and meta labels are left out unless the vocabulary was built with them; rare labels are unknown to it.
{generates}\
- Boorus add implied labels on every edit, so part of what it recovers (`rabbit_ears`, hence `animal_ears`) could be
  looked up.
"""


_LOSSES = {
    "present": "binary cross-entropy of every label that is not visible",
    "set": "cross-entropy against the uniform distribution over the hidden ones",
    "sequence": "the hidden ones are said one after another, in random order",
    "span": "each sentinel stands for a span that was cut out",
}
_FIRST_STEP_ALONE = "- Only the first decoder step was trained: do not generate sequences with it.\n"


def model_card(release: str, provenance: dict[str, Any]) -> str:
    """The card of a release's checkpoint by its `provenance.json`."""
    training, objective, (base, on_hub) = provenance["training"], provenance["objective"], base_names(provenance)
    return _CARD.format(
        title=f"Tag sets of booru releases up to {release}",
        base=base,
        base_line=f"base_model: {on_hub}\n" if on_hub else "",
        releases=", ".join(map(str, provenance.get("releases") or [release])),
        shared_by=f" in each of {training['processes']} processes" if training["processes"] > 1 else "",
        objective=objective,
        loss=_LOSSES[objective],
        generates=_FIRST_STEP_ALONE if objective in ("present", "set") else "",
        **training,
        **{part: provenance[part] for part in ("plan", "options", "metrics")},
    )
