"""What keeps a pool from growing beside its maximum and its quota: broken Pods, and what its queues let run. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from jobfleet.inspection import QueueSnapshot
from jobfleet_operator import circuits
from jobfleet_operator.pods import NO_NODE, PodView
from jobfleet_operator.scaling import Limit

TRIAL = 3
"""So many Pods try whether the template works, while none of its Pods ever did."""

NOT_THE_PODS_FAULT = NO_NODE
"""A Pod that waits for a node is how a cluster learns that it needs one more."""


def serves(pod: PodView, working: Collection[str]) -> bool:
    """Whether this Pod shows that the pool's Pods can run: it is ready, or its worker has a lease."""
    return pod.live and (pod.ready or pod.name in working)


def broken(pods: Sequence[PodView], working: Collection[str], size: int, *, proven: bool) -> Limit | None:
    """Holds the pool while some of its Pods are broken and none serves: more of them would be broken as well.

    Args:
        pods: the pool's Pods.
        working: names of Pods whose worker has a lease.
        size: what the pool should have had until now.
        proven: whether any Pod has served. Where none has, and all there are are broken, the pool goes down to a
            few that try; else it keeps its size.
    """
    if any(serves(pod, working) for pod in pods):
        return None
    live = [pod for pod in pods if pod.live]
    ill = [pod for pod in live if pod.trouble and pod.trouble[0] not in NOT_THE_PODS_FAULT]
    if not ill:
        return None
    first = min(ill, key=lambda pod: pod.name)
    reason, message = first.trouble or ("", "")
    hopeless = not proven and len(ill) == len(live)
    most = TRIAL if hopeless else max(size, TRIAL)
    return Limit(most, "WorkersBroken", f"no worker runs, and Pod {first.name} cannot: {reason}: {message}")


SPARE = Fraction(5, 4)
"""So many slots more than a rate fills on average, because run times differ from job to job."""


@dataclass(frozen=True, slots=True)
class Passage:
    """How many jobs of a queue a pool can run at a time, at most."""

    queue: str
    slots: int
    words: str
    """What limits it, to be read after "the queue has"; "": that nothing is handed out at present."""


def passage(snapshot: QueueSnapshot, busy: int, service_ms: int | None, ahead_ms: int) -> Passage | None:
    """What `maxActive` and `rate` of a queue let run, or its circuit; None: as much as there is.

    A rate of R jobs a second that take S seconds each fills R·S slots (Little's law). `busy` jobs run in the pool now.
    """
    name, told = snapshot.address.queue, snapshot.settings
    circuit = circuits.of_queue(snapshot)
    if circuit is not None:
        return Passage(name, max(busy, circuits.room(snapshot, circuit, ahead_ms)), "")
    found: list[tuple[int, str]] = []
    if told is not None and told.max_active:
        found.append((told.max_active, f"maxActive {told.max_active}"))
    if told is not None and told.rate_count and service_ms is not None:
        slots = ceil(SPARE * Fraction(told.rate_count * service_ms, told.rate_ms))
        found.append((max(1, slots), f"a rate of {told.rate_count} in {told.rate_ms / 1000:g} s"))
    if not found:
        return None
    slots, words = min(found)
    return Passage(name, max(busy, slots), words)


def by_queues(passages: Sequence[Passage | None], concurrency: int, *, least: int) -> Limit | None:
    """Holds a pool at what all its queues together let run; `least` workers it may have in any case.

    >>> photos, films = Passage("photos", 4, "maxActive 4"), Passage("films", 5, "a rate of 100 in 60 s")
    >>> limit = by_queues([photos, films], 2, least=0)
    >>> limit.most, limit.words
    (5, 'no more jobs may run at a time: photos has maxActive 4, films has a rate of 100 in 60 s')
    >>> by_queues([photos, None], 2, least=0) is None  # the other one may need any number
    True
    """
    bound = [passage for passage in passages if passage is not None]
    told = [f"{passage.queue} has {passage.words}" for passage in bound if passage.words]
    if len(bound) < len(passages) or not told:
        return None
    most = max(least, ceil(sum(passage.slots for passage in bound) / concurrency))
    return Limit(most, "QueueLimits", f"no more jobs may run at a time: {', '.join(told)}", at_once=False)
