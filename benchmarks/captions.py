"""Captions rewritten for training: `booru captions` as a user runs it, and two peers that do some of its work.

    python -m benchmarks.captions                   # 10,000 captions of the sample world, --clean --expand
    python -m benchmarks.captions --files 1000      # a quick look

The peers read and write the same files without checks, styles, weights or categories: a loop with a set for each
caption, which walks the implications anew for each tag, and the string replacements of kohya's
`clean_captions_and_tags.py` (`_` to a space, and a regular expression for tags that end with another tag).
"""

import json
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from benchmarks.frame import Benchmark, Contender, Outcome, clock

_WORD: Final = re.compile(r", ([\w\-]+|hair ornament), ")


def prepare(world: Path, options: Namespace) -> None:
    """Captions of the sample's posts, over and over, and its relations."""
    from booru_pipeline.sample import generate

    generate(world / "raw", releases=["2021a"], posts=2_000)
    tags: dict[str, list[str]] = {}
    for path in world.glob("raw/*/*tags.tsv"):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split("\t")
            tags.setdefault(fields[1], []).append(fields[2])
    captions = [", ".join(one for one in names if "," not in one) for names in tags.values()]
    (world / "train").mkdir()
    for number in range(options.files):
        text = captions[number % len(captions)]
        (world / "train" / f"{number}.txt").write_text(text + "\n", encoding="utf-8")


def ours(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """The command, its start and imports included."""
    code = "import sys; from booru_pipeline.cli import main; main()"
    flags = ["--clean", "--expand", "--json", "--raw", world / "raw", "--home", workspace / "home"]
    with clock() as outcome:
        command = [sys.executable, "-c", code, "captions", world / "train", workspace / "new", *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    outcome.count = json.loads(done.stdout)["tags_before"]
    return outcome


def plain(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """A loop with a set for each caption."""
    from booru_pipeline.tags import closure
    from booru_pipeline.training_shards.relations import load_relations

    (workspace / "new").mkdir()
    with clock() as outcome:
        relations = load_relations(world / "raw")
        for path in (world / "train").iterdir():
            names = [name.strip() for name in path.read_text(encoding="utf-8").split(",")]
            outcome.count += len(names)
            tags = dict.fromkeys(relations.canonical(name) for name in names)
            new = [*tags, *sorted(closure(tags, relations.implications) - set(tags))]
            (workspace / "new" / path.name).write_text(", ".join(new), encoding="utf-8")
    return outcome


def kohya(world: Path, workspace: Path, options: Namespace) -> Outcome:
    """String replacements: no aliases and no implications."""
    (workspace / "new").mkdir()
    with clock() as outcome:
        for path in (world / "train").iterdir():
            tags = path.read_text(encoding="utf-8").strip()
            outcome.count += tags.count(",") + 1
            tags = tags.replace("^_^", "^@@@^").replace("_", " ").replace("^@@@^", "^_^")
            tags = ", " + tags.replace(", ", ", , ") + ", "
            for word in _WORD.findall(tags):
                if re.search(f", ((\\w+) )+{re.escape(word)}, ", tags):
                    tags = tags.replace(f", {word}, ", "")
            (workspace / "new" / path.name).write_text(tags.replace(", , ", ", ")[2:-2], encoding="utf-8")
    return outcome


BENCHMARK: Final = Benchmark(
    about=__doc__,
    unit="tags",
    prepare=prepare,
    contenders={
        "plain": Contender("a loop with sets", plain),
        "kohya": Contender("kohya's replacements", kohya),
        "ours": Contender("booru captions", ours),
    },
    options={"--files": {"type": int, "default": 10_000, "help": "how many captions (default %(default)s)"}},
    packages=("pyarrow",),
)

if __name__ == "__main__":
    BENCHMARK.main()
