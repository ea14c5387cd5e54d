"""The Pod template of a `WorkerPool`, as far as rules look at it."""

from typing import Any

from pydantic import ConfigDict, Field

from jobfleet_operator.models.parts import Part, remark, rule


class Container(Part):
    """The little of a container that a rule can look at; everything else is kept as written."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    name: str | None = Field(default=None, max_length=63, description="Name of the container.")
    image: str | None = Field(default=None, max_length=1024, description="Image of the container.")


class PodSpec(Part):
    """The little of a Pod's spec that a rule can look at; everything else is kept as written."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    containers: list[Container] = Field(
        default_factory=list,
        max_length=16,
        description="Containers of the worker Pod. The one named `worker`, else the first, runs "
        "`jobfleet worker module:fleet` and gets JOBFLEET_* variables, probes and safe defaults injected.",
    )
    restart_policy: str | None = Field(
        default=None, max_length=32, description="Always, or left out: workers are restarted when they end."
    )


class PodTemplate(Part):
    """A PodTemplateSpec, as in a Deployment."""

    model_config = ConfigDict(
        json_schema_extra=remark(
            rules=[
                rule(
                    "!has(self.spec) || !has(self.spec.containers) || "
                    "self.spec.containers.all(c, has(c.name) && size(c.name) > 0)",
                    "spec.template.spec.containers has a container without a name: "
                    "give each one a name, such as `worker`",
                ),
                rule(
                    "!has(self.spec) || !has(self.spec.containers) || "
                    "self.spec.containers.all(c, has(c.image) && size(c.image) > 0)",
                    "spec.template.spec.containers has a container without an image: name the image to run",
                ),
                rule(
                    "!has(self.spec) || !has(self.spec.restartPolicy) || self.spec.restartPolicy == 'Always'",
                    "spec.template.spec.restartPolicy must be Always or left out: "
                    "a worker runs until it is told to stop, and is restarted when it ends",
                ),
            ]
        )
        | {"x-kubernetes-preserve-unknown-fields": True}
    )

    metadata: dict[str, Any] | None = Field(
        default=None,
        description="Labels and annotations of the Pods; those of jobfleet are added.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    spec: PodSpec | None = Field(default=None, description="Spec of the Pods, as in a Deployment.")
