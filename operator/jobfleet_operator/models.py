"""The two resources as pydantic models: what a user may write and what the operator reports.

The models are the one source of the CRDs: `crd.py` turns them into structural schemas, the
descriptions become `kubectl explain`, the bounds become rules that refuse a wrong manifest with a
sentence. Records know nothing: no client, no decision is made here.

Two kinds of remark in `json_schema_extra` steer the CRD:

- `remedy`: said by the API server when the bounds of a field are broken.
- `rules`: further CEL rules of an object or list.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Remarks = dict[str, Any]


def remark(*, remedy: str = "", rules: list[dict[str, str]] | None = None) -> Remarks:
    """Remarks for the CRD beside a field or a model; see the module's docstring."""
    return ({"remedy": remedy} if remedy else {}) | ({"rules": rules} if rules else {})


def rule(cel: str, message: str) -> dict[str, str]:
    """A CEL rule, and the sentence that the API server says when it does not hold."""
    return {"rule": cel, "message": message}


class Part(BaseModel):
    """Base of all parts: camelCase outside, unknown fields ignored, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


NAME_PATTERN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
ObjectName = Annotated[str, Field(max_length=63)]


# --- JobQueue -------------------------------------------------------------------------------------


class SecretKey(Part):
    """One key of a Secret in the namespace of the JobQueue."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")
    key: str = Field(default="url", min_length=1, max_length=253, description="Key whose value is the Redis URL.")


class RedisConnection(Part):
    """Where the queue lives."""

    url_secret_ref: SecretKey = Field(
        description="Secret that holds the Redis URL, such as `redis://:password@redis.shop:6379/0`."
    )


class Kept(Part):
    """How much of one kind of ended jobs Redis keeps: whichever limit is reached first."""

    count: int = Field(
        default=1000,
        ge=0,
        le=10_000_000,
        description="Keep at most this many, the newest. 0 keeps none.",
        json_schema_extra=remark(remedy="a count of kept jobs; 0 keeps none"),
    )
    age_seconds: int = Field(
        default=86_400,
        ge=0,
        le=315_360_000,
        description="Keep them for at most this many seconds after they ended. 0 keeps none.",
        json_schema_extra=remark(remedy="an age in seconds; 0 keeps none"),
    )


class KeptFailed(Kept):
    """How much of the failed jobs Redis keeps: whichever limit is reached first."""

    count: int = Field(
        default=10_000,
        ge=0,
        le=10_000_000,
        description="Keep at most this many, the newest. 0 keeps none.",
        json_schema_extra=remark(remedy="a count of kept jobs; 0 keeps none"),
    )
    age_seconds: int = Field(
        default=2_592_000,
        ge=0,
        le=315_360_000,
        description="Keep them for at most this many seconds after they failed. 0 keeps none.",
        json_schema_extra=remark(remedy="an age in seconds; 0 keeps none"),
    )


class Retention(Part):
    """What Redis keeps of jobs that ended."""

    completed: Kept = Field(
        default_factory=Kept, description="Completed jobs, with their results: 1,000 for a day by default."
    )
    failed: KeptFailed = Field(
        default_factory=KeptFailed,
        description="Failed jobs, to inspect and retry: 10,000 for 30 days by default.",
    )


class JobQueueSpec(Part):
    """What the queue promises its jobs. All fields have defaults: `spec: {}` is a working queue."""

    model_config = ConfigDict(
        json_schema_extra=remark(
            rules=[
                rule(
                    "has(self.redis) == has(oldSelf.redis) && (!has(self.redis) || self.redis == oldSelf.redis)",
                    "spec.redis cannot be changed, because the jobs would stay behind in the old Redis: "
                    "make a JobQueue with another name, or delete this one first",
                )
            ]
        )
    )

    paused: bool = Field(
        default=False,
        description="While true, jobs are accepted but none is started; running jobs finish. "
        "Paused backlog does not make a fleet grow.",
    )
    max_deliveries: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How many workers may die while they run the same job before it is failed as poison. "
        "Ordinary errors are retried by the job's own `attempts` and do not count here.",
        json_schema_extra=remark(remedy="the number of workers that may die on a job before it is failed"),
    )
    max_job_bytes: int = Field(
        default=262_144,
        ge=1024,
        le=16_777_216,
        description="Largest job that is accepted, in bytes of its encoded arguments. "
        "Put bigger things in an object store and enqueue their names.",
        json_schema_extra=remark(
            remedy="a size in bytes; put bigger things in an object store and enqueue their names"
        ),
    )
    retention: Retention = Field(
        default_factory=Retention,
        description="What Redis keeps of jobs that ended, by count and by age.",
    )
    deletion_policy: Literal["Retain", "Purge"] = Field(
        default="Retain",
        description="What becomes of the jobs when this resource is deleted. Retain: they stay in Redis "
        "and a JobQueue of the same name finds them again. Purge: the operator deletes them, if it runs "
        "at that moment.",
    )
    redis: RedisConnection | None = Field(
        default=None,
        description="The Redis of this queue. Without it the queue lives in the operator's own Redis. "
        "Cannot be changed later.",
    )


# --- WorkerPool -----------------------------------------------------------------------------------


class ScaleUp(Part):
    """How eagerly the pool grows."""

    stabilization_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="Grow only to what was wanted throughout this many seconds. 0 grows at once.",
        json_schema_extra=remark(remedy="a time in seconds; 0 grows at once"),
    )
    percent_per_step: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Grow by at most this share of the present size in one step, and by at least one worker. "
        "Without it the pool grows to its full need in one step, also from zero.",
        json_schema_extra=remark(remedy="a share of the present size in percent; leave it out for one step"),
    )


class ScaleDown(Part):
    """How carefully the pool shrinks. One rule for every step, N to 1 and 1 to 0 alike."""

    stabilization_seconds: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="Shrink only to the largest size that was wanted within this many seconds.",
        json_schema_extra=remark(remedy="a time in seconds; 0 shrinks at once"),
    )
    percent_per_step: int = Field(
        default=25,
        ge=1,
        le=100,
        description="Shrink by at most this share of the present size in one step, and by at least one worker.",
        json_schema_extra=remark(remedy="a share of the present size in percent; 100 shrinks in one step"),
    )
    period_seconds: int = Field(
        default=5,
        ge=1,
        le=3600,
        description="Time between two steps down, in seconds.",
        json_schema_extra=remark(remedy="the time between two steps in seconds"),
    )


class CalendarFloor(Part):
    """A time at which the pool has at least so many workers, whatever its backlog."""

    schedule: str = Field(
        min_length=9,
        max_length=100,
        description="When it begins, as a cron expression of five fields: minute, hour, day, month, weekday.",
    )
    time_zone: str = Field(
        default="UTC", max_length=64, description="Time zone of the schedule, such as Europe/Berlin."
    )
    duration_minutes: int = Field(
        ge=1,
        le=10_080,
        description="How long it holds from each beginning, in minutes.",
        json_schema_extra=remark(remedy="how long the floor holds, in minutes; a week at most"),
    )
    min_replicas: int = Field(
        ge=1,
        le=10_000,
        description="Workers that the pool has at least while it holds, up to spec.maxReplicas.",
        json_schema_extra=remark(remedy="the smallest number of workers while it holds"),
    )


class Scaling(Part):
    """How the size of the pool follows its backlog."""

    backlog_per_worker: int = Field(
        default=20,
        ge=1,
        le=1_000_000,
        description="How many jobs (waiting, running or due) one worker is expected to carry. The pool wants "
        "`backlog / backlogPerWorker` workers, rounded up, and never fewer than its running jobs fill.",
        json_schema_extra=remark(remedy="the number of jobs that one worker is expected to carry"),
    )
    drain_within_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="Want as many workers as get the waiting jobs done within this many seconds and keep up with "
        "new ones, by the measured run time of the jobs and rate of arrivals. Takes the place of backlogPerWorker "
        "as soon as a run time has been measured.",
        json_schema_extra=remark(remedy="the time in seconds within which waiting jobs should be done"),
    )
    max_age_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="Grow by half, again every 15 seconds, while a job has waited for longer than this many seconds, "
        "beyond what the other rules want; and do not shrink meanwhile.",
        json_schema_extra=remark(remedy="the time in seconds that no job should wait for longer"),
    )
    tolerance_percent: int = Field(
        default=10,
        ge=0,
        le=50,
        description="Leave the size alone while the backlog per worker is within this many percent of its target.",
        json_schema_extra=remark(remedy="a deviation in percent that is left alone"),
    )
    floors: list[CalendarFloor] = Field(
        default_factory=list,
        max_length=16,
        description="Times at which the pool has at least so many workers. Of several the largest counts.",
    )
    scale_up: ScaleUp = Field(default_factory=ScaleUp, description="How eagerly the pool grows.")
    scale_down: ScaleDown = Field(
        default_factory=ScaleDown,
        description="How carefully the pool shrinks. Workers with running jobs are never removed for it.",
    )


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
        description="How long a worker that is told to stop may finish its running jobs, in seconds; "
        "what is left then goes back to the queue unfailed. The Pod's grace period is made to fit.",
        json_schema_extra=remark(
            remedy="a time in seconds; jobs that run longer go back to the queue, and another worker runs them"
        ),
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


# --- Status ---------------------------------------------------------------------------------------


class Condition(Part):
    """One observation about the resource, after the conventions of Kubernetes."""

    type: str = Field(description="What is said something about, such as Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(description="Why, as one CamelCase word.")
    message: str = Field(description="Why, as a sentence for people.")
    observed_generation: int | None = Field(
        default=None, description="metadata.generation of the resource that this was said about."
    )
    last_transition_time: str = Field(
        description="When status changed last.", json_schema_extra={"format": "date-time"}
    )


CONDITIONS: Remarks = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
}


class JobQueueStatus(Part):
    """What the operator saw last. Numbers are written when they changed enough to matter."""

    observed_generation: int | None = Field(default=None, description="metadata.generation that this status is about.")
    health: str | None = Field(
        default=None,
        description="Healthy, Paused, Starting, Backlogged, NoWorkers, Unreachable or Invalid; the conditions say why.",
    )
    waiting: int | None = Field(default=None, description="Jobs that are ready to be started.")
    active: int | None = Field(default=None, description="Jobs that a worker holds now.")
    delayed: int | None = Field(default=None, description="Jobs that become ready later.")
    failed: int | None = Field(default=None, description="Failed jobs that are kept.")
    oldest_job_time: str | None = Field(
        default=None,
        description="When the oldest waiting job became ready.",
        json_schema_extra={"format": "date-time"},
    )
    rate: str | None = Field(default=None, description="Jobs completed per second or minute, for people.")
    workers: str | None = Field(default=None, description="Live workers / wanted workers, for people.")
    conditions: list[Condition] = Field(
        default_factory=list, description="Ready and more, with reasons.", json_schema_extra=CONDITIONS
    )


class LastDecision(Part):
    """The last change of the wanted size: enough to replay it."""

    number: int = Field(description="Rises with every decision about this pool.")
    term: int = Field(default=0, description="How often the acting operator had changed when it was decided.")
    time: str = Field(description="When it was decided.", json_schema_extra={"format": "date-time"})
    from_replicas: int = Field(description="Wanted workers before.")
    to_replicas: int = Field(description="Wanted workers after.")
    reasons: list[str] = Field(default_factory=list, description="Why, step by step.")
    backlog: int = Field(description="Input: jobs waiting, running or due.")
    busy_slots: int = Field(description="Input: jobs that the pool's workers held.")
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
    floor: int = Field(default=0, description="Input: the largest of spec.scaling.floors that held.")


class WorkerPoolStatus(Part):
    """What the operator saw and decided last."""

    observed_generation: int | None = Field(default=None, description="metadata.generation that this status is about.")
    desired_replicas: int | None = Field(default=None, description="Workers that the pool should have now.")
    replicas: int | None = Field(default=None, description="Worker Pods that exist.")
    ready_replicas: int | None = Field(default=None, description="Worker Pods that are ready.")
    busy_workers: int | None = Field(default=None, description="Workers that hold at least one job.")
    reason: str | None = Field(default=None, description="Why the pool has this size, in a few words.")
    selector: str | None = Field(default=None, description="Label selector of the Pods, for the scale subresource.")
    deployment_generation: int | None = Field(
        default=None,
        description="metadata.generation of the Deployment as the operator left it; "
        "a higher one there means that somebody else changed it.",
    )
    last_decision: LastDecision | None = Field(
        default=None, description="The last change of the wanted size, with its inputs."
    )
    conditions: list[Condition] = Field(
        default_factory=list, description="Ready and more, with reasons.", json_schema_extra=CONDITIONS
    )
