"""Dagster's history in a real PostgreSQL server, with the settings and the commands of `deploy/`.

Two releases lie there when the daemon starts: the sensor asks for both chains at once, and the pool lets one train at a
time. The server is Debian's package, as a cluster of its own in a temporary folder.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
import yaml
from dagster._core.scheduler.instigation import ScheduleInstigatorData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from booru_pipeline.lake.lake import Lake
from booru_pipeline.sample import generate
from booru_pipeline_tests.running import free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RELEASES = ["2021a", "2021b"]
QUICK = {
    "BOORU_VOCABULARY__MIN_GENERAL_POSTS": "5",
    "BOORU_VOCABULARY__MIN_NAME_POSTS": "5",
    "BOORU_CHECKPOINT__MAX_STEPS": "5",
    "BOORU_CHECKPOINT__WANDB_PROJECT": "",
    "BOORU_EVALUATION_REPORT__BOOTSTRAP_SAMPLES": "50",
    "BOORU_EVALUATION_REPORT__HIDDEN_SHARES": "[0.5]",
    "HF_HUB_OFFLINE": "1",
}


def binaries():
    """Where Debian, or another system on the PATH, has the server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("needs PostgreSQL's server (initdb, pg_ctl): apt-get install postgresql")
    return found[-1].parent if found else Path(on_path).parent


@contextmanager
def postgresql():
    """A server of our own; gives the variables that say where. It refuses root, so then it runs as `postgres`."""
    server = binaries()
    user, as_user = None, []
    if os.getuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs the user postgres, which Debian's package makes: apt-get install postgresql")
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # Not pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="booru-postgresql-"))
    data, password_file = folder / "data", folder / "password"
    password = secrets.token_hex(16)
    password_file.write_text(password)
    if user is not None:
        for path in (folder, password_file):
            os.chown(path, user.pw_uid, user.pw_gid)

    def call(program, *arguments):
        done = subprocess.run(
            [*as_user, server / program, "--pgdata", data, *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    port = free_port()
    try:
        call("initdb", "--username=dagster", f"--pwfile={password_file}", "--auth=scram-sha-256", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        call("pg_ctl", "start", "--wait", f"--log={folder / 'log'}", "--options", options)
        try:
            yield {
                "DAGSTER_PG_HOST": "127.0.0.1",
                "DAGSTER_PG_PORT": str(port),
                "DAGSTER_PG_USERNAME": "dagster",
                "DAGSTER_PG_PASSWORD": password,
                "DAGSTER_PG_DATABASE": "postgres",
            }
        finally:
            call("pg_ctl", "stop", "--mode=fast", "--wait")
    finally:
        shutil.rmtree(folder)


def as_deployed(service, changes):
    """The compose file's command of a service, with other values for some of its words."""
    command = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"][service]["command"]
    first, *rest = [changes.get(word, word) for word in command]
    return [str(Path(sys.executable).with_name(first)), *rest]


@contextmanager
def running(name, command, environment, logs):
    with (logs / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=logs, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its children: a run that is still at work
        process.wait()


def eventually(attempt, logs, process=None):
    """Try until there is a true answer; the machine may be slow, so long."""
    for _ in range(1200):
        if answer := attempt():
            return answer
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.5)
    ends = [f"{path.name}: …{path.read_text()[-2000:]}" for path in sorted(logs.glob("*.log"))]
    raise AssertionError("no answer\n" + "\n".join(ends))


@dataclass
class Deployment:
    instance: dg.DagsterInstance
    environment: dict[str, str]
    logs: Path  # and the workspace file
    daemon: Callable[[], AbstractContextManager]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Database and code server, with two releases in the raw folder; the daemon is not started yet."""
    raw, logs = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("logs")
    home = tmp_path_factory.mktemp("home")
    generate(raw, releases=RELEASES, posts=200, seed=1)
    dagster_home = Lake(home).dagster_home
    dagster_home.mkdir()
    shutil.copy(DEPLOY / "dagster.yaml", dagster_home)
    port = str(free_port())
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    workspace["load_from"][0]["grpc_server"].update(host="127.0.0.1", port=int(port))
    (logs / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    with postgresql() as server:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BOORU_", "DAGSTER_"))},
            **QUICK,
            **server,
            "BOORU_RAW": str(raw),
            "BOORU_HOME": str(home),
            "DAGSTER_HOME": str(dagster_home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        changes = {"0.0.0.0": "127.0.0.1", "4000": port}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in server.items():
                patch.setenv(name, value)
            instance = dg.DagsterInstance.from_config(str(dagster_home))
        with instance, running("code", as_deployed("code", changes), environment, logs) as code:
            subprocess.run(as_deployed("setup", {}), env=environment, check=True, capture_output=True)
            eventually(lambda: listening(int(port)), logs, code)

            def daemon():
                return running("daemon", as_deployed("daemon", changes), environment, logs)

            yield Deployment(instance, environment, logs, daemon)


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def chains(deployment):
    """The two chains that the sensor asks for, the first one made, the second one begun; then the daemon is killed."""

    def far_enough():
        runs = deployment.instance.get_run_records(dg.RunsFilter(job_name="refresh_release"))
        begun = sorted((run for run in runs if run.start_time), key=lambda run: run.start_time)
        failed = [run for run in runs if run.dagster_run.status is dg.DagsterRunStatus.FAILURE]
        return begun if len(begun) == len(RELEASES) or failed else None

    with deployment.daemon():
        return eventually(far_enough, deployment.logs)


def test_the_sensor_asks_for_both_releases_and_a_chain_ends_with_its_audit(deployment, chains):
    assert [run.dagster_run.tags["dagster/partition"] for run in chains] == RELEASES
    assert {run.dagster_run.tags["dagster/sensor_name"] for run in chains} == {"new_releases"}
    assert chains[0].dagster_run.status is dg.DagsterRunStatus.SUCCESS
    assert RELEASES[0] in deployment.instance.get_materialized_partitions(dg.AssetKey("tag_audit"))


def test_of_two_chains_at_once_the_second_waits_for_the_pool(chains):
    first, second = chains
    assert second.create_timestamp.timestamp() < first.end_time  # it stood in the queue
    assert second.start_time >= first.end_time


def test_the_history_is_in_the_database(deployment, chains):
    where = {"host": "HOST", "port": "PORT", "user": "USERNAME", "password": "PASSWORD", "dbname": "DATABASE"}
    address = {name: deployment.environment[f"DAGSTER_PG_{variable}"] for name, variable in where.items()}
    with closing(psycopg2.connect(**address)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run_id FROM runs WHERE status = 'SUCCESS' AND pipeline_name = 'refresh_release'")
        assert chains[0].dagster_run.run_id in [run_id for (run_id,) in cursor.fetchall()]
        cursor.execute("SELECT DISTINCT partition FROM event_logs WHERE asset_key = '[\"checkpoint\"]'")
        assert (RELEASES[0],) in cursor.fetchall()
        cursor.execute("SELECT count(*) FROM job_ticks WHERE type = 'SENSOR' AND status = 'SUCCESS'")
        assert cursor.fetchone()[0] >= 1


def test_the_schedule_ticks_and_makes_up_for_the_time_that_the_daemon_was_away(deployment, chains):
    """It is on since eight days ago, so that one weekly tick has been missed."""
    instance = deployment.instance
    target = WorkspaceFileTarget([str(deployment.logs / "workspace.yaml")])
    with WorkspaceProcessContext(instance, target) as workspace:
        (location,) = workspace.create_request_context().code_locations
        (repository,) = location.get_repositories().values()
        (schedule,) = repository.get_schedules()
        state = instance.start_schedule(schedule)
    missed = time.time() - 8 * 24 * 3600
    instance.update_instigator_state(state.with_data(ScheduleInstigatorData(schedule.cron_schedule, missed)))

    def ticked():
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [tick for tick in ticks if tick.is_completed]

    with deployment.daemon():
        ticks = eventually(ticked, deployment.logs)
    assert [tick.error for tick in ticks] == [None] * len(ticks)
    assert missed < ticks[-1].timestamp < time.time()
