"""A raw folder of real files, a home and an instance, scanned again and again as the daemon would.

Loads are run; of longer chains the records are put in place of the artifacts, which is all that a scan reads.
"""

import shutil

import dagster as dg

from booru_pipeline.defs.build import build_defs
from booru_pipeline.lake.record import Record
from booru_pipeline.pipeline.freshness import expected_records
from booru_pipeline.pipeline.settings import load_settings
from booru_pipeline.pipeline.stages import Stage
from booru_pipeline.release.find import find_release

CHAIN = list(Stage)
LOADING = [Stage.TAG_TABLE, Stage.TRAINING_SHARDS]


class AutomatedHome:
    """A raw folder of real files, a home, an instance, and the graph on them."""

    def __init__(self, raw, folder, instance):
        self.source, self.raw, self.instance = raw, folder / "raw", instance
        self.raw.mkdir()
        self.home = folder / "home"
        self.change()
        self.cursor = None

    def change(self, automation=None, **settings):
        automation = {"rest_s": 0, **(automation or {})}  # two scans are enough, however soon
        self.settings = load_settings(raw=self.raw, home=self.home, automation=automation, **settings)

    def put(self, source="2021a", key=None):
        """Put a release there; under another key its content is the source's."""
        key = key or source
        folder = self.raw / "somewhere" / f"Safebooru {key}"
        folder.mkdir(parents=True, exist_ok=True)
        for table in ("files", "tags"):
            file = self.source / f"Safebooru {source}" / f"V{source.upper()}_{table}.tsv"
            shutil.copyfile(file, folder / f"V{key.upper()}_{table}.tsv")
        return folder

    def path(self, key, table):
        return self.raw / "somewhere" / f"Safebooru {key}" / f"V{key.upper()}_{table}.tsv"

    def tick(self):
        """One scan of the sensor, its effects applied as the daemon applies them."""
        sensor = next(item for item in build_defs(self.settings).sensors if item.name == "new_releases")
        tick = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        self.cursor = tick.cursor
        for event in tick.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in tick.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return tick

    def waits(self):
        """What a scan that asks for nothing says."""
        tick = self.tick()
        assert not tick.run_requests
        return tick.skip_reason.skip_message

    def settled_tick(self):
        self.tick()
        return self.tick()

    def execute(self, request, **more):
        """Run what was asked for, as asked for."""
        job = build_defs(self.settings).resolve_job_def(request.job_name)
        subset = job.get_subset(
            asset_selection=set(request.asset_selection), asset_check_selection=set(request.asset_check_keys)
        )
        return subset.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            run_config=request.run_config,
            tags={**request.tags, **more},
            raise_on_error=False,
        )

    def make(self, key, until=CHAIN[-1]):
        """Put the records that a chain leaves, in place of the artifacts."""
        records = self.expected(key)
        for stage in until.upto():
            put_record(self.settings.lake, stage, key, records[stage])

    def expected(self, key):
        """The records that a release's artifacts would have if they were made now."""
        sources = self.settings.sources(find_release(self.raw, key), self.settings.tag_relations.fingerprints)
        return expected_records(key, sources, self.settings)

    def past(self, request, status, **tags):
        """A run as the daemon would have created it, that has come to an end without running."""
        run = dg.DagsterInstance.create_run_for_job(
            self.instance,
            build_defs(self.settings).resolve_job_def(request.job_name),
            asset_selection=frozenset(request.asset_selection) if request.asset_selection else None,
            tags={**request.tags, "dagster/partition": request.partition_key, **tags},
            status=status,
        )
        return run


def put_record(lake, stage, key, record: Record):
    path = stage.path(lake, key)
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    record.write(path)


def asked(tick):
    return [(request.partition_key, request.job_name, stages(request)) for request in tick.run_requests]


def stages(request):
    named = {key.to_user_string() for key in request.asset_selection}
    return [stage for stage in CHAIN if stage.value in named]
