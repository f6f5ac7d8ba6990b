"""The Helm values and the training's pod, as far as they can be tried without a cluster.

The chart and its schema are in no package index, so what the values set is described in `chart_values.py`, from the
chart's own schema, and whatever of it is Kubernetes' is parsed by Kubernetes' Python models.
"""

import importlib
import subprocess
import sys
from pathlib import Path

import kubernetes.client as k8s
import pytest
import yaml
from dagster_k8s.job import UserDefinedDagsterK8sConfig
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from dagster_k8s.pipes import build_pod_body

from booru_pipeline.errors import BooruError
from booru_pipeline.server.listening import local_address
from booru_pipeline_tests.deploy.chart_values import ChartValues
from booru_pipeline_tests.deploy.served import served

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def text():
    return (FOLDER / "values.yaml").read_text()


@pytest.fixture(scope="module")
def values(text):
    return ChartValues.model_validate(yaml.safe_load(text))


@pytest.fixture
def deployment(values):
    (only,) = values.user_deployments.deployments
    return only


@pytest.fixture
def spec(deployment):
    return yaml.safe_load(deployment.variables["BOORU_TRAINING_POD"])


def parsed(model, content):
    """The content as Kubernetes' client reads it; an unknown key is an error."""
    return k8s_model_from_dict(model, k8s_snake_case_dict(model, content))


def test_what_the_values_say_to_kubernetes_is_well_formed(values, deployment):
    for part in (deployment, values.webserver):
        for mount in part.volumeMounts:
            parsed(k8s.V1VolumeMount, mount)
        for volume in part.volumes:
            parsed(k8s.V1Volume, volume)
    for part in (deployment, values.webserver, values.daemon):
        parsed(k8s.V1PodSecurityContext, part.podSecurityContext)
    parsed(k8s.V1ResourceRequirements, deployment.resources)
    run = values.runLauncher.config.k8sRunLauncher.runK8sConfig
    UserDefinedDagsterK8sConfig.from_dict(
        {"pod_spec_config": run.podSpecConfig, "job_spec_config": run.jobSpecConfig},
    )
    claim = parsed(k8s.V1PersistentVolumeClaim, yaml.safe_load((FOLDER / "claim.yaml").read_text()))
    assert {volume["persistentVolumeClaim"]["claimName"] for volume in deployment.volumes} == {claim.metadata.name}
    assert claim.spec.access_modes == ["ReadWriteMany"]


def test_the_reports_are_served_from_the_claim_where_the_links_lead(deployment):
    content, service = yaml.safe_load_all((FOLDER / "reports.yaml").read_text())
    server = parsed(k8s.V1Deployment, content)
    pod = server.spec.template
    (container,) = pod.spec.containers
    offered = parsed(k8s.V1Service, service).spec
    assert offered.selector == server.spec.selector.match_labels == pod.metadata.labels
    ((port,), (listened,)) = offered.ports, container.ports
    assert port.target_port == listened.name == container.readiness_probe.http_get.port
    assert local_address(deployment.variables["BOORU_REPORTS_URL"])[1] == port.port == listened.container_port
    assert served(container.command) == ("0.0.0.0", port.port)
    (mount,), (claimed,) = container.volume_mounts, deployment.volumeMounts[:1]
    assert (mount.mount_path, mount.read_only) == (claimed["mountPath"], True)
    (volume,) = pod.spec.volumes
    assert volume.persistent_volume_claim.claim_name == deployment.volumes[0]["persistentVolumeClaim"]["claimName"]


def test_runs_are_limited_and_watched_as_on_one_machine(values):
    ours = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    concurrency = values.concurrency
    assert concurrency.enabled
    assert ours["concurrency"]["pools"] == {
        "default_limit": concurrency.pools.defaultLimit,
        "granularity": concurrency.pools.granularity,
    }
    assert ours["concurrency"]["runs"] == {
        "max_concurrent_runs": concurrency.runs.maxConcurrentRuns,
        "tag_concurrency_limits": [limit.model_dump() for limit in concurrency.runs.tagConcurrencyLimits],
    }
    monitoring = values.daemon.runMonitoring
    assert monitoring.enabled
    assert monitoring.maxResumeRunAttempts == ours["run_monitoring"]["max_resume_run_attempts"]
    assert monitoring.freeSlotsAfterRunEndSeconds == ours["run_monitoring"]["free_slots_after_run_end_seconds"]
    assert monitoring.startTimeoutSeconds >= ours["run_monitoring"]["start_timeout_seconds"]
    logs = values.computeLogManager.config.customComputeLogManager
    assert set(logs.config) <= set(getattr(importlib.import_module(logs.module), logs.name).config_type())
    assert logs.config["base_dir"].startswith(values.webserver.volumeMounts[0]["mountPath"])


def test_only_the_training_asks_for_a_gpu(text, spec):
    """And there is time for the training to end before its run is, and for the run before it is given up."""
    values = yaml.safe_load(text)
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    deployment["env"] = []
    assert "gpu" not in yaml.safe_dump(values)
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    ends = [
        spec["terminationGracePeriodSeconds"],
        run["terminationGracePeriodSeconds"],
        values["dagsterDaemon"]["runMonitoring"]["cancelTimeoutSeconds"],
    ]
    assert ends == sorted(ends)
    assert ends[0] > 100  # what `PipesSubprocessClient` gives it elsewhere


def test_the_pod_sees_what_the_run_sees(deployment, spec):
    command = [sys.executable, "-m", "booru_pipeline.training.payload", "/srv/booru/home/.staging/x/job.json"]
    pod = build_pod_body("training", None, command, {"DAGSTER_PIPES_CONTEXT": "x"}, None, spec)
    (container,) = pod.spec.containers
    assert container.command == command
    claims = {v.name: v.persistent_volume_claim.claim_name for v in pod.spec.volumes if v.persistent_volume_claim}
    mounted = {(claims[m.name], m.mount_path, m.sub_path) for m in container.volume_mounts if m.name in claims}
    run_claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in deployment.volumes}
    assert mounted == {(run_claims[m["name"]], m["mountPath"], m.get("subPath")) for m in deployment.volumeMounts}
    assert pod.spec.restart_policy == "Never"
    variables = {variable.name: variable.value for variable in container.env}
    assert variables["TMPDIR"] == deployment.variables["TMPDIR"]
    assert variables["TMPDIR"] in {mount for _, mount, _ in mounted}
    assert pod.spec.security_context.run_as_user == deployment.podSecurityContext["runAsUser"]
    assert pod.spec.security_context.fs_group == deployment.podSecurityContext["fsGroup"]


def test_the_graph_on_a_cluster_trains_in_the_pod(deployment, tmp_path):
    """Loaded as the code server does, by the module that the values name."""
    program = (
        f"from {deployment.codeServerArgs[1]} import TrainingPod, defs;"
        "assert isinstance(defs.resources['pipes'], TrainingPod);"
        "print(sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()))"
    )
    environment = {
        **deployment.variables,
        "PATH": str(Path(sys.executable).parent),
        "BOORU_RAW": str(tmp_path),
        "BOORU_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "checkpoint" in done.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not hold the spec"),
        ("containers: [", "is no YAML"),
        ("containers: [{image: booru, resource: {}}]", "Unexpected keys in model class V1Container: {'resource'}"),
        ("containers: [{name: training}]", "Must specify image"),
        ("{containers: [{image: a}], restartPolicy: Always}", "restart policy"),
    ],
)
def test_a_bad_spec_is_refused_with_a_remedy(content, message, monkeypatch, deployment):
    monkeypatch.setenv("BOORU_TRAINING_POD", deployment.variables["BOORU_TRAINING_POD"])
    from booru_pipeline.cluster import TrainingPod

    if content is None:
        monkeypatch.delenv("BOORU_TRAINING_POD")
    else:
        monkeypatch.setenv("BOORU_TRAINING_POD", content)
    with pytest.raises(BooruError, match="Helm values") as raised:
        TrainingPod.from_environment()
    assert message in str(raised.value)
