"""What the load asks for at this moment, within the limits. Pure."""

from fractions import Fraction
from math import ceil

from jobfleet_operator.scaling.records import History, Limit, Load, Observation, Policy

AGE_STEP_SECONDS = 15.0
"""Time between two steps up because a job has waited for too long."""


def want(observation: Observation, policy: Policy, aged: int, ceiling: Limit) -> tuple[int, list[str], bool]:
    """How many workers are wanted within the limits, why, and whether the ceiling cut it, a minimum included.

    `aged` is what the age of the oldest job asks for. There must be a load.
    """
    load = observation.load
    assert load is not None  # noqa: S101
    wanted, reason = flow(load, policy, observation.start_seconds) or _by_backlog(load, observation.size, policy)
    reasons = [reason]
    if aged > wanted:
        wanted = aged
        reasons.insert(0, f"a job has waited for {load.oldest_seconds} s, more than {policy.max_age_seconds} s")
    if load.behind_circuit:
        reasons.append(f"{load.behind_circuit} jobs behind an open circuit ask for none")
    busy = ceil(load.busy_slots / policy.concurrency)
    if busy > wanted:
        wanted = busy
        reasons.insert(0, f"{load.busy_slots} running jobs fill {busy}")
    if wanted < policy.min_workers:
        wanted = policy.min_workers
        reasons.append(f"raised to the minimum of {wanted}")
    # What the calendar asks for is meant up to the maximum, which is no limit to it.
    floor = min(observation.floor, policy.max_workers)
    if wanted < floor:
        wanted = floor
        reasons.insert(0, f"raised to {wanted} by {observation.floor_name or 'the calendar'}")
    limited = wanted > ceiling.most
    if limited:
        wanted = ceiling.most
        reasons.append(f"limited to {wanted}: {ceiling.words}")
    return wanted, reasons, limited


def least(observation: Observation, policy: Policy, ceiling: Limit) -> int:
    """What the pool has at least within the limits, whatever its load: it is not waited for."""
    return min(max(policy.min_workers, observation.floor), ceiling.most)


def _by_backlog(load: Load, size: int, policy: Policy) -> tuple[int, str]:
    jobs = load.backlog + load.upcoming
    need = ceil(jobs / policy.backlog_per_worker)
    called = f"backlog {load.backlog}" + (f" and {load.upcoming} due soon" if load.upcoming else "")
    if need != size and _tolerable(jobs, size, policy):
        return size, f"{called} is within {policy.tolerance_percent} % of what {size} carry"
    if not jobs:
        return 0, "backlog 0 asks for 0"
    return need, f"{called} at {policy.backlog_per_worker} a worker asks for {need}"


def flow(load: Load, policy: Policy, start_seconds: int = 0) -> tuple[int, str] | None:
    """Workers that keep up with the arrivals and get all there is done in time (Little's law).

    With W jobs waiting or due soon, B running, a of them coming in a second, S seconds each, c slots a worker
    and T seconds of time: W jobs fill W·S / T slots (what new workers take to start is not left of T, half of it
    at most), and those that run or come meanwhile the larger of B·S / T and a·S. A job that takes longer than
    T fills one slot and no more: it cannot be done sooner, but it should run at once. However short the jobs are, as
    long as any wait there is one worker.
    None: it is not asked for, or no service time has been measured.

    >>> policy = Policy(concurrency=4, drain_within_seconds=60)
    >>> flow(Load(backlog=600, waiting=600, service_ms=2000, arrivals_per_minute=120), policy)
    (6, '600 waiting and 0 running of 2.0 s each and 120 new ones a minute, done within 60 s, ask for 6')
    >>> flow(Load(backlog=9, waiting=1, busy_slots=8, service_ms=400_000), policy)[0]
    3
    """
    within, each = policy.drain_within_seconds, load.service_ms
    if within is None or each is None:
        return None
    # In whole numbers, so that 6 does not become 7 by a rounding error.
    left = max(Fraction(within, 2), Fraction(within - start_seconds))
    waiting = (load.waiting + load.upcoming) * min(Fraction(1), Fraction(each, 1000) / left)
    running = load.busy_slots * min(Fraction(1), Fraction(each, 1000 * within))
    coming = Fraction(load.arrivals_per_minute * each, 60_000)
    need = ceil((waiting + max(running, coming)) / policy.concurrency)
    need = max(need, min(1, load.waiting + load.upcoming))
    soon = f", {load.upcoming} due soon" if load.upcoming else ""
    return need, (
        f"{load.waiting} waiting{soon} and {load.busy_slots} running of {each / 1000:.1f} s each and "
        f"{load.arrivals_per_minute} new ones a minute, done within {within} s, ask for {need}"
    )


def aged(load: Load, size: int, now: float, policy: Policy, history: History) -> int:
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
