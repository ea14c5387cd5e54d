"""`WorkerPool`: what a user may write about a fleet, and what the operator reports and decides of it."""

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema, field_validator

from jobfleet_operator.models.parts import CONDITIONS, NAME_PATTERN, Condition, ObjectName, Part, remark, rule
from jobfleet_operator.models.pod_template import PodTemplate
from jobfleet_operator.models.scaling_policy import Scaling

SURGE_PATTERN = "^([1-9][0-9]?|100)%$"


class Rollout(Part):
    """How workers with a changed template take over from those before."""

    max_surge: Annotated[int | str, WithJsonSchema({"x-kubernetes-int-or-string": True})] = Field(
        default="25%",
        description="So many workers beyond the wanted size there may be while old ones finish their jobs: a number, "
        "or a percentage of that size, rounded up. When it is used up and all old workers are busy, the roll-out "
        "waits; each that has finished makes room for a new one. 100% makes a whole new fleet at once. It does not "
        "hold in mode Recommend.",
        json_schema_extra=remark(
            rules=[
                rule(
                    f"type(self) == int ? self >= 1 && self <= 10000 : self.matches('{SURGE_PATTERN}')",
                    "spec.rollout.maxSurge must be a number from 1 to 10000 or a percentage from 1% to 100%: without "
                    "one worker more, a roll-out would wait for ever while all old workers are busy",
                )
            ]
        ),
    )

    @field_validator("max_surge")
    @classmethod
    def _possible(cls, given: int | str) -> int | str:
        if given < 1 if isinstance(given, int) else not re.match(SURGE_PATTERN, given):
            msg = "it must be a number of workers, at least 1, or a percentage from 1% to 100%"
            raise ValueError(msg)
        return given


class WorkerPoolSpec(Part):
    """The fleet: which queues it works on, how far it may grow, and what its Pods look like."""

    model_config = ConfigDict(
        json_schema_extra=remark(
            rules=[
                rule(
                    "self.minReplicas <= self.maxReplicas",
                    "spec.minReplicas is greater than spec.maxReplicas: lower minReplicas or raise maxReplicas",
                ),
                rule(
                    "has(self.queues) && size(self.queues) > 0",
                    "spec.queues is empty: name at least one JobQueue of this namespace",
                ),
                rule(
                    "has(self.template) && has(self.template.spec) && "
                    "has(self.template.spec.containers) && size(self.template.spec.containers) > 0",
                    "spec.template.spec.containers is empty: give the Pod one container "
                    "that runs `jobfleet worker module:fleet`",
                ),
            ]
        )
    )

    queues: list[ObjectName] = Field(
        default_factory=list,
        max_length=16,
        description="Names of the JobQueues in this namespace that the workers take jobs from. "
        "All of them must live in the same Redis.",
        json_schema_extra=remark(
            rules=[
                rule(
                    f"self.all(name, name.matches('{NAME_PATTERN}'))",
                    "spec.queues names something that cannot be a JobQueue: "
                    "a name has lower-case letters, digits and inner hyphens only",
                ),
                rule(
                    "self.all(name, self.exists_one(other, other == name))",
                    "spec.queues names a JobQueue twice: list each one once",
                ),
            ]
        ),
    )
    min_replicas: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="The pool never has fewer workers than this. 0 lets it vanish while there is no work. "
        "`kubectl scale workerpool/NAME --replicas=N` sets this floor.",
        json_schema_extra=remark(remedy="the smallest number of workers; 0 lets the pool vanish without work"),
    )
    max_replicas: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="The pool never grows beyond this many workers.",
        json_schema_extra=remark(
            remedy="the largest number of workers; to stop the work, set spec.paused on the JobQueue"
        ),
    )
    concurrency: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Slots of a worker: how many jobs one Pod runs at the same time.",
        json_schema_extra=remark(remedy="the number of jobs that a worker runs at the same time"),
    )
    drain_seconds: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="How long a worker that is told to stop (its node is drained, its Pod deleted) may finish its "
        "running jobs, in seconds; what is left then goes back to the queue unfailed. Set it to the longest "
        "`timeout` of the jobs in spec.queues. The Pod's grace period is 15 seconds longer, or what the template says "
        "if that is more. "
        "Scaling and roll-outs wait for jobs however long they take.",
        json_schema_extra=remark(
            remedy="a time in seconds; jobs that run longer go back to the queue, and another worker runs them"
        ),
    )
    disruption_percent: int = Field(
        default=25,
        ge=1,
        le=100,
        description="So many of the workers, in percent and rounded up, may be evicted at the same time when nodes are "
        "drained; a PodDisruptionBudget holds it. It lets everything go while workers cannot start, so that no node "
        "drain waits for ever. 100: no PodDisruptionBudget, for instance because you have one of your own.",
        json_schema_extra=remark(remedy="a share in percent; 100 is without a PodDisruptionBudget"),
    )
    rollout: Rollout = Field(
        default_factory=Rollout, description="How workers with a changed template take over from those before."
    )
    mode: Literal["Auto", "Recommend"] = Field(
        default="Auto",
        description="Auto: the pool is brought to the size that is decided. Recommend: the size is decided and told "
        "in status and Events, and not set: a new Deployment gets minReplicas, and its replicas are yours then.",
    )
    scaling: Scaling = Field(default_factory=Scaling, description="How the size of the pool follows its backlog.")
    template: PodTemplate = Field(
        default_factory=PodTemplate,
        description="Template of the worker Pods, as in a Deployment. jobfleet adds the queue, the "
        "connection, the identity, probes, grace period, and a restricted security context where none is given.",
    )


class LastDecision(Part):
    """The last change of the wanted size: enough to replay it."""

    number: int = Field(description="Rises with every decision about this pool.")
    term: int = Field(default=0, description="How often the acting operator had changed when it was decided.")
    time: str = Field(description="When it was decided.", json_schema_extra={"format": "date-time"})
    from_replicas: int = Field(description="Wanted workers before.")
    to_replicas: int = Field(description="Wanted workers after.")
    reasons: list[str] = Field(default_factory=list, description="Why, step by step.")
    backlog: int | None = Field(
        default=None, description="Input: jobs waiting, running or due. Not there: they were not known."
    )
    busy_slots: int = Field(default=0, description="Input: jobs that the pool's workers held.")
    min_replicas: int = Field(description="Input: spec.minReplicas.")
    max_replicas: int = Field(description="Input: spec.maxReplicas.")
    backlog_per_worker: int = Field(description="Input: spec.scaling.backlogPerWorker.")
    concurrency: int = Field(description="Input: spec.concurrency.")
    tolerance_percent: int = Field(default=10, description="Input: spec.scaling.tolerancePercent.")
    drain_within_seconds: int | None = Field(default=None, description="Input: spec.scaling.drainWithinSeconds.")
    max_age_seconds: int | None = Field(default=None, description="Input: spec.scaling.maxAgeSeconds.")
    waiting: int = Field(default=0, description="Input: jobs of the backlog that no worker held.")
    service_ms: int | None = Field(default=None, description="Input: mean run time of a job in milliseconds.")
    arrivals_per_minute: int = Field(default=0, description="Input: jobs that came in a minute.")
    oldest_seconds: int = Field(default=0, description="Input: how long the oldest waiting job had waited.")
    aged_seconds: int | None = Field(
        default=None,
        description="Input: seconds since the pool had last grown because a job had waited for too long. Not there: "
        "it had not, as far as was remembered.",
    )
    floor: int = Field(default=0, description="Input: the largest of spec.scaling.floors that held.")
    fallback: int | None = Field(
        default=None,
        description="Input: spec.scaling.fallback.workers, where the backlog had not been known for long enough.",
    )
    upcoming: int = Field(default=0, description="Input: delayed jobs due before a worker could have started.")
    behind_circuit: int = Field(
        default=0, description="Input: waiting jobs that open circuits hold back; they do not count in the backlog."
    )
    start_seconds: int = Field(default=0, description="Input: how long a worker of this pool takes to start.")
    limit: int | None = Field(
        default=None, description="Input: workers that a quota, broken Pods, or limits of the queues allowed."
    )
    limit_reason: str | None = Field(default=None, description="Input: what that limit was.")


class WorkerPoolStatus(Part):
    """What the operator saw and decided last."""

    observed_generation: int | None = Field(default=None, description="metadata.generation that this status is about.")
    desired_replicas: int | None = Field(default=None, description="Workers that the pool should have now.")
    replicas: int | None = Field(default=None, description="Worker Pods that exist.")
    ready_replicas: int | None = Field(default=None, description="Worker Pods that are ready.")
    busy_workers: int | None = Field(default=None, description="Workers that hold at least one job.")
    start_seconds: int | None = Field(
        default=None,
        description="How long the pool's workers took to start lately, the slowest of the last five. So long before "
        "delayed jobs fall due, workers are started for them.",
    )
    reason: str | None = Field(default=None, description="Why the pool has this size, in a few words.")
    selector: str | None = Field(default=None, description="Label selector of the Pods, for the scale subresource.")
    deployment_generation: int | None = Field(
        default=None,
        description="metadata.generation of the Deployment as the operator left it; "
        "a higher one there means that somebody else changed it.",
    )
    disruption_percent: int | None = Field(
        default=None, description="Share of the workers that may be evicted at a time at present, in percent."
    )
    last_decision: LastDecision | None = Field(
        default=None, description="The last change of the wanted size, with its inputs."
    )
    conditions: list[Condition] = Field(
        default_factory=list, description="Ready and more, with reasons.", json_schema_extra=CONDITIONS
    )
