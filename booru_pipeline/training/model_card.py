"""The checkpoint's README.md: what it is, how to load it, how good it is, and what it is not."""

from typing import Any

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [t5, booru, tag-sets]
{base_line}---
# {title}

A T5 fine-tuned on the tag sets of booru pictures: from the labels that are seen it tells which others the picture has.
Each of the {labels:,} labels is one token, written `<label>`.

## Use

```python
import safetensors.torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), AutoModelForSeq2SeqLM.from_pretrained(FOLDER)
seen = tokenizer("<{example}>", return_tensors="pt")
start = seen.input_ids.new_full((1, 1), model.config.decoder_start_token_id)
said = model(**seen, decoder_input_ids=start).logits[0, 0, {first}:{last}]
{to_odds}print(tokenizer.convert_ids_to_tokens((said.topk(10).indices + {first}).tolist()))
```

`labels.parquet` lists the labels with category, counts and token id. {scores}{counting}

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


_SCORES = {
    "present": "`presence.safetensors` makes the labels' logits of the first decoder step log-odds: `scale * logit + "
    "bias[label] + size[0] * n + size[1] * n**2`, n the log of the number of visible labels. `calibration.json` makes "
    "these probabilities: `P(present) = 1 / (1 + exp(-(bias + slope * log_odds + size * n + bend * n**2)))`.",
    "set": "`calibration.json` makes scores probabilities: `P(present) = 1 / (1 + exp(-(bias + slope * log(p) + lift * "
    "sqrt(p) + size * n + bend * n**2)))`, where p is the label's softmax share among all labels that are not visible, "
    "and n the log of the number of visible labels.",
}
_TO_ODDS = """\
presence = safetensors.torch.load_file(f"{FOLDER}/presence.safetensors")
said = said * presence["scale"] + presence["bias"]  # log-odds; with one label visible, n is 0
"""
_OTHERS = (
    "A label's score is its log-probability as the first answer, over all labels; `calibration.json` makes it a "
    "probability."
)
_COUNTING = (
    "\n\n`pairs.safetensors` holds which labels stand together in the train split, and `mixture.json` weighs that with "
    "the T5: `booru suggest`, or `booru_pipeline.model.predictor.Predictor`, gives the answer of both."
)
_LOSSES = {
    "present": "binary cross-entropy of every label that is not visible",
    "set": "cross-entropy against the uniform distribution over the hidden ones",
    "sequence": "the hidden ones are said one after another, in random order",
    "span": "each sentinel stands for a span that was cut out",
}
_FIRST_STEP_ALONE = "- Only the first decoder step was trained: do not generate sequences with it.\n"


def model_card(release: str, provenance: dict[str, Any], example: str) -> str:
    """The card of a release's checkpoint by its `provenance.json`; the example is a label to ask about."""
    base, training, objective = provenance["base_model"], provenance["training"], provenance["objective"]
    return _CARD.format(
        title=f"Tag sets of booru releases up to {release}",
        base="none: random weights" if base["source"] is None else base["name"],
        base_line="" if base["source"] is None else f"base_model: {base['source']}\n",
        releases=", ".join(map(str, provenance.get("releases") or [release])),
        last=training["first"] + training["labels"],
        shared_by=f" in each of {training['processes']} processes" if training["processes"] > 1 else "",
        example=example,
        objective=objective,
        scores=_SCORES.get(objective, _OTHERS),
        counting=_COUNTING if provenance.get("counts") else "",
        loss=_LOSSES[objective],
        to_odds=_TO_ODDS if objective == "present" else "",
        generates=_FIRST_STEP_ALONE if objective in _SCORES else "",
        **training,
        **{part: provenance[part] for part in ("plan", "options", "metrics")},
    )
