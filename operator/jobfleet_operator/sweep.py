"""Which queues and pools a sweep looks at together. Pure."""

from collections.abc import Iterator

from jobfleet_operator.cache import Cache
from jobfleet_operator.names import JOB_QUEUE, WORKER_POOL
from jobfleet_operator.world import Key, Subject

SLICE = 50
"""Queues of a sweep that are looked at together."""


def slices(cache: Cache) -> Iterator[set[Subject]]:
    """Everything there is, in slices of so many queues with the pools that work on them first of all."""
    by_queue: dict[Key, list[Key]] = {queue: [] for queue in cache.queues}
    for key, pool in cache.pools.items():
        first = pool.spec.queues[0] if pool.spec is not None and pool.spec.queues else ""
        by_queue.setdefault(Key(key.namespace, first), []).append(key)
    queues = list(by_queue)
    for start in range(0, len(queues), SLICE):
        part = queues[start : start + SLICE]
        yield {
            *(Subject(JOB_QUEUE, queue) for queue in part),
            *(Subject(WORKER_POOL, pool) for queue in part for pool in by_queue[queue]),
        }
