"""The code location on Kubernetes: the same graph, but a training runs in a pod of its own, the only one with a GPU."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg
import yaml
from dagster_k8s import PipesK8sClient
from dagster_k8s.pipes import build_pod_body

from booru_pipeline.defs.build import build_defs
from booru_pipeline.errors import BooruError

POD_VARIABLE: Final = "BOORU_TRAINING_POD"


class TrainingPod(dg.PipesClient):
    """Starts the training payload in a pod, and stands where else the client stands that starts a child process.

    The pod gets the same command, so its image must have the same layout, and the home must be mounted under the same
    path. The payload's messages come back in the pod's log. A cancelled run deletes the pod, and the payload then has
    `terminationGracePeriodSeconds` to write its state.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        """Take the pod's spec, without the command.

        Raises:
            BooruError: Kubernetes would not take it.
        """
        try:
            build_pod_body("training", None, None, {}, None, spec)
        except Exception as error:  # dagster-k8s raises plain ones
            raise BooruError(
                f"{POD_VARIABLE} is no spec of a pod with one container and an image: {error}. "
                "Correct it in the Helm values, where deploy/kubernetes/values.yaml has an example."
            ) from error
        self._spec = spec
        self._client = PipesK8sClient()

    @classmethod
    def from_environment(cls) -> "TrainingPod":
        """The pod that `BOORU_TRAINING_POD` describes, as YAML.

        Raises:
            BooruError: The variable is not set or cannot be read.
        """
        try:
            spec = yaml.safe_load(os.environ.get(POD_VARIABLE, ""))
        except yaml.YAMLError as error:
            raise BooruError(f"{POD_VARIABLE} is no YAML: {error}. Correct it in the Helm values.") from error
        if not isinstance(spec, dict):
            raise BooruError(
                f"{POD_VARIABLE} does not hold the spec of the training's pod. Set it in the Helm values, or serve "
                "booru_pipeline.definitions, which trains in the run's own process tree."
            )
        return cls(spec)

    def run(
        self,
        *,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        extras: Mapping[str, Any] | None = None,
        command: Sequence[str] = (),
        **_: Any,
    ) -> dg.PipesClientCompletedInvocation:
        """Run the command in the pod, to its end."""
        return self._client.run(
            context=context,
            extras=dict(extras) if extras else None,
            command=list(command),
            base_pod_spec=self._spec,
            pod_wait_timeout=0,  # the training has a time limit of its own
        )


defs = build_defs(resources={"pipes": TrainingPod.from_environment()})
