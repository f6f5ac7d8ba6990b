"""The cards of what is shared: README.md with the metadata that the hub reads, of a model, a graph and a dataset.

The metadata's fields are those of `huggingface_hub.ModelCardData` and `DatasetCardData`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from huggingface_hub import CardData, EvalResult, ModelCardData

from booru_pipeline.evaluation.figures.ranks import heading
from booru_pipeline.evaluation.report.findings import Findings
from booru_pipeline.evaluation.report.page.words import signed_interval
from booru_pipeline.evaluation.results import HEADLINE, MODEL, T5_ALONE
from booru_pipeline.export.source import Source
from booru_pipeline.model.provenance import base_names

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

for tag, probability in TagModel.load(FOLDER).suggest({example}, top=10):
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
given = {{tags["aliases"].get(tag, tag) for tag in [{example}]}}
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
- `tags`: its labels. Aliases are replaced; tags that are too rare to be learned, or of a category left out, are not
  there. Posts whose tags are no caption are left out; the labels' `posts` count them too.

## Limits

- It says how people tag, not what is in a picture: what taggers leave out is not there.
- Danbooru adds what a tag implies on each edit, and other boorus do not: some posts lack implied tags.
- Tags may name real people and things that not everybody wants to read.
"""


def model_card(source: Source, lines: int) -> str:
    """The card of a checkpoint's folder, whose `tag_model.py` has so many lines."""
    told = source.tags
    return _head(source, "transformers") + _MODEL.format(
        name=source.name,
        base=base_names(source.provenance)[0],
        posts=source.provenance["training"]["posts"],
        mixed="; what it says is weighed with counts of pairs of tags" if told["mixture"] else "",
        labels=len(told["labels"]),
        categories=", ".join(sorted(set(told["categories"]))),
        example=_quoted(example_of(told)),
        as_text="" if told["pieces"] is not None else ", to which a tag is the word `<tag>`",
        lines=lines,
        figures=_figures(source.findings),
        training=source.about_training,
    )


def graph_card(source: Source, megabytes: int) -> str:
    """The card of a graph's folder; `megabytes` is the memory that a post takes."""
    return _head(source, "onnx") + _GRAPH.format(
        name=source.name,
        labels=len(source.tags["labels"]),
        example=_quoted(example_of(source.tags)),
        megabytes=megabytes,
        figures=_figures(source.findings),
        training=source.about_training,
    )


def dataset_card(source: Source, infos: "Mapping[str, DatasetInfo]", releases: Iterable[str]) -> str:
    """The card of a dataset's folder.

    Args:
        source: The checkpoint that learned from it.
        infos: Features and splits by configuration.
        releases: Whose posts they are.
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
    data = DatasetCardData(
        license=source.licence, tags=_TAGS[1:], pretty_name=f"Booru tag sets up to {source.name}", configs=configs
    )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    splits = {split: found.num_examples for split, found in infos["posts"].splits.items()}
    return _fenced(data) + _DATASET.format(
        name=source.name,
        posts=sum(splits.values()),
        splits=", ".join(f"{split} {number:,}" for split, number in splits.items()),
        releases=", ".join(releases),
        labels=len(source.vocabulary),
    )


def example_of(told: Mapping[str, Any]) -> str:
    """A label to ask about: a character, which implies others."""
    kinds = zip(told["labels"], told["categories"], strict=True)
    characters = [label for label, kind in kinds if kind == "character"]
    return _EXAMPLE if _EXAMPLE in characters else [*characters, *told["labels"]][0]


def _quoted(label: str) -> str:
    """As Python and JSON write it."""
    return json.dumps(label, ensure_ascii=False)


def _head(source: Source, library: str) -> str:
    """The metadata: what the hub shows of a model, and finds it by."""
    told, results = source.tags, source.findings.results if source.findings else {}
    measured = [
        EvalResult(
            task_type="tag-completion",
            dataset_type="booru-chars",
            dataset_name=f"held-out posts of releases up to {source.name}",
            dataset_config=f"{_percent(share)} of labels hidden",
            dataset_split="test",
            metric_type=metric,
            metric_value=round(result.figure(MODEL, metric), 4),
        )
        for share, result in results.items()
        for metric in HEADLINE
    ]
    example = example_of(told)
    data = ModelCardData(
        library_name=library,
        license=source.licence,
        base_model=base_names(source.provenance)[1],
        tags=[*_TAGS, told["objective"]],
        model_name=f"booru tags up to {source.name}",
        eval_results=measured or None,
        # Of tasks that the hub knows, these are nearest: text in, labels with probabilities out; or text.
        pipeline_tag="text-classification" if told["objective"] in ("present", "set") else "text-generation",
        widget=[{"text": f"<{example}>" if told["pieces"] is None else example}],
    )
    return _fenced(data)


def _fenced(data: CardData) -> str:
    return f"---\n{data.to_yaml()}\n---\n"


def _figures(found: Findings | None) -> str:
    """A table of the held-out figures, with the difference to the best baseline and its interval."""
    if found is None:
        return "## Figures\n\nIt was not evaluated on test posts: make the report with `booru run`.\n\n"
    lines = [
        f"## Figures on {found.sizes.test_posts:,} test posts",
        "",
        "Which labels of a post were hidden, of those that no implication gives away? The best baseline of each row is "
        "one of the methods that count.",
        "",
        "| hidden | | answer | T5 alone | best baseline | ahead by, 95 % interval |",
        "| ---: | --- | ---: | ---: | ---: | --- |",
    ]
    for share, result in found.results.items():
        best = result.best_baseline
        for metric in HEADLINE:
            cells = [
                _percent(share),
                heading(metric),
                f"{result.figure(MODEL, metric):.3f}",
                f"{result.figure(T5_ALONE, metric):.3f}" if T5_ALONE in result.methods else "",
                f"{result.figure(best, metric):.3f} ({best})",
                signed_interval(result.differences[best][metric]),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\n{found.verdict.partition('. ')[0]}.\n\n"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
