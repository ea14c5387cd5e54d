"""When a `JobQueue` stops handing out jobs because too many of them fail."""

from typing import Literal

from pydantic import Field

from jobfleet_operator.models.parts import Part, remark


class CircuitBreaker(Part):
    """Hands out nothing for a while when too many jobs fail, then tries a few."""

    failure_percent: int = Field(
        default=50,
        ge=1,
        le=100,
        description="The circuit opens when so many percent of the attempts that ended within the window have failed. "
        "Unrecoverable errors, bad arguments and unknown jobs do not count: they say nothing of what jobs depend on.",
        json_schema_extra=remark(
            remedy="a share of failed attempts in percent; leave spec.circuitBreaker out for none"
        ),
    )
    minimum_jobs: int = Field(
        default=20,
        ge=1,
        le=1_000_000,
        description="It does not open before so many attempts have ended within the window.",
        json_schema_extra=remark(remedy="the number of attempts that must have ended before it may open"),
    )
    window_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="How far back attempts count, in seconds; those of its second half always do.",
        json_schema_extra=remark(remedy="a time in seconds, a day at most"),
    )
    open_seconds: int = Field(
        default=30,
        ge=1,
        le=86_400,
        description="How long nothing is handed out, in seconds. Then probes run.",
        json_schema_extra=remark(remedy="a time in seconds, a day at most"),
    )
    probes: int = Field(
        default=3,
        ge=1,
        le=1_000_000,
        description="How many jobs run at a time while it is half open. As many successes close it; one failure "
        "opens it again.",
        json_schema_extra=remark(remedy="the number of jobs that try whether it works again"),
    )
    per: Literal["Queue", "Group"] = Field(
        default="Queue",
        description="Queue: one circuit for all jobs. Group: one for each group (tenant, provider), so that the others "
        "go on; jobs of no group have none.",
    )
