"""How many workers a pool should have: one pure function, with the reasons in its answer.

`decide` knows nothing of Kubernetes or Redis. It looks at one observation, the policy of the pool
and a short history that the caller keeps for it, and answers with the wanted size, the reasons in
words, and the history to bring along next time.

Laws, held by property tests:

- never above `max_workers` nor any other limit, except on the way down to one that has been lowered;
- never below what the running jobs fill, unless a limit is lower;
- a larger backlog never leads to fewer workers;
- a constant load leads to a constant size;
- nothing is decided on missing data: the size is held, or raised to the policy's fallback, and afterwards
  (as after a restart, or when nobody has looked for a while) a whole stabilisation window must pass before
  the pool may shrink, or grow for its load.

The answer is a goal. Which workers go, and when, is decided in `drain.py`: a busy worker is told to
drain and leaves when it is idle, also where a limit is lower than what the running jobs fill.
"""

from dataclasses import replace

from jobfleet_operator.scaling import need, steps
from jobfleet_operator.scaling.records import Decision, History, Limit, Observation, Policy


def decide(observation: Observation, policy: Policy, history: History) -> Decision:
    """The size that the pool should have now.

    From zero to the full need in one step:

    >>> from jobfleet_operator.scaling import Load
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

    >>> later = decide(replace(empty, now=20.0), policy, second.history)
    >>> third = decide(replace(empty, now=30.0), policy, later.history)
    >>> third.size, third.reasons
    (4, ('backlog 0 asks for 0', 'one step down: at most 25 %'))

    Running jobs are a floor:

    >>> decide(Observation(0.0, 1, Load(backlog=9, busy_slots=9)), policy, History()).size
    3

    Something else may allow fewer workers than the pool's maximum:

    >>> quota = Limit(4, "NamespaceQuota", "the quota of namespace shop is 20 workers")
    >>> decide(Observation(0.0, 4, Load(backlog=100), limits=(quota,)), policy, History()).reasons
    ('backlog 100 at 20 a worker asks for 5', 'limited to 4: the quota of namespace shop is 20 workers')

    Without data, the size is held:

    >>> decide(Observation(40.0, 4, None), policy, third.history).reasons
    ('held at 4: the backlog is not known',)
    """
    size, now = observation.size, observation.now
    ceiling = _ceiling(observation, policy)
    if observation.load is None:
        return _without_load(observation, policy, history, ceiling)
    aged = need.aged(observation.load, size, now, policy, history)
    wanted, reasons, limited = need.want(observation, policy, aged, ceiling)
    history = steps.remember(history, now, wanted, policy)
    if wanted > size:
        goal, notes = steps.grow(size, wanted, now, policy, history, need.least(observation, policy, ceiling))
    elif wanted < size:
        goal, notes = steps.shrink(size, now, policy, history, _firm(observation, policy))
        goal = max(goal, wanted)
    else:
        goal, notes = size, []
    if goal < size:
        history = replace(history, shrunk_at=now)
    if goal > size and aged > size:
        history = replace(history, aged_at=now)
    told = (*notes, *reasons) if goal == size else (*reasons, *notes)
    return Decision(goal, wanted, told, history, ceiling if limited else None)


def _without_load(observation: Observation, policy: Policy, history: History, ceiling: Limit) -> Decision:
    """Hold the size, or raise it to the fallback when nobody has known the load for long enough."""
    size, now, fallback = observation.size, observation.now, policy.fallback
    since = now if history.unknown_since is None else history.unknown_since
    history = replace(history, since=None, unknown_since=since, highs=(), lows=())
    least = 0
    if fallback is not None and now - since >= fallback.after_seconds:
        least = min(fallback.workers, policy.max_workers)
    wanted = max(size, min(least, ceiling.most))
    limit = ceiling if least > wanted else None
    if fallback is None or wanted == size:
        return Decision(size, size, (f"held at {size}: the backlog is not known",), history, limit)
    goal, notes = steps.climb(size, wanted, policy)
    asked = f"the backlog has not been known for {fallback.after_seconds} s: spec.scaling.fallback asks for {least}"
    cut = [] if limit is None else [f"limited to {wanted}: {limit.words}"]
    return Decision(goal, wanted, (asked, *cut, *notes), history, limit)


def _firm(observation: Observation, policy: Policy) -> int:
    """The tightest of the limits to which the pool goes down at once."""
    return min((policy.max_workers, *(limit.most for limit in observation.limits if limit.at_once)))


def _ceiling(observation: Observation, policy: Policy) -> Limit:
    """The tightest limit; the pool's own maximum where others are no tighter."""
    own = Limit(policy.max_workers, "AtMaximum", "that is the maximum")
    return min((own, *observation.limits), key=lambda limit: limit.most)
