"""How many workers a pool should have: one pure function, with the reasons in its answer.

`decide` knows nothing of Kubernetes or Redis. It looks at one observation, the policy of the pool
and a short history that the caller keeps for it, and answers with the wanted size, the reasons in
words, and the history to bring along next time.

Laws, held by property tests:

- never above `max_workers`, except for workers that are still busy when the maximum is lowered;
- never below what the running jobs fill;
- a larger backlog never leads to fewer workers;
- a constant load leads to a constant size;
- nothing is decided on missing data: the size is held, and afterwards (as after a restart) a whole
  stabilisation window must pass before the pool may shrink.

The answer is a goal. Which workers go, and when, is decided in `reconcile.py`: a busy worker is
told to drain and leaves when it is idle.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

Sample = tuple[float, int]
"""When (seconds of a clock that never goes back), and how many workers were wanted then."""


AGE_STEP_SECONDS = 15.0
"""Time between two steps up because a job has waited for too long."""


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
    """Mean run time of a job, measured; None: none has ended yet."""
    arrivals_per_minute: int = 0
    """Jobs that came in lately, measured."""
    oldest_seconds: int = 0
    """How long the job has waited that waits longest; 0 without one."""


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


@dataclass(frozen=True, slots=True)
class History:
    """What `decide` remembers; a fresh one after a restart."""

    since: float | None = None
    """Since when the load has been known without a gap; None: it is not known."""
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
    limited: bool = False
    """Whether the load asks for more than the maximum allows."""


def decide(observation: Observation, policy: Policy, history: History) -> Decision:
    """The size that the pool should have now.

    From zero to the full need in one step:

    >>> policy = Policy(max_workers=8, concurrency=4, backlog_per_worker=20)
    >>> first = decide(Observation(now=0.0, size=0, load=Load(backlog=100)), policy, History())
    >>> first.size, first.reasons[0]
    (5, 'backlog 100 at 20 a worker asks for 5')

    An empty queue does not shrink the pool before the window has passed:

    >>> empty = Observation(now=10.0, size=5, load=Load(backlog=0))
    >>> second = decide(empty, policy, first.history)
    >>> second.size, second.reasons[0]
    (5, 'held at 5: 5 were wanted within the last 30 s')

    Then by a quarter a step, at least one:

    >>> third = decide(replace(empty, now=31.0), policy, second.history)
    >>> third.size, third.reasons
    (4, ('backlog 0 asks for 0', 'one step down: at most 25 %'))

    Running jobs are a floor:

    >>> decide(Observation(0.0, 1, Load(backlog=9, busy_slots=9)), policy, History()).size
    3

    Without data, the size is held:

    >>> decide(Observation(40.0, 4, None), policy, third.history).reasons
    ('held at 4: the backlog is not known',)
    """
    size, now = observation.size, observation.now
    if observation.load is None:
        reason = f"held at {size}: the backlog is not known"
        return Decision(size, size, (reason,), replace(history, since=None, highs=(), lows=()))

    aged = _aged(observation.load, size, now, policy, history)
    wanted, reasons, limited = _want(observation.load, size, policy, aged)
    if wanted < observation.floor and wanted < policy.max_workers:
        wanted = min(observation.floor, policy.max_workers)
        reasons.insert(0, f"raised to {wanted} by {observation.floor_name or 'the calendar'}")
    if aged > size and wanted > size:
        history = replace(history, aged_at=now)
    history = _remember(history, now, wanted, policy)
    if wanted > size:
        goal, notes = _grow(size, wanted, policy, history)
    elif wanted < size:
        goal, notes = _shrink(size, now, policy, history)
        goal = max(goal, wanted)
    else:
        goal, notes = size, []
    if goal < size:
        history = replace(history, shrunk_at=now)
    told = (*notes, *reasons) if goal == size else (*reasons, *notes)
    return Decision(goal, wanted, told, history, limited)


def _want(load: Load, size: int, policy: Policy, aged: int) -> tuple[int, list[str], bool]:
    """What the load asks for within the limits, why, and whether the maximum cut it."""
    flow = _flow(load, policy)
    need, reason = _by_backlog(load, size, policy) if flow is None else flow
    reasons = [reason]
    if aged > need:
        need = aged
        reasons.insert(0, f"a job has waited for {load.oldest_seconds} s, more than {policy.max_age_seconds} s")
    busy = ceil(load.busy_slots / policy.concurrency)
    if busy > need:
        need = busy
        reasons.insert(0, f"{load.busy_slots} running jobs fill {busy}")
    limited = need > policy.max_workers
    if limited:
        reasons.append(f"limited to the maximum of {policy.max_workers}")
    # A lowered maximum takes no worker from a running job.
    wanted = max(min(need, policy.max_workers), min(busy, size))
    if wanted < policy.min_workers:
        wanted = min(policy.min_workers, policy.max_workers)
        reasons.append(f"raised to the minimum of {wanted}")
    return wanted, reasons, limited


def _by_backlog(load: Load, size: int, policy: Policy) -> tuple[int, str]:
    need = ceil(load.backlog / policy.backlog_per_worker)
    if need != size and _tolerable(load.backlog, size, policy):
        return size, f"backlog {load.backlog} is within {policy.tolerance_percent} % of what {size} carry"
    if not load.backlog:
        return 0, "backlog 0 asks for 0"
    return need, f"backlog {load.backlog} at {policy.backlog_per_worker} a worker asks for {need}"


def _flow(load: Load, policy: Policy) -> tuple[int, str] | None:
    """Workers that keep up with the arrivals and get all there is done in time (Little's law).

    With W jobs waiting, B running, a of them coming in a second, S seconds each, c slots a worker and T seconds
    of time: W jobs fill W·S / T slots, and those that run or come meanwhile the larger of B·S / T and a·S. A job
    that takes longer than T fills one slot and no more: it cannot be done sooner, but it should run at once.
    None: it is not asked for, or no service time has been measured.

    >>> policy = Policy(concurrency=4, drain_within_seconds=60)
    >>> _flow(Load(backlog=600, waiting=600, service_ms=2000, arrivals_per_minute=120), policy)
    (6, '600 waiting and 0 running of 2.0 s each and 120 new ones a minute, done within 60 s, ask for 6')
    >>> _flow(Load(backlog=9, waiting=1, busy_slots=8, service_ms=400_000), policy)[0]
    3
    """
    within = policy.drain_within_seconds
    if within is None or load.service_ms is None:
        return None
    # In whole numbers, so that 6 does not become 7 by a rounding error.
    each = min(load.service_ms, 1000 * within)
    running = max(within * load.arrivals_per_minute * load.service_ms, 60 * load.busy_slots * each)
    need = ceil(Fraction(60 * load.waiting * each + running, 60_000 * within * policy.concurrency))
    return need, (
        f"{load.waiting} waiting and {load.busy_slots} running of {load.service_ms / 1000:.1f} s each and "
        f"{load.arrivals_per_minute} new ones a minute, done within {within} s, ask for {need}"
    )


def _aged(load: Load, size: int, now: float, policy: Policy, history: History) -> int:
    """The size that the age of the oldest waiting job asks for: half as many again each time, 0: nothing.

    Between two such steps new workers get the time to come up and to show what they do.
    """
    if policy.max_age_seconds is None or load.oldest_seconds <= policy.max_age_seconds:
        return 0
    if history.aged_at is not None and now - history.aged_at < AGE_STEP_SECONDS:
        return size
    return size + max(1, size // 2)


def _tolerable(backlog: int, size: int, policy: Policy) -> bool:
    """Whether the backlog deviates from what the present size carries by too little to act."""
    carried = size * policy.backlog_per_worker
    return backlog > 0 and abs(backlog - carried) * 100 <= policy.tolerance_percent * carried


def _remember(history: History, now: float, wanted: int, policy: Policy) -> History:
    """The history with this sample; only samples that can still be the highest or lowest are kept."""
    highs = [s for s in history.highs if s[1] > wanted and now - s[0] < policy.down.window_seconds]
    lows = [s for s in history.lows if s[1] < wanted and now - s[0] < policy.up.window_seconds]
    sample = (now, wanted)
    since = now if history.since is None else history.since
    return replace(history, since=since, highs=(*highs, sample), lows=(*lows, sample))


def _grow(size: int, wanted: int, policy: Policy, history: History) -> tuple[int, list[str]]:
    """Up to the lowest size wanted within the window, in one step unless the policy limits it."""
    goal = max(size, min(wanted, history.lows[0][1]))
    if goal == size:
        return size, [f"held at {size}: more was not wanted throughout {policy.up.window_seconds} s"]
    if policy.up.percent_per_step is None:
        return goal, []
    step = max(1, size * policy.up.percent_per_step // 100)
    if goal <= size + step:
        return goal, []
    return size + step, [f"one step up: at most {policy.up.percent_per_step} %"]


def _shrink(size: int, now: float, policy: Policy, history: History) -> tuple[int, list[str]]:
    """Down to the highest size wanted within the window, step by step."""
    window = policy.down.window_seconds
    known_for = 0.0 if history.since is None else now - history.since
    if known_for < window and size <= policy.max_workers:
        if history.highs[0][1] >= size:
            return size, [f"held at {size}: {history.highs[0][1]} were wanted within the last {window} s"]
        return size, [f"held at {size}: the backlog has been known for less than {window} s"]
    goal = min(history.highs[0][1], policy.max_workers)
    if goal >= size:
        return size, [f"held at {size}: {goal} were wanted within the last {window} s"]
    if history.shrunk_at is not None and now - history.shrunk_at < policy.down.period_seconds:
        return size, [f"held at {size}: the last step down was less than {policy.down.period_seconds} s ago"]
    step = max(1, size * policy.down.percent_per_step // 100)
    if goal >= size - step:
        return goal, []
    return size - step, [f"one step down: at most {policy.down.percent_per_step} %"]
