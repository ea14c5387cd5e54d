"""Which queues a pool's workers have to do with: what its spec names, and what older Pods were made for. Pure.

A worker serves what its Pod was made for until it ends, whatever its pool names meanwhile. Whether it is busy is to be
seen there, and nowhere else.
"""

from collections.abc import Collection, Sequence

from jobfleet.inspection import QueueAddress
from jobfleet_operator.cache import Cache
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.pods import PodView
from jobfleet_operator.world import Key, PoolResource

DARK_SECONDS = 600.0
"""So long a Pod is kept of which cannot be seen what it holds: a Redis or a JobQueue that is away may come back."""


def served(cache: Cache, pool: PoolResource, memory: PoolMemory) -> dict[Key, set[str]]:
    """The queues, each with the connections of the Pods that were made for it; those that the spec names come first."""
    if pool.spec is None:
        return {}
    found: dict[Key, set[str]] = {
        Key(pool.key.namespace, name): set() for name in (*pool.spec.queues, *sorted(memory.queues))
    }
    for pod in cache.pods_of(pool.key):
        for name in pod.queues:
            found.setdefault(Key(pool.key.namespace, name), set()).add(pod.connection)
    return found


def dark(
    pods: Sequence[PodView], unread: Collection[QueueAddress], memory: PoolMemory, seconds: float
) -> frozenset[str]:
    """Names of those that may hold jobs of a queue that could not be read (`unread`); the memory takes over since when.

    After `DARK_SECONDS` one counts no more: a roll-out must not wait for ever, and what it holds has its drain time.
    """
    hidden = [
        pod.name
        for pod in pods
        if pod.live
        and (pod.ready or not pod.trouble)
        and any(QueueAddress(pod.identity.key.namespace, name) in unread for name in pod.queues)
    ]
    memory.dark = {name: memory.dark.get(name, seconds) for name in hidden}
    return frozenset(name for name, since in memory.dark.items() if seconds - since < DARK_SECONDS)
