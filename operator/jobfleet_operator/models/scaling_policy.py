"""How the size of a pool follows its backlog: `spec.scaling` of a `WorkerPool`."""

from pydantic import Field

from jobfleet_operator.models.parts import Part, remark, rule


class ScaleUp(Part):
    """How eagerly the pool grows."""

    stabilization_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="Grow only to what was wanted throughout this many seconds, also after a restart of the operator. "
        "0 grows at once, and minReplicas and floors never wait.",
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
        max_length=100,
        description="When it begins, as a cron expression of five fields: minute, hour, day, month, weekday.",
        json_schema_extra=remark(
            rules=[
                rule(
                    r"self.matches(r'^\s*\S+(\s+\S+){4}\s*$')",
                    "a schedule of spec.scaling.floors has five fields: minute, hour, day, month, weekday, "
                    "as in 0 8 * * 1-5",
                )
            ]
        ),
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


class Fallback(Part):
    """How many workers there are at least while the backlog cannot be read."""

    workers: int = Field(
        ge=1,
        le=10_000,
        description="Workers that the pool has at least while the backlog cannot be read, up to spec.maxReplicas.",
        json_schema_extra=remark(remedy="the smallest number of workers while the backlog cannot be read"),
    )
    after_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="It holds when the backlog has not been readable for this many seconds.",
        json_schema_extra=remark(remedy="a time in seconds; until it is over the size is held"),
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
    fallback: Fallback | None = Field(
        default=None,
        description="How many workers to have at least while Redis cannot be read. It only raises the size. Without "
        "it the size is held as it is.",
    )
    weight: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Where the operator has quotas of workers and pools want more than there are: a pool of weight 2 "
        "gets twice as many as one of weight 1. minReplicas come first.",
        json_schema_extra=remark(remedy="the pool's part of a quota that is short, beside other pools' weights"),
    )
    scale_up: ScaleUp = Field(default_factory=ScaleUp, description="How eagerly the pool grows.")
    scale_down: ScaleDown = Field(
        default_factory=ScaleDown,
        description="How carefully the pool shrinks. Workers with running jobs are never removed for it.",
    )
