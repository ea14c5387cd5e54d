"""Dead workers: whose jobs go back to the queue without waiting for the end of a lease. Pure."""

from collections.abc import Mapping, Sequence

from jobfleet_operator import actions
from jobfleet_operator.drain import Seen, ids_by_queue
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.world import Key, PodView


def plan(
    pool: Key, pods: Sequence[PodView], workers: Mapping[str, Sequence[Seen]], memory: PoolMemory, *, complete: bool
) -> list[actions.Reclaim]:
    """Workers whose Pod has ended or is gone (whoever carries it out looks again first), or whose container has.

    Args:
        pool: whose workers these are.
        pods: the pool's Pods.
        workers: the pool's workers by the name of their Pod.
        memory: tells whom it was done for already.
        complete: whether all Pods are known, so that one that is missing has ended.
    """
    known = {pod.name: pod for pod in pods}
    found: list[actions.Reclaim] = []
    for name, seen in workers.items():
        pod = known.get(name)
        over = pod.ended if pod is not None else complete
        dead = seen if over else [one for one in seen if pod is not None and _outlived(pod, one, memory)]
        key = pool._replace(name=name)
        found += [actions.Reclaim(address, key, ids, restarted=not over) for address, ids in ids_by_queue(dead)]
    return found


def _outlived(pod: PodView, seen: Seen, memory: PoolMemory) -> bool:
    """Whether a worker started before its container ended last, by the one clock of their node."""
    _, worker = seen
    ended = pod.worker_ended_ms
    return ended is not None and 0 < worker.started_ms < ended and worker.id not in memory.mourned
