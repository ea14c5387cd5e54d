"""What a `JobQueue` lets through: how many jobs may wait, how many may run, how fast, and each group."""

from pydantic import Field

from jobfleet_operator.models.parts import Part, remark


class Rate(Part):
    """So many jobs in so much time."""

    count: int = Field(
        ge=1,
        le=1_000_000,
        description="Jobs that are started in that time, with bursts up to the same number.",
        json_schema_extra=remark(remedy="the number of jobs that are started in that time"),
    )
    seconds: int = Field(
        default=1,
        ge=1,
        le=86_400,
        description="The time, in seconds.",
        json_schema_extra=remark(remedy="the time in seconds, a day at most"),
    )


class GroupLimits(Part):
    """What each group of jobs (each tenant) may do, unless the SDK gave it limits of its own."""

    max_active: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Jobs of one group that run at a time, on all workers together. Without it there is no limit.",
        json_schema_extra=remark(remedy="the jobs of one group that run at a time; leave it out for no limit"),
    )
    rate: Rate | None = Field(default=None, description="How fast jobs of one group are started.")


class QueueLimits(Part):
    """What the queue lets through. Whatever is left out has no limit."""

    max_length: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Jobs that may wait or be delayed. Producers of more are refused, or wait if they want to "
        "(`wait_when_full`).",
        json_schema_extra=remark(remedy="the number of jobs that may wait; leave it out for no limit"),
    )
    max_memory_percent: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="Refuse jobs, likewise, while Redis uses more than this many percent of its `maxmemory`. "
        "Has no effect where Redis has no maxmemory.",
        json_schema_extra=remark(remedy="used memory in percent of Redis' maxmemory; leave it out for no limit"),
    )
    max_active: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Jobs that run at a time, on all workers together.",
        json_schema_extra=remark(
            remedy="the number of jobs that run at a time; leave it out for no limit, or set spec.paused for none"
        ),
    )
    rate: Rate | None = Field(default=None, description="How fast jobs are started, by all workers together.")
    per_group: GroupLimits = Field(
        default_factory=GroupLimits,
        description="What each group of jobs may do, unless the SDK gave it limits of its own.",
    )
