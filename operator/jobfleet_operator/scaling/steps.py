"""From the present size towards the wanted one: windows, and how far a step goes. Pure."""

from dataclasses import replace

from jobfleet_operator.scaling.records import History, Policy

GAP_SECONDS = 10.0
"""After so long without a look the load is not known without a gap. A sweep over 5,000 queues takes about 2.5 s; a pool
whose writes fail is left alone for 5 s, and one whose writes are refused, which cannot shrink anyway, for 30 s."""


def remember(history: History, now: float, wanted: int, policy: Policy) -> History:
    """The history with this sample; only samples that can still be the highest or lowest are kept.

    What lies before a gap says nothing of what was wanted within it: the windows begin anew.
    """
    if history.highs and now - history.highs[-1][0] > GAP_SECONDS:
        history = replace(history, since=None, highs=(), lows=())
    highs = [s for s in history.highs if s[1] > wanted and now - s[0] < policy.down.window_seconds]
    lows = [s for s in history.lows if s[1] < wanted and now - s[0] < policy.up.window_seconds]
    sample = (now, wanted)
    since = now if history.since is None else history.since
    return replace(history, since=since, unknown_since=None, highs=(*highs, sample), lows=(*lows, sample))


def grow(size: int, wanted: int, now: float, policy: Policy, history: History, least: int) -> tuple[int, list[str]]:
    """Up to the lowest size wanted within the window, at once to `least`; in one step unless the policy limits it."""
    window = policy.up.window_seconds
    known = _known_for(now, history) >= window
    goal = max(size, least, min(wanted, history.lows[0][1]) if known else 0)
    if goal == size:
        why = "more was not wanted throughout" if known else "the backlog has been known for less than"
        return size, [f"held at {size}: {why} {window} s"]
    return climb(size, goal, policy)


def climb(size: int, goal: int, policy: Policy) -> tuple[int, list[str]]:
    """Up to the goal, in one step unless the policy limits it."""
    if policy.up.percent_per_step is None:
        return goal, []
    step = max(1, size * policy.up.percent_per_step // 100)
    if goal <= size + step:
        return goal, []
    return size + step, [f"one step up: at most {policy.up.percent_per_step} %"]


def shrink(size: int, now: float, policy: Policy, history: History, firm: int) -> tuple[int, list[str]]:
    """Down to the highest size wanted within the window, or to a firm limit at once that was lowered; step by step."""
    window = policy.down.window_seconds
    known = _known_for(now, history) >= window
    if not known and size <= firm:
        if history.highs[0][1] >= size:
            return size, [f"held at {size}: {history.highs[0][1]} were wanted within the last {window} s"]
        return size, [f"held at {size}: the backlog has been known for less than {window} s"]
    goal = min(history.highs[0][1], firm) if known else firm
    if goal >= size:
        return size, [f"held at {size}: {goal} were wanted within the last {window} s"]
    if history.shrunk_at is not None and now - history.shrunk_at < policy.down.period_seconds:
        return size, [f"held at {size}: the last step down was less than {policy.down.period_seconds} s ago"]
    step = max(1, size * policy.down.percent_per_step // 100)
    if goal >= size - step:
        return goal, []
    return size - step, [f"one step down: at most {policy.down.percent_per_step} %"]


def _known_for(now: float, history: History) -> float:
    return 0.0 if history.since is None else now - history.since
