"""The checkpoint's README.md: what it is, how to load it, how good it is, and what it is not."""

from typing import Any

from booru_pipeline.training.job import TrainingJob
from booru_pipeline.training.options import Plan
from booru_pipeline.training.validation import Metrics

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [t5, booru, tag-sets]
{base_line}---
# {title}

A T5 fine-tuned on the tag sets of booru pictures. From the labels that are seen, the first decoder step gives a
distribution over the labels that are not: what one tag implies about the others. Each of the {labels:,} labels is one
token, written `<label>`.

## Use

```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), AutoModelForSeq2SeqLM.from_pretrained(FOLDER)
seen = tokenizer("<{example}>", return_tensors="pt")
start = seen.input_ids.new_full((1, 1), model.config.decoder_start_token_id)
best = model(**seen, decoder_input_ids=start).logits[0, 0, {first}:{last}].topk(10).indices + {first}
print(tokenizer.convert_ids_to_tokens(best.tolist()))
```

`labels.parquet` lists the labels with category, counts and token id. `calibration.json` makes scores probabilities:
`P(present) = 1 / (1 + exp(-(bias + slope * log(p) + lift * sqrt(p) + size * n + bend * n**2)))`, where p is the label's
softmax share among all labels that are not visible, and n the log of the number of visible labels.

## Training

| | |
| --- | --- |
| base model | {base} |
| releases | {releases} |
| posts | {posts:,} in the train split |
| weights | {weights:,} |
| length | {steps:,} steps of {posts_per_step} posts, {seconds:.0f} s on {device}{shared_by}, {precision} |
| optimizer | {optimizer}, learning rate {learning_rate:g} ({schedule}), embedding rows {factor:g} times that |
| objective | a random share ({least:.0%} to {most:.0%}) of a post's labels is hidden; cross-entropy against the \
uniform distribution over the hidden ones |

## Figures on the validation split ({validation_posts:,} posts)

| | this model | most frequent labels |
| --- | --- | --- |
| recall@10 of hidden labels, half of them hidden | {recall:.3f} | {popularity:.3f} |
| loss, nats | {loss:.3f} | |

## Limits

- It knows how people tag, not what is in a picture: frequent labels are favoured, and what taggers leave out counts as
  absent.
- Artist and meta labels are left out unless the vocabulary was built with them; rare labels are unknown to it.
- Only the first decoder step was trained: do not generate sequences with it.
- Boorus add implied labels on every edit, so part of what it recovers (`rabbit_ears`, hence `animal_ears`) could be
  looked up.
"""


def model_card(
    job: TrainingJob,
    plan: Plan,
    metrics: Metrics,
    facts: dict[str, Any],
) -> str:
    """Write the card.

    Args:
        job: What was asked for.
        plan: The options that depend on the base model.
        metrics: Validation figures.
        facts: labels, first, example, posts, weights, steps, posts_per_step, seconds, device, processes, precision.
    """
    release = job.provenance.get("release", job.output.name)
    releases = job.provenance.get("releases") or [release]
    return _CARD.format(
        title=f"Tag sets of booru releases up to {release}",
        base="none: random weights" if job.base_source is None else job.base_name,
        base_line="" if job.base_source is None else f"base_model: {job.base_source}\n",
        releases=", ".join(map(str, releases)),
        last=facts["first"] + facts["labels"],
        shared_by=f" in each of {facts['processes']} processes" if facts["processes"] > 1 else "",
        optimizer=plan.optimizer,
        schedule=plan.schedule,
        learning_rate=plan.learning_rate,
        factor=plan.embedding_learning_rate_factor,
        least=job.options.hidden_share_min,
        most=job.options.hidden_share_max,
        validation_posts=metrics.posts,
        recall=metrics.recall_at_10,
        popularity=metrics.popularity_recall_at_10,
        loss=metrics.loss,
        **facts,
    )
