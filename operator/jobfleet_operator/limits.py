"""What keeps a pool from growing beside its maximum and its quota: Pods that cannot run. Pure."""

from collections.abc import Collection, Sequence

from jobfleet_operator.scaling import Limit
from jobfleet_operator.world import PodView

TRIAL = 3
"""So many Pods try whether the template works, while none of its Pods ever did."""

NOT_THE_PODS_FAULT = frozenset({"Unschedulable"})
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
