"""Dead workers: whose jobs go back to the queue without waiting for the end of a lease. Pure."""

from collections.abc import Mapping, Sequence

from jobfleet.inspection import QueueAddress, WorkerView
from jobfleet_operator import actions
from jobfleet_operator.drain import Seen
from jobfleet_operator.memory import PoolMemory
from jobfleet_operator.pods import PodView
from jobfleet_operator.world import Key


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
        key = pool._replace(name=name)
        by_queue: dict[QueueAddress, list[str]] = {}
        for address, worker in seen:
            if over or (pod is not None and _outlived(pod, worker, seen, memory)):
                by_queue.setdefault(address, []).append(worker.id)
        found += [actions.Reclaim(place, key, tuple(ids), restarted=not over) for place, ids in by_queue.items()]
    return found


def _outlived(pod: PodView, worker: WorkerView, seen: Sequence[Seen], memory: PoolMemory) -> bool:
    """Whether a worker ran in a container that has ended, by the one clock of their node.

    One that started before the end did. Kubernetes tells the end in whole seconds; of one that started in that
    second a younger worker with the same process id tells: in one run of a container no two have it.
    """
    ended, started = pod.worker_ended_ms, worker.started_ms
    if ended is None or not started or worker.id in memory.mourned:
        return False
    return started < ended or (
        started < ended + 1000 and any(one.started_ms > started and one.process == worker.process for _, one in seen)
    )
