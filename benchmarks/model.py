"""How good are the answers? T5 alone, counting, and both in one, on held-out posts: the tables of RESULTS.md.

    python -m benchmarks.model                                  # shared releases, 19 minutes of training
    python -m benchmarks.model --world sample --seconds 60      # the demo's world and minute
    python -m benchmarks.model --world real --seconds 60        # the real posts in shared/
    python -m benchmarks.model --seeds 0 1 2 --objectives present set --seconds 300

Each training is the payload's program with `tiny`'s defaults, but for the seconds. Each checkpoint is then evaluated as
`booru run` evaluates it: 2,000 test posts, all baselines with settings chosen by hidden share on validation posts, 95 %
intervals by picture. Where there are several seeds, figures are their mean, and lowest and highest are beside it.
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import SHARED, base_model, record
from benchmarks.frame import machine, show

WORLDS: Final = ("shared", "sample", "real")
SECONDS: Final = {"shared": 1140.0, "sample": 60.0, "real": 60.0}
EPOCHS: Final = {"shared": 0.0, "sample": 40.0, "real": 40.0}  # a small corpus is learned by heart beyond


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="shared" if SHARED.is_dir() else "sample")
    parser.add_argument(
        "--seconds", type=float, help="of each training (default: 1,140 on the shared releases, else 60)"
    )
    parser.add_argument("--epochs", type=float, help="of each training, in place of seconds: the same on any machine")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--objectives", nargs="+", default=["present"], choices=["present", "set"])
    parser.add_argument("--checkpoints", type=Path, nargs="+", help="evaluate these folders and train nothing")
    parser.add_argument("--keep", type=Path, help="folder to keep checkpoints and reports in")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    print(f"{machine('torch', 'transformers', 'numpy', 'scipy')}\n", flush=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        world = World(Path(scratch), options.world)
        for objective in options.objectives if not options.checkpoints else ["given"]:
            made = options.checkpoints or [
                world.train(folder / f"{objective}-{seed}", objective, seed, options.seconds, options.epochs)
                for seed in options.seeds
            ]
            found = [world.evaluate(checkpoint, folder / f"{checkpoint.name}-report") for checkpoint in made]
            print_tables(objective, made, found)
    print(f"\n{time.perf_counter() - begun:.0f} s in all")


class World:
    """The posts of a world, as a dataset and a vocabulary; made in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        from booru_pipeline.dataset.build import build_dataset
        from booru_pipeline.dataset.options import DatasetOptions
        from booru_pipeline.lake.lake import Lake
        from booru_pipeline.release.find import find_releases
        from booru_pipeline.sample import generate
        from booru_pipeline.tag_table.load import load_release
        from booru_pipeline.tag_table.options import TagTableOptions
        from booru_pipeline.training_shards.options import ShardOptions
        from booru_pipeline.training_shards.relations import load_relations
        from booru_pipeline.training_shards.shards import build_shards
        from booru_pipeline.vocabulary.base_model import BaseModel
        from booru_pipeline.vocabulary.build import build_vocabulary
        from booru_pipeline.vocabulary.options import VocabularyOptions

        self.name = name
        raw = {"shared": SHARED / "data" / "releases", "real": SHARED / "data" / "real"}.get(name, folder / "raw")
        if name == "sample":
            generate(raw, releases=["2021a", "2021b"], posts=1500)
        elif not raw.is_dir():
            raise SystemExit(f"there is no {raw}: the world {name} needs the folder shared/ beside the checkout")
        self.relations = load_relations(raw if name == "sample" else SHARED / "data", skip_ambiguous=True)
        lake = Lake(folder / "home")
        shards = {}
        for release in find_releases(raw).releases:
            table, shards[release.key] = lake.tag_table(release.key), lake.training_shards(release.key)
            made = record(release.key)
            load_release(release, table, lake.staging, TagTableOptions(max_reject_share=1), made)
            build_shards(table, shards[release.key], lake.staging, ShardOptions(), made, self.relations.aliases)
        base = BaseModel("tiny", None) if name == "sample" else base_model()
        self.key, self.vocabulary, self.dataset = max(shards), folder / "vocabulary", folder / "dataset"
        made = record(self.key)
        known = build_vocabulary(shards, base, self.vocabulary, lake.staging, VocabularyOptions(), made)
        build_dataset(shards, known, self.dataset, lake.staging, DatasetOptions(), made)

    def train(self, output: Path, objective: str, seed: int, seconds: float | None, epochs: float | None) -> Path:
        """Train with the defaults of `tiny`, but for the seconds, and on a large world the epochs; or those alone."""
        from booru_pipeline.training.finetune import finetune
        from booru_pipeline.training.interruption import Interruption
        from booru_pipeline.training.job import TrainingJob
        from booru_pipeline.training.options import TrainingOptions

        length = {"time_limit_s": seconds or SECONDS[self.name], "epochs": EPOCHS[self.name]}
        if epochs:
            length = {"time_limit_s": 0.0, "epochs": epochs}
        job = TrainingJob(
            dataset=self.dataset,
            vocabulary=self.vocabulary,
            output=output,
            base_name="tiny",
            options=TrainingOptions(
                objective=objective, seed=seed, states_kept=0, wandb_project="", log_interval_s=60, **length
            ),
            provenance={"release": self.key},
        )
        if finetune(job.write(output.with_suffix(".json")), Interruption()):
            raise SystemExit("the training failed")
        return output

    def evaluate(self, checkpoint: Path, output: Path) -> Any:
        """The findings of the report."""
        from booru_pipeline.evaluation.evaluate import evaluate
        from booru_pipeline.evaluation.options import EvaluationOptions

        return evaluate(
            checkpoint,
            self.dataset,
            self.vocabulary,
            output,
            EvaluationOptions(),
            release=self.key,
            relations=self.relations,
        )


def print_tables(objective: str, checkpoints: Sequence[Path], findings: Sequence[Any]) -> None:
    """Every figure of one objective: recall and MRR, leads, calibration, one tag alone."""
    training = [json.loads((folder / "provenance.json").read_text())["training"] for folder in checkpoints]
    first = findings[0]
    seen = ", ".join(f"{each['steps'] * each['posts_per_step']:,}" for each in training)
    seconds = ", ".join(f"{each['seconds']:.0f}" for each in training)
    print(
        f"\n### {objective}, {len(findings)} seed{'s' if len(findings) > 1 else ''}\n\n"
        f"{first.sizes.labels:,} labels, {first.sizes.train_posts:,} train posts, {first.sizes.test_posts:,} test "
        f"posts. Posts seen: {seen}, in {seconds} s on {training[0]['device']}.\n"
    )
    shares = list(first.results)
    head = [f"{100 * share:.3g} %" for share in shares]
    print("recall@10 / MRR of hidden labels that are not derivable:\n")
    rows = [[method, *(both(findings, share, method) for share in shares)] for method in first.headline.methods]
    show(["", *head], rows)
    print("\nThe first seed's leads over the baseline with the highest figure, with 95 % intervals:\n")
    show(["", "figure", *head], list(leads(first)))
    print("\nExpected calibration error of the first guesses, and of exact probabilities (noise):\n")
    show(["", "answer", "T5 alone", "noise"], list(calibration(findings)))
    print("\nOne tag alone: mean distance of what is said from the share on held-out posts:\n")
    show(["", "distance", "of pairs on 95 % of held-out posts, said at 90 % or more"], list(one_tag(findings)))
    audits = [each.audit for each in findings if each.audit]
    if not audits:
        return
    print("\nThe audit: precision at 100 / at 1,000 / average precision of what was hidden or planted, one a post:\n")
    show(["", "faults", "audit", *others(audits)], list(audited(audits)))
    print("\nThe first seed's audit less the others, with 95 % intervals:\n")
    show(["", "figure", *others(audits)], list(audit_leads(audits[0])))
    if audits[0].proposals:
        found = audits[0].proposals
        print(f"\nImplications: a fifth of {found.known} hidden, each in turn, looked for in the first 100 pairs:\n")
        show(["", "precision", "recall"], list(proposals(found)))


def others(audits: Sequence[Any]) -> list[str]:
    """The methods beside the audit."""
    return list(audits[0].questions[0].methods)[1:]


def audited(audits: Sequence[Any]) -> Iterator[list[str]]:
    """Rows: the questions, with the figures of each method."""
    for questions in zip(*(each.questions for each in audits), strict=True):
        cells = [
            " / ".join(spread([each.methods[name].figures[key].mean for each in questions]) for key in figures.figures)
            for name, figures in questions[0].methods.items()
        ]
        yield [questions[0].question, f"{questions[0].faults:,}", *cells]


def audit_leads(audit: Any) -> Iterator[list[str]]:
    """Rows: by question and figure how far the audit is ahead of each other method."""
    for question in audit.questions:
        _, *rest = question.methods.values()
        for key in rest[0].figures:
            yield [question.question, key.replace("_", " "), *(_interval(each.behind[key]) for each in rest)]


def proposals(found: Any) -> Iterator[list[str]]:
    """Rows: the ways to rank pairs; the mean, lowest and highest of the fifths."""
    for name, figures in found.methods.items():
        yield [name, spread(figures.precision_by_fifth), spread(figures.recall_by_fifth)]


def both(findings: Sequence[Any], share: float, method: str) -> str:
    """A method's recall@10 and MRR at a hidden share."""
    figures = ([each.results[share].figure(method, metric) for each in findings] for metric in ("recall@10", "mrr"))
    return " / ".join(map(spread, figures))


def leads(findings: Any) -> Iterator[list[str]]:
    """Rows: the answer and T5 alone, less the baseline with the highest value of the figure; the answer less T5."""
    at = [share for share in findings.shares if share.not_derivable]
    for name, results in (("answer", [s.not_derivable for s in at]), ("T5 alone", [s.t5_alone for s in at])):
        for metric in ("recall@10", "mrr"):
            row = [f"{name} less the best", metric]
            for result in filter(None, results):
                figures = {other: result.figure(other, metric) for other in result.baselines}
                best = max(figures, key=figures.__getitem__)
                row.append(f"{_interval(result.differences[best][metric])} {best}")
            yield row
    for metric in ("recall@10", "mrr"):
        mixed = [share.not_derivable.differences.get("T5 alone") for share in at]
        yield ["answer less T5 alone", metric, *(_interval(each[metric]) for each in mixed if each)]


def calibration(findings: Sequence[Any]) -> Iterator[list[str]]:
    """Rows: by hidden share, then by how many labels are visible."""
    for share in findings[0].results:
        of_answer = [each.results[share].calibration for each in findings]
        errors, noise = spread([each.error for each in of_answer]), spread([each.noise for each in of_answer])
        yield [f"{100 * share:.3g} % hidden", errors, "", noise]
    for buckets in zip(*(each.probes.calibration for each in findings), strict=True):
        t5 = spread([bucket.t5.error if bucket.t5 else None for bucket in buckets])
        noise = spread([bucket.model.noise for bucket in buckets])
        yield [f"{buckets[0].visible} visible", spread([bucket.model.error for bucket in buckets]), t5, noise]


def one_tag(findings: Sequence[Any]) -> Iterator[list[str]]:
    """Rows: the methods, and the noise floor."""
    found = [each.probes.one_tag for each in findings if each.probes.one_tag]
    for name in found[0].methods if found else ():
        shown = [
            f"{each.methods[name].shown + each.methods[name].derivable_shown} of {each.certain + each.derivable}"
            for each in found
        ]
        yield [name, spread([each.methods[name].error for each in found]), ", ".join(shown)]
    yield ["noise", spread([each.noise for each in found]), ""]


def _interval(lead: Any) -> str:
    return f"{lead.mean:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})"


def spread(values: Sequence[float | None]) -> str:
    """The mean of several seeds' values, with the lowest and the highest behind it."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = f"{statistics.fmean(known):.3f}"
    low, high = f"{min(known):.3f}", f"{max(known):.3f}"
    return mean if low == high else f"{mean} ({low} to {high})"


if __name__ == "__main__":
    main()
