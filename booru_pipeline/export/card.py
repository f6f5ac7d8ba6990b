"""The cards of what is shared: README.md with the metadata that the hub reads, of a model, a graph and a dataset.

The metadata's fields are those of `huggingface_hub.ModelCardData` and `DatasetCardData`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from huggingface_hub import CardData, EvalResult, ModelCardData

from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.results import HEADLINE, MODEL, T5_ALONE

if TYPE_CHECKING:
    from datasets import DatasetInfo

_TAGS: Final = ["t5", "booru", "tag-sets"]
_EXAMPLE: Final = "usada_pekora"

_MODEL: Final = """
# What booru tags imply: releases up to {name}

From tags that a picture has, this tells which others it has too, each with a probability. It is a T5 ({base})
fine-tuned on the tag sets of {posts:,} posts{mixed}. It knows {labels:,} tags of the categories {categories}, and the
aliases and implications of Danbooru that are about them.

## Use

With torch, transformers and safetensors:

```python
import sys

FOLDER = "."  # where this lies, such as what `huggingface_hub.snapshot_download` gives
sys.path.append(FOLDER)
sys.dont_write_bytecode = True  # the folder stays as it is
from tag_model import TagModel

for tag, probability in TagModel.load(FOLDER).suggest("{example}", top=10):
    print(f"{{probability:.4f}} {{tag}}")
```

`TagModel.probabilities` answers for many posts at once, as a tensor [posts, labels]. `AutoModelForSeq2SeqLM` and
`AutoTokenizer` load the T5 by itself{as_text}. `tags.json` lists the labels, what else they are called and imply, and
how the T5 is asked; `tag_model.py` is all that is done with it, in {lines} lines.

{figures}{training}"""

_GRAPH: Final = """
# What booru tags imply: releases up to {name}, as a graph

`model.onnx` takes tags and gives the probability of each of {labels:,} others. All that the answer takes is in it.

## Use

With onnxruntime:

```python
import json, numpy, onnxruntime

FOLDER = "."  # where this lies
tags = json.load(open(f"{{FOLDER}}/tags.json", encoding="utf-8"))
row = {{tag: number for number, tag in enumerate(tags["labels"])}}
given = {{tags["aliases"].get(tag, tag) for tag in ["{example}"]}}
implied = {{other for tag in given for other in tags["implies"].get(tag, [])}}
session = onnxruntime.InferenceSession(f"{{FOLDER}}/model.onnx")
[[probability]] = session.run(None, {{"labels": numpy.array([[row[tag] for tag in sorted(given | implied)]])}})
best = [number for number in numpy.argsort(-probability, kind="stable") if tags["labels"][number] not in given]
for number in best[:10]:
    print(f"{{probability[number]:.4f}} {{tags['labels'][number]}}")
```

The input is `labels`, int64 [posts, longest]: rows of `tags.json`, each once and with what it implies, sorted by name,
filled up with -1. The output is `probabilities`, float32 [posts, labels]: 1 for what is given. Names that `aliases`
lists stand for a label; `deprecated` ones are better not suggested. A post takes about {megabytes:,} MB of memory while
it is worked on.

{figures}{training}"""

_DATASET: Final = """
# Tag sets of booru posts: releases up to {name}

{posts:,} posts as sets of labels, for who learns what tags imply about each other. There are no pictures in it.

```python
from datasets import load_dataset

FOLDER = "YOU/NAME"  # on the hub; or the path of this folder, with its name
posts = load_dataset(FOLDER, "posts")
print(posts["train"][0]["tags"])
```

| | |
| --- | --- |
| splits | {splits} |
| releases | {releases} |
| labels | {labels:,}, listed in the configuration `labels` with category, posts, aliases and what they imply |

## What a row is

- `booru`, `fid`: the post. `release`: the latest that lists it.
- `group_md5`: its picture and what is nearly the same. All posts of a group are in one split.
- `tags`: its labels. Aliases are replaced; {rare}Posts whose tags are no caption are left out; the
  labels' `posts` count them too.

## Limits

- It says how people tag, not what is in a picture: what taggers leave out is not there.
- Danbooru adds what a tag implies on each edit, and other boorus do not: some posts lack implied tags.
- Tags may name real people and things that not everybody wants to read.
"""


def model_card(
    name: str, told: Mapping[str, Any], provenance: Mapping[str, Any], papers: Mapping[str, Any], licence: str
) -> str:
    """The card of a checkpoint's folder.

    Args:
        name: Of its release or trial.
        told: What `tags.json` says.
        provenance: What `provenance.json` says.
        papers: `training`, what the checkpoint's own card says of that and after it; `metrics` of its evaluation
            report, or None; `lines` of `tag_model.py`.
        licence: The hub's word for it.
    """
    base = provenance["base_model"]
    in_pieces = told["pieces"] is not None
    about = {
        "base": "random weights" if base["source"] is None else base["name"],
        "posts": provenance["training"]["posts"],
        "mixed": "; what it says is weighed with counts of pairs of tags" if told["mixture"] else "",
        "labels": len(told["labels"]),
        "categories": ", ".join(sorted(set(told["categories"]))),
        "example": example_of(told),
        "as_text": "" if in_pieces else ", to which a tag is the word `<tag>`",
        "lines": papers["lines"],
        "name": name,
    }
    return _head(name, told, base["source"], papers["metrics"], licence) + _MODEL.format(
        **about, figures=_figures(papers["metrics"]), training=papers["training"]
    )


def graph_card(name: str, told: Mapping[str, Any], base: str | None, papers: Mapping[str, Any], licence: str) -> str:
    """The card of a graph's folder; for the arguments see `model_card`. `base` is where the base model is from."""
    return _head(name, told, base, papers["metrics"], licence, library_name="onnx") + _GRAPH.format(
        name=name,
        labels=len(told["labels"]),
        example=example_of(told),
        megabytes=papers["megabytes"],
        figures=_figures(papers["metrics"]),
        training=papers["training"],
    )


def dataset_card(name: str, infos: "Mapping[str, DatasetInfo]", about: Mapping[str, Any], licence: str) -> str:
    """The card of a dataset's folder.

    Args:
        name: Of its release.
        infos: Features and splits by configuration.
        about: `releases`, `labels` and `rare`, a sentence about what is no label.
        licence: The hub's word for it.
    """
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    configs = [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": f"{config}/{split}.parquet"} for split in info.splits],
            **({"default": True} if config == "posts" else {}),
        }
        for config, info in infos.items()
    ]
    data = DatasetCardData(license=licence, tags=_TAGS[1:], pretty_name=f"Booru tag sets up to {name}", configs=configs)
    DatasetInfosDict(infos).to_dataset_card_data(data)
    splits = {split: found.num_examples for split, found in infos["posts"].splits.items()}
    return _fenced(data) + _DATASET.format(
        name=name,
        posts=sum(splits.values()),
        splits=", ".join(f"{split} {number:,}" for split, number in splits.items()),
        **about,
    )


def example_of(told: Mapping[str, Any]) -> str:
    """A label to ask about: a character, which implies others."""
    kinds = zip(told["labels"], told["categories"], strict=True)
    characters = [label for label, kind in kinds if kind == "character"]
    return _EXAMPLE if _EXAMPLE in characters else [*characters, *told["labels"]][0]


def _head(
    name: str,
    told: Mapping[str, Any],
    base: str | None,
    metrics: Mapping[str, Any] | None,
    licence: str,
    library_name: str = "transformers",
) -> str:
    """The metadata: what the hub shows of a model, and finds it by."""
    measured = [
        EvalResult(
            task_type="tag-completion",
            dataset_type="booru-chars",
            dataset_name=f"held-out posts of releases up to {name}",
            dataset_config=f"{_percent(share['hidden_share'])} of labels hidden",
            dataset_split="test",
            metric_type=metric,
            metric_value=round(share["not_derivable"]["methods"][MODEL][metric], 4),
        )
        for share in _shares(metrics)
        for metric in HEADLINE
    ]
    example = example_of(told)
    data = ModelCardData(
        library_name=library_name,
        license=licence,
        base_model=base if base is None or not Path(base).is_absolute() else None,  # a folder here is nothing there
        tags=[*_TAGS, told["objective"]],
        model_name=f"booru tags up to {name}",
        eval_results=measured or None,
        # Of tasks that the hub knows, these are nearest: text in, labels with probabilities out; or text.
        pipeline_tag="text-classification" if told["objective"] in ("present", "set") else "text-generation",
        widget=[{"text": f"<{example}>" if told["pieces"] is None else example}],
    )
    return _fenced(data)


def _fenced(data: CardData) -> str:
    return f"---\n{data.to_yaml()}\n---\n"


def _figures(metrics: Mapping[str, Any] | None) -> str:
    """A table of the held-out figures, with the difference to the best baseline and its interval."""
    if not metrics:
        return "## Figures\n\nIt was not evaluated on test posts: make the report with `booru run`.\n\n"
    lines = [
        f"## Figures on {metrics['sizes']['test_posts']:,} test posts",
        "",
        "Which labels of a post were hidden, of those that no implication gives away? The best baseline of each row is "
        "one of the methods that count.",
        "",
        "| hidden | | answer | T5 alone | best baseline | ahead by, 95 % interval |",
        "| ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for share in _shares(metrics):
        found = share["not_derivable"]
        best = found["best_baseline"]
        for metric in HEADLINE:
            alone = found["methods"].get(T5_ALONE, {}).get(metric)
            less = found["differences"][best][metric]
            cells = [
                _percent(share["hidden_share"]),
                heading(metric),
                f"{found['methods'][MODEL][metric]:.3f}",
                "" if alone is None else f"{alone:.3f}",
                f"{found['methods'][best][metric]:.3f} ({best})",
                f"{less['mean']:+.3f} ({less['low']:+.3f} to {less['high']:+.3f})",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\n{metrics['verdict'].partition('. ')[0]}.\n\n"


def _shares(metrics: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return [share for share in (metrics or {}).get("shares", []) if share["not_derivable"]]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
