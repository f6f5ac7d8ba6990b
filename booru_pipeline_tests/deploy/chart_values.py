"""What of the Dagster chart's values `deploy/kubernetes/values.yaml` sets, after the chart's own schema.

A key that the chart does not have is an error, as is one of another type. Parts that are Kubernetes' own are left as
they are here: the tests parse them with Kubernetes' models.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Image(_Part):
    repository: str
    tag: str
    pullPolicy: Literal["Always", "IfNotPresent", "Never"]


class Global(_Part):
    postgresqlSecretName: str


class PostgresService(_Part):
    port: int


class Postgres(_Part):
    enabled: bool
    postgresqlScheme: str
    postgresqlHost: str
    postgresqlUsername: str
    postgresqlDatabase: str
    service: PostgresService


class Variable(_Part):
    name: str
    value: str


class IncludeConfig(_Part):
    enabled: bool


class UserDeployment(_Part):
    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")  # it becomes the name of a service
    image: Image
    codeServerArgs: list[str]
    port: int
    includeConfigInLaunchedRuns: IncludeConfig
    env: list[Variable]
    podSecurityContext: dict[str, Any]
    resources: dict[str, Any]
    volumeMounts: list[dict[str, Any]]
    volumes: list[dict[str, Any]]

    @property
    def variables(self) -> dict[str, str]:
        return {variable.name: variable.value for variable in self.env}


class UserDeployments(_Part):
    enabled: bool
    enableSubchart: bool
    deployments: list[UserDeployment]


class RunConfig(_Part):
    podSpecConfig: dict[str, Any]
    jobSpecConfig: dict[str, Any]


class RunLauncherOptions(_Part):
    runK8sConfig: RunConfig


class RunLauncherConfig(_Part):
    k8sRunLauncher: RunLauncherOptions


class RunLauncher(_Part):
    type: Literal["K8sRunLauncher"]
    config: RunLauncherConfig


class Pools(_Part):
    defaultLimit: int
    granularity: Literal["run", "op"]


class TagConcurrencyLimit(_Part):
    key: str
    value: str | dict[str, Any] | None = None
    limit: int


class Runs(_Part):
    maxConcurrentRuns: int
    tagConcurrencyLimits: list[TagConcurrencyLimit]


class Concurrency(_Part):
    enabled: bool
    pools: Pools
    runs: Runs


class Telemetry(_Part):
    enabled: bool


class LogManager(_Part):
    module: str
    name: str = Field(alias="class")
    config: dict[str, Any]


class LogManagerConfig(_Part):
    customComputeLogManager: LogManager


class ComputeLogManager(_Part):
    type: Literal["CustomComputeLogManager"]
    config: LogManagerConfig


class Service(_Part):
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"]
    port: int


class Webserver(_Part):
    image: Image
    service: Service
    readinessProbe: dict[str, Any]
    podSecurityContext: dict[str, Any]
    volumeMounts: list[dict[str, Any]]
    volumes: list[dict[str, Any]]


class QueueConfig(_Part):
    queuedRunCoordinator: dict[str, Any] = Field(max_length=0)  # the chart refuses limits here and in `concurrency`


class RunCoordinator(_Part):
    enabled: Literal[True]
    type: Literal["QueuedRunCoordinator"]
    config: QueueConfig


class RunMonitoring(_Part):
    enabled: bool
    startTimeoutSeconds: int
    cancelTimeoutSeconds: int
    maxResumeRunAttempts: int
    pollIntervalSeconds: int
    freeSlotsAfterRunEndSeconds: int


class Daemon(_Part):
    image: Image
    podSecurityContext: dict[str, Any]
    runCoordinator: RunCoordinator
    runMonitoring: RunMonitoring


class ChartValues(_Part):
    """The whole file."""

    cluster: Global = Field(alias="global")
    generatePostgresqlPasswordSecret: Literal[False]
    postgresql: Postgres
    user_deployments: UserDeployments = Field(alias="dagster-user-deployments")
    runLauncher: RunLauncher
    concurrency: Concurrency
    telemetry: Telemetry
    computeLogManager: ComputeLogManager
    webserver: Webserver = Field(alias="dagsterWebserver")
    daemon: Daemon = Field(alias="dagsterDaemon")
