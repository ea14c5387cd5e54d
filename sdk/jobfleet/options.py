"""What may be said of a job beside its name and arguments, checked before anything is sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypedDict

from jobfleet import checks
from jobfleet.errors import MAX_DELAY_SECONDS, InvalidJob
from jobfleet.retry import MAX_ATTEMPTS, Backoff

FIRST_PRIORITY, LAST_PRIORITY, DEFAULT_PRIORITY = 1, 10, 5
QUEUE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
JOB_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
SURROGATE = re.compile("[\ud800-\udfff]")
JOB_ID = re.compile(r"[!-z|~]{1,128}")  # printable ASCII without space and braces


@dataclass(frozen=True, slots=True)
class Dedup:
    """One job for a key: what a second enqueue under the same key does.

    Attributes:
        key: what makes two jobs the same, 1 to 256 characters.
        mode: ``unique``: dropped while the first waits, is delayed or runs; ``throttle``: dropped for ``seconds``
            from the first; ``debounce``: the first is replaced while it is delayed and has not begun yet, so that the
            latest counts. One that has begun, also where it waits for its next attempt, goes on beside the new one.
        seconds: how long, for ``throttle``.

    Raises:
        InvalidJob: naming the field.
    """

    key: str
    mode: Literal["unique", "throttle", "debounce"] = "unique"
    seconds: float | None = None

    def __post_init__(self) -> None:
        checks.text("dedup.key", self.key, 256)
        if self.mode not in ("unique", "throttle", "debounce"):
            raise InvalidJob("dedup.mode", f"{self.mode!r} is unknown; use 'unique', 'throttle' or 'debounce'")
        if (self.seconds is None) == (self.mode == "throttle"):
            raise InvalidJob("dedup.seconds", "give them with mode 'throttle', and only there")
        if self.seconds is not None:
            checks.seconds("dedup.seconds", self.seconds, least=0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """How one job is to be treated.

    Attributes:
        priority: 1 (first) to 10 (last); jobs of one priority run first in, first out.
        delay: seconds from now before which the job does not run. Redis' clock counts.
        run_at: the instant before which it does not run; a datetime with a time zone. Not together with ``delay``.
        attempts: how often the handler may be tried in all, 1 to 100.
        backoff: the wait between attempts.
        timeout: seconds after which an attempt is ended and counts as failed; none: it may take for ever.
        job_id: an id of your own, for one job: a job whose id is known already is not enqueued again, whatever else
            is said of it.
        group: whose job it is (a tenant): groups take turns, and may have limits of their own.
        dedup: one job for a key; the id of the job that stands for this one comes back instead of a new id.
        expires_in: seconds that the job may wait, once it is ready; then it fails, with kind ``expired``.
        keep_result: seconds that the job is kept with its result once it has completed, at least, whatever its queue
            keeps; 0: it is forgotten at once; None: as its queue keeps completed jobs.
        wait_when_full: seconds that enqueue waits for room in a full queue, from the last job that was accepted, before
            it raises :class:`jobfleet.QueueFull`; 0: it does not wait.
        metadata: text about the job by name, for people and middleware; handlers see it in ``current_job()``.

    Raises:
        InvalidJob: naming the field, the value and what would be right.
    """

    priority: int = DEFAULT_PRIORITY
    delay: float = 0.0
    run_at: datetime | None = None
    attempts: int = 3
    backoff: Backoff = field(default_factory=Backoff)
    timeout: float | None = None
    job_id: str | None = None
    group: str | None = None
    dedup: Dedup | None = None
    expires_in: float | None = None
    keep_result: float | None = None
    wait_when_full: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.whole("priority", self.priority, FIRST_PRIORITY, LAST_PRIORITY)
        checks.whole("attempts", self.attempts, 1, MAX_ATTEMPTS)
        checks.seconds("delay", self.delay)
        if not isinstance(self.backoff, Backoff):
            raise InvalidJob("backoff", f"{self.backoff!r:.80} must be a Backoff, as Backoff(seconds=5)")
        if self.timeout is not None:
            checks.seconds("timeout", self.timeout, least=0.001)
        if self.run_at is not None:
            _check_run_at(self.run_at, self.delay)
        if self.job_id is not None and not (isinstance(self.job_id, str) and JOB_ID.fullmatch(self.job_id)):
            raise InvalidJob(
                "job_id",
                f"{self.job_id!r} must be 1 to 128 printable ASCII characters without spaces and braces",
            )

        if self.group is not None:
            check_group_name(self.group)
        if self.dedup is not None:
            _check_dedup(self.dedup, self)
        if self.expires_in is not None:
            checks.seconds("expires_in", self.expires_in, least=0.001)
        if self.keep_result is not None:
            checks.seconds("keep_result", self.keep_result)
        if self.wait_when_full != 0.0:
            checks.seconds("wait_when_full", self.wait_when_full)
        if self.metadata != {}:
            object.__setattr__(self, "metadata", _own_metadata(self.metadata))

    @property
    def extended(self) -> bool:
        """Whether the queue's scripts must know more of the job than its priority and its time."""
        return (
            self.group is not None
            or self.dedup is not None
            or self.expires_in is not None
            or self.keep_result is not None
        )

    def due(self) -> int:
        """When the job becomes ready, as the enqueue script takes it: 0 now, above: Unix ms, below: ms from now."""
        if self.run_at is not None:
            return max(0, int(self.run_at.timestamp() * 1000))
        return -math.ceil(self.delay * 1000)


class Options(TypedDict, total=False):
    """What may differ from one job to the next; see :class:`JobOptions`."""

    priority: int
    delay: float
    run_at: datetime | None
    attempts: int
    backoff: Backoff
    timeout: float | None
    job_id: str | None
    group: str | None
    dedup: Dedup | None
    expires_in: float | None
    keep_result: float | None
    wait_when_full: float
    metadata: Mapping[str, str]


def check_queue_name(name: object) -> str:
    """The name itself, if a queue may be called so.

    Raises:
        InvalidJob: it is no DNS label of at most 63 characters.
    """
    if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
        raise InvalidJob(
            "queue",
            f"{name!r} must be at most 63 of a-z, 0-9 and '-', and begin and end with a letter or digit",
        )
    return name


def check_group_name(name: object) -> None:
    """Whether a group of jobs may be called so.

    Raises:
        InvalidJob: it is no text of 1 to 128 printable characters without spaces.
    """
    checks.text("group", name, 128)


def check_job_name(name: object) -> str:
    """The name itself, if a job may be called so.

    Raises:
        InvalidJob: it has a character that names do not have, or is too long.
    """
    if not isinstance(name, str) or not JOB_NAME.fullmatch(name):
        raise InvalidJob(
            "name",
            f"{name!r} must be at most 128 of A-Z, a-z, 0-9, '_', '.' and '-', and begin with a letter or '_'",
        )
    return name


def check_shared_options(options: JobOptions, jobs: int) -> None:
    """See to it that so many jobs can have these options together.

    Raises:
        InvalidJob: they have a ``job_id``.
    """
    if options.job_id is not None and jobs > 1:
        raise InvalidJob(
            "job_id",
            f"{options.job_id!r} is the id of one job, and there are {jobs}: all but the first would be taken as known "
            "already; leave it out, or enqueue one by one with an id each",
        )


def _check_run_at(run_at: object, delay: float) -> None:
    if delay:
        raise InvalidJob("run_at", "give either delay or run_at, not both")
    if not isinstance(run_at, datetime) or run_at.tzinfo is None:
        raise InvalidJob("run_at", f"{run_at!r} has no time zone; use datetime(..., tzinfo=...)")
    if (run_at - datetime.now(UTC)).total_seconds() > MAX_DELAY_SECONDS:
        raise InvalidJob("run_at", f"{run_at} is more than ten years away")


def _own_metadata(metadata: object) -> dict[str, str]:
    """A copy: the caller may change the mapping for the next job."""
    if not isinstance(metadata, Mapping):
        raise InvalidJob("metadata", f"{metadata!r:.80} must be a mapping of names to text; {{}}: none")
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str) or SURROGATE.search(name + value):
            raise InvalidJob("metadata", f"{name!r}: {value!r:.80} must be text by name, without surrogates")
    return dict(metadata)


def _check_dedup(dedup: object, options: JobOptions) -> None:
    if not isinstance(dedup, Dedup):
        raise InvalidJob("dedup", f"{dedup!r:.80} must be a Dedup, as Dedup('report-7')")
    if dedup.mode != "debounce":
        return
    if not options.delay and options.run_at is None:
        raise InvalidJob("dedup.mode", "'debounce' needs a delay: it replaces the job while that lasts")
    if options.job_id == dedup.key:
        raise InvalidJob(
            "job_id", f"{dedup.key!r} is the key of 'debounce' too, so a later job would be known and none replaced; "
            "leave job_id out"
        )  # fmt: skip
