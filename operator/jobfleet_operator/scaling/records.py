"""What a decision about a size is made from and made of: plain values."""

from dataclasses import dataclass

Sample = tuple[float, int]
"""When (seconds of a clock that never goes back), and how many workers were wanted then."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How eagerly the pool grows."""

    window_seconds: int = 0
    percent_per_step: int | None = None
    """Largest step in percent of the present size, at least one worker; None: no limit."""


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """How carefully the pool shrinks."""

    window_seconds: int = 30
    percent_per_step: int = 25
    """Largest step in percent of the present size, at least one worker."""
    period_seconds: int = 5
    """Time between two steps."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """How many workers there are at least while nobody knows the load."""

    workers: int
    after_seconds: int = 60
    """It holds when the load has not been known for so long."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the pool's spec asks for."""

    min_workers: int = 0
    max_workers: int = 10
    concurrency: int = 1
    backlog_per_worker: int = 20
    drain_within_seconds: int | None = None
    """The backlog should be done within this time; takes the place of `backlog_per_worker` once a service
    time has been measured."""
    max_age_seconds: int | None = None
    """No job should wait for longer than this: the pool grows, beyond what the others ask, while one does."""
    tolerance_percent: int = 10
    up: Growth = Growth()
    down: Shrinkage = Shrinkage()
    fallback: Fallback | None = None
    """None: the size is held, whatever it is."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the queues of the pool hold at one moment."""

    backlog: int
    """Jobs waiting, running or due; the waiting ones of a paused queue do not count."""
    busy_slots: int = 0
    """Jobs that the pool's workers hold."""
    waiting: int = 0
    """Those of the backlog that nobody holds."""
    service_ms: int | None = None
    """Mean run time of a job, measured and rounded up; None: none has ended yet."""
    arrivals_per_minute: int = 0
    """Jobs that came in lately, measured."""
    oldest_seconds: int = 0
    """How long the job has waited that waits longest; 0 without one."""
    upcoming: int = 0
    """Jobs that are not due yet and will be before a worker that is started now can take one."""
    behind_circuit: int = 0
    """Waiting jobs that open circuits hold back; they count nowhere else."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Something beside its own maximum that keeps a pool from growing: a quota, broken Pods, its queues' limits."""

    most: int
    """Workers that it allows."""
    reason: str
    """One CamelCase word."""
    words: str
    """What limits it, to be read after "limited to 4: "."""
    at_once: bool = True
    """Whether a pool that is larger shrinks without waiting for its window."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world."""

    now: float
    """Seconds of a clock that never goes back."""
    size: int
    """The size that was wanted until now."""
    load: Load | None
    """None: nobody knows, because Redis did not answer or a queue is missing."""
    floor: int = 0
    """The size that the calendar asks for at this time, at least."""
    floor_name: str = ""
    """How to call that floor."""
    limits: tuple[Limit, ...] = ()
    start_seconds: int = 0
    """How long a worker of this pool takes to come up; that much less time is left to those that are started."""


@dataclass(frozen=True, slots=True)
class History:
    """What `decide` remembers; a fresh one after a restart."""

    since: float | None = None
    """Since when the load has been known without a gap; None: it is not known."""
    unknown_since: float | None = None
    """Since when the load has not been known, as far as this history goes; None: it is known."""
    highs: tuple[Sample, ...] = ()
    """Falling sequence: the largest wanted sizes of the window for shrinking."""
    lows: tuple[Sample, ...] = ()
    """Rising sequence: the smallest wanted sizes of the window for growing."""
    shrunk_at: float | None = None
    """When the last step down was made."""
    aged_at: float | None = None
    """When the pool last grew because a job had waited for too long."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The wanted size and why."""

    size: int
    wanted: int
    """What the load alone asks for, within the limits, before windows and steps."""
    reasons: tuple[str, ...]
    """Sentences, the most telling one first."""
    history: History
    limit: Limit | None = None
    """What allows fewer workers than the load asks for; None: nothing does."""
