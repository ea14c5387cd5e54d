"""How many workers may be evicted at a time: a PodDisruptionBudget that never stands in the way for good. Pure.

A budget keeps node drains from taking the whole pool at once. It blocks for good wherever Pods that
are to be ready never are: then there is nothing to protect by it, and it lets everything go.
"""

SHORT_SECONDS = 60.0
"""A pool that lacks ready Pods for longer than this will not have them soon."""
EVERYTHING = 100


def percent(wanted: int, *, short_seconds: float, cramped: bool) -> int:
    """The share of the workers that may be evicted at a time now, in percent.

    Args:
        wanted: what the pool's spec says.
        short_seconds: for how long fewer Pods than asked for have been ready; 0: none is missing.
        cramped: whether Pods find no room; those that are evicted would not come back before others go.

    >>> percent(25, short_seconds=0, cramped=False), percent(25, short_seconds=90, cramped=False)
    (25, 100)
    """
    return EVERYTHING if cramped or short_seconds > SHORT_SECONDS else wanted
