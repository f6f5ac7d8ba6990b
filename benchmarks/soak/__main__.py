"""The automation under fire: small releases dropped in random order, services and runs killed, files corrected.

    python -m benchmarks.soak                                  # 12 releases, 10 kills, at most 20 minutes
    python -m benchmarks.soak --releases 4 --kills 4 --seed 3  # some 4 minutes

Code server and daemon run as `deploy/compose.yaml` has them and are started again by a supervisor, as compose and
systemd do. Releases are copied into the raw folder in bits, at random moments, with `strategy = "continue"`, so that it
matters which checkpoint went on from which. SIGKILL hits the daemon, the code server with all that runs in it, a run's
process (in some stage, or the moment that a stage has published), and the training payload (also once it has a state).
Some releases are corrected, one of them while its run is under way.

In the end everything is verified from the artifacts, Dagster's history and what this process saw, a line each; exit
status 1 if one of them fails.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.deployment import QUICK, Deployment
from benchmarks.frame import machine, show
from benchmarks.soak.killer import KINDS, Killer
from benchmarks.soak.story import POSTS, STEPS, Story, at_work, drop, step_of, unfinished, watch_checkpoints, webhook
from benchmarks.soak.verification import Verification
from booru_pipeline.defs.runs.history import PARTITION, Outcome
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.sample import generate

CALM_S: Final = 15  # without a run, before one asks whether all is made
STUCK_S: Final = 90  # without a run: nothing more will come
SECONDS_A_DROP: Final = 10  # on average, so that there is always something under way
SETTINGS: Final = {
    **QUICK,
    "BOORU_CHECKPOINT__STRATEGY": "continue",
    "BOORU_CHECKPOINT__MAX_STEPS": str(STEPS),
    "BOORU_CHECKPOINT__STATE_INTERVAL_STEPS": "5",
    "BOORU_AUTOMATION__REST_S": "5",
    "BOORU_AUTOMATION__CRON": "",
}


def drop_all(
    deployment: Deployment,
    story: Story,
    source: Path,
    better: Path,
    keys: Sequence[str],
    chance: random.Random,
    ended: threading.Event,
) -> None:
    """Drop the releases in random order, and correct two of them: one under way, one at any moment after it came."""
    for file in source.glob("tag_*.json"):
        shutil.copy(file, deployment.raw)
    order = chance.sample(keys, len(keys))
    corrected = chance.sample(keys, min(2, len(keys) // 2))
    under_way, whenever = corrected[:1], corrected[1:]
    waiting = {key: chance.uniform(20, 60) for key in whenever}
    for key in order:
        story.drops.append(drop(source, deployment.raw, key, chance, correction=False))
        story.say(f"dropped {key}")
        until = time.monotonic() + chance.uniform(0, 2 * SECONDS_A_DROP)
        while time.monotonic() < until and not ended.wait(0.2):
            for other in list(under_way):
                at = {step_of(deployment, run) for run in at_work(deployment) if run.tags.get(PARTITION) == other}
                if at - {"", Stage.TAG_TABLE.value, "raw_release_release_is_whole"}:
                    under_way.remove(other)
                    story.drops.append(drop(better, deployment.raw, other, chance, correction=True))
                    story.say(f"corrected {other}, while at {', '.join(at)}")
    for key in [*under_way, *whenever]:
        ended.wait(waiting.get(key, 0))
        story.drops.append(drop(better, deployment.raw, key, chance, correction=True))
        story.say(f"corrected {key}")


def soak(folder: Path, seed: int, releases: int, kills: int, minutes: float) -> bool:
    """All of it; gives whether everything holds."""
    chance = random.Random(seed)
    keys = [f"2021{chr(ord('a') + row)}" for row in range(releases)]
    source, better = folder / "source", folder / "better"
    generate(source, releases=keys, posts=POSTS, seed=seed)
    generate(better, releases=keys, posts=POSTS, seed=seed + 1000)
    story = Story()
    server = webhook(story)
    options = {**SETTINGS, "BOORU_AUTOMATION__WEBHOOK": f"http://127.0.0.1:{server.server_port}/"}
    kinds = [KINDS[row % len(KINDS)] for row in range(kills)]
    chance.shuffle(kinds)
    ended = threading.Event()
    with Deployment(folder, options) as deployment:
        story.begun = time.time()
        killer = Killer(deployment, story, random.Random(chance.random()), kinds)
        dropper = (deployment, story, source, better, keys, random.Random(chance.random()), ended)
        threads = [
            threading.Thread(target=drop_all, args=dropper),
            threading.Thread(target=killer.work, args=(ended,)),
            threading.Thread(target=watch_checkpoints, args=(deployment, story, ended)),
        ]
        for thread in threads:
            thread.start()
        threads[0].join()
        is_made = wait_until_made(deployment, minutes * 60 - (time.time() - story.begun) - 60)
        story.say("all is made" if is_made else "it is stuck, or time is up")
        idle_since = time.time()
        time.sleep(40)  # for some scans that find nothing to do, and for the sensor of failed runs
        ended.set()
        for thread in threads[1:]:
            thread.join()
        verification = Verification(deployment, story)
        findings = verification.verify()
        findings.show()
        show_figures(deployment, verification, story, idle_since)
    server.shutdown()
    return not findings.failed


def wait_until_made(deployment: Deployment, seconds: float) -> bool:
    """Wait until no run is under way and the status is green; gives False if it is stuck, or time is up."""
    busy = time.monotonic()
    until = busy + seconds
    while time.monotonic() < min(until, busy + STUCK_S):
        if unfinished(deployment):
            busy = time.monotonic()
        elif time.monotonic() > busy + CALM_S and deployment.booru("status", "--check").returncode == 0:
            return True
        time.sleep(2)
    return False


def minutes_to_report(verification: Verification, story: Story) -> list[float]:
    """Minutes from the last byte of each drop to the first report of it."""
    reports = [(record.partition_key, record.timestamp) for record in verification.events(Stage.EVALUATION_REPORT)]
    later = [
        [at - item.ended for key, at in reports if key == item.release and at > item.ended] for item in story.drops
    ]
    return [min(seconds) / 60 for seconds in later if seconds]


def show_figures(deployment: Deployment, verification: Verification, story: Story, idle_since: float) -> None:
    outcomes = Counter(run.past.outcome for run in verification.all_runs)
    kinds = Counter(kill.kind for kill in story.kills)
    minutes = minutes_to_report(verification, story)
    scans = [tick.end_timestamp - tick.timestamp for tick in deployment.scans(idle_since) if tick.end_timestamp]
    rows = [
        ("releases, posts each", f"{len(verification.keys)}, {POSTS}"),
        ("corrected", str(len(verification.corrected))),
        ("kills", f"{len(story.kills)}: {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}"),
        ("runs asked for", str(len(verification.all_runs))),
        *((f"runs {outcome.value}", str(outcomes[outcome])) for outcome in Outcome if outcomes[outcome]),
        ("minutes from last byte to report, median", f"{statistics.median(minutes):.1f}"),
        ("minutes from last byte to report, most", f"{max(minutes):.1f}"),
        ("a scan with nothing to do, seconds", f"{statistics.median(scans):.2f} (median of {len(scans)})"),
        ("minutes in all", f"{(time.time() - story.begun) / 60:.1f}"),
    ]
    print()
    show(["", ""], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of order, moments, kinds and contents (default 0)")
    parser.add_argument("--releases", type=int, default=12, help="how many (default 12)")
    parser.add_argument("--kills", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--minutes", type=float, default=20, help="at most (default 20)")
    parser.add_argument("--keep", type=Path, help="folder to work in and to leave behind")
    arguments = parser.parse_args()
    print(
        f"{machine('dagster')} --seed {arguments.seed} --releases {arguments.releases} --kills {arguments.kills}\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        holds = soak(folder.resolve(), arguments.seed, arguments.releases, arguments.kills, arguments.minutes)
    sys.stdout.flush()
    os._exit(not holds)  # DuckDB's binding prints pages at the usual exit


if __name__ == "__main__":
    main()
