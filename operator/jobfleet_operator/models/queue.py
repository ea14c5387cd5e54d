"""`JobQueue`: what a user may write about a queue, and what the operator reports of it."""

from typing import Literal

from pydantic import ConfigDict, Field

from jobfleet_operator.models.circuit_breaker import CircuitBreaker
from jobfleet_operator.models.parts import (
    CONDITIONS,
    NAME_PATTERN,
    SUBDOMAIN_PATTERN,
    Condition,
    ObjectName,
    Part,
    remark,
    rule,
)
from jobfleet_operator.models.queue_limits import QueueLimits


class SecretKey(Part):
    """One key of a Secret in the namespace of the JobQueue."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Name of the Secret, in the namespace of the JobQueue.",
        json_schema_extra=remark(
            rules=[
                rule(
                    f"self.matches('{SUBDOMAIN_PATTERN}')",
                    "spec.redis.urlSecretRef.name cannot be the name of a Secret: "
                    "a name has lower-case letters, digits, and inner hyphens and dots only",
                )
            ]
        ),
    )
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
    """What Redis keeps of jobs that ended, and of what was done to the queue."""

    completed: Kept = Field(
        default_factory=Kept, description="Completed jobs, with their results: 1,000 for a day by default."
    )
    failed: KeptFailed = Field(
        default_factory=KeptFailed,
        description="Failed jobs, to inspect and retry: 10,000 for 30 days by default.",
    )
    audit_entries: int = Field(
        default=1_000,
        ge=100,
        le=100_000,
        description="Keep at most this many entries of the queue's audit, the newest: who paused, cancelled, retried, "
        "purged, scaled. It cannot be turned off.",
        json_schema_extra=remark(remedy="a count of kept entries from 100 to 100000"),
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
        description="While true, jobs are accepted but none is started; spec.runningWhenPaused says what running ones "
        "do. Paused backlog does not make a fleet grow.",
    )
    running_when_paused: Literal["Finish", "Return"] = Field(
        default="Finish",
        description="What becomes of running jobs when the queue is paused. Finish: they go on. Return: their handlers "
        "are ended at once and the jobs wait again, unfailed.",
    )
    limits: QueueLimits = Field(
        default_factory=QueueLimits,
        description="What the queue lets through: how many jobs may wait, how many may run, and how fast.",
    )
    circuit_breaker: CircuitBreaker | None = Field(
        default=None,
        description="Stop handing out jobs for a while when too many of them fail; `{}` takes the defaults. Running "
        "jobs go on, and jobs behind an open circuit do not make a fleet grow. Without it failures stop nothing.",
    )
    dead_letter_queue: ObjectName | None = Field(
        default=None,
        description="JobQueue of this namespace, in the same Redis, that gets a copy of each job that fails for good, "
        "with where and why it failed in its metadata. The failed job stays here, too, as spec.retention says.",
        json_schema_extra=remark(
            rules=[
                rule(
                    f"self.matches('{NAME_PATTERN}')",
                    "spec.deadLetterQueue names something that cannot be a JobQueue: "
                    "a name has lower-case letters, digits and inner hyphens only",
                )
            ]
        ),
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
        description="What Redis keeps of jobs that ended, by count and by age, and of what was done to the queue.",
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


class JobQueueStatus(Part):
    """What the operator saw last. Numbers are written when they changed enough to matter."""

    observed_generation: int | None = Field(default=None, description="metadata.generation that this status is about.")
    health: str | None = Field(
        default=None,
        description="Healthy, Degraded, Paused, Starting, Backlogged, NoWorkers, Unreachable or Invalid; the "
        "conditions say why.",
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
    connection: str | None = Field(
        default=None, description="Fingerprint of the connection that the operator wrote into the queue's Secret."
    )
    conditions: list[Condition] = Field(
        default_factory=list, description="Ready and more, with reasons.", json_schema_extra=CONDITIONS
    )
