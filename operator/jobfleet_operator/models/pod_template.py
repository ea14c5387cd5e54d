"""The Pod template of a `WorkerPool`, as far as rules look at it."""

from typing import Annotated

from pydantic import ConfigDict, Field

from jobfleet_operator.models.parts import Part, Remarks, remark, rule

OPEN: Remarks = {"x-kubernetes-preserve-unknown-fields": True}
LEFT_OUT: Remarks = {"nullable": True}
"""What stands there without a value counts as left out, as in a Deployment."""
Text = Annotated[str | None, Field(json_schema_extra=LEFT_OUT)]


class Anything(Part):
    """An object that is kept as written."""

    model_config = ConfigDict(json_schema_extra=OPEN)


class Variable(Part):
    """A variable of a container's environment."""

    model_config = ConfigDict(json_schema_extra=OPEN)

    name: str | None = Field(default=None, description="Its name.")
    value: str | None = Field(
        default=None, description="Its value, a text: a number or true stands in quotes.", json_schema_extra=LEFT_OUT
    )


class Container(Part):
    """What a rule looks at or the operator adds to in a container; everything else is kept as written."""

    model_config = ConfigDict(json_schema_extra=OPEN)

    name: str | None = Field(default=None, max_length=63, description="Name of the container.")
    image: str | None = Field(default=None, max_length=1024, description="Image of the container.")
    env: list[Variable] | None = Field(
        default=None, description="Its environment; JOBFLEET_* are added.", json_schema_extra=LEFT_OUT
    )
    env_from: list[Anything] | None = Field(
        default=None,
        description="Where more of its environment comes from; the Secret of the first queue is added.",
        json_schema_extra=LEFT_OUT,
    )
    security_context: Anything | None = Field(
        default=None,
        description="What it may do; what the Pod Security level `restricted` asks for is added where nothing is said.",
        json_schema_extra=LEFT_OUT,
    )


class PodSpec(Part):
    """What a rule looks at or the operator adds to in a Pod's spec; everything else is kept as written."""

    model_config = ConfigDict(json_schema_extra=OPEN)

    init_containers: list[Container] | None = Field(
        default=None, description="Containers that run before the others.", json_schema_extra=LEFT_OUT
    )
    security_context: Anything | None = Field(
        default=None,
        description="What all containers may do; what the Pod Security level `restricted` asks for is added where "
        "nothing is said.",
        json_schema_extra=LEFT_OUT,
    )
    termination_grace_period_seconds: int | None = Field(
        default=None,
        strict=True,
        description="How long the Pod may take to end, in seconds; spec.drainSeconds and 15 at least.",
        json_schema_extra=LEFT_OUT,
    )
    containers: list[Container] = Field(
        default_factory=list,
        max_length=16,
        description="Containers of the worker Pod. The one named `worker`, else the first, runs "
        "`jobfleet worker module:fleet` and gets JOBFLEET_* variables, probes and safe defaults injected.",
    )
    restart_policy: str | None = Field(
        default=None, max_length=32, description="Always, or left out: workers are restarted when they end."
    )


class PodMetadata(Part):
    """What the Pods are to be found by."""

    model_config = ConfigDict(json_schema_extra=OPEN)

    labels: dict[str, Text] | None = Field(
        default=None, description="Labels; those of jobfleet are added.", json_schema_extra=LEFT_OUT
    )
    annotations: dict[str, Text] | None = Field(
        default=None, description="Annotations; those of jobfleet are added.", json_schema_extra=LEFT_OUT
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
        | OPEN
    )

    metadata: PodMetadata | None = Field(
        default=None,
        description="Labels and annotations of the Pods; those of jobfleet are added.",
        json_schema_extra=LEFT_OUT,
    )
    spec: PodSpec | None = Field(default=None, description="Spec of the Pods, as in a Deployment.")
