"""How many workers may be evicted at a time: a PodDisruptionBudget that never stands in the way for good. Pure.

A budget keeps node drains from taking the whole pool at once. It blocks for good wherever Pods that
are to be ready never are: then there is nothing to protect by it, and it lets everything go.

What a share is of, Kubernetes asks the controllers of the Pods: their scale. A WorkerPool's is its floor, so that of
the workers that a roll-out has given to it almost all might be evicted. While there are such the budget is a number.
"""

from collections.abc import Sequence

from jobfleet_operator import actions, resources, status
from jobfleet_operator.memory import PoolMemory, refresh_seconds
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.pods import NO_NODE, PodView
from jobfleet_operator.world import DeploymentView, PoolResource

SHORT_SECONDS = 60.0
"""A pool that lacks ready Pods for longer than this will not have them soon."""
EVERYTHING = 100
"""Percent; in the spec: without a budget."""


def plan(
    pool: PoolResource,
    spec: WorkerPoolSpec,
    seen: DeploymentView,
    pods: Sequence[PodView],
    memory: PoolMemory,
    *,
    wanted: int,
    seconds: float,
) -> list[actions.SetBudget]:
    """Keep the PodDisruptionBudget as it should be at this time (`seconds`); the memory takes over what is seen.

    `wanted` is how many workers the pool should have.
    """
    if seen.ready >= seen.replicas:
        memory.short_since = None
    elif memory.short_since is None:
        memory.short_since = seconds
    stuck = memory.short_since is not None and seconds - memory.short_since > SHORT_SECONDS
    percent = EVERYTHING if stuck or cramped(seen, pods) else spec.disruption_percent
    budget: tuple[int, ...] = (pool.identity.generation, percent)
    least = None
    if percent < EVERYTHING and any(pod.released and pod.live for pod in pods):
        least = keep(max(wanted, sum(1 for pod in pods if pod.live)), percent)
        budget += (least,)
    if memory.budget is None and budget == _told(pool):
        memory.budget, memory.budget_at = budget, seconds  # an earlier operator has done it
    if memory.budget == budget and seconds - memory.budget_at < refresh_seconds(pool.identity.uid):
        return []
    without = spec.disruption_percent == EVERYTHING
    return [actions.SetBudget(None if without else resources.disruption_budget(pool, percent, least), budget)]


def recount(action: actions.SetBudget, memory: PoolMemory) -> bool:
    """Whether the change is a number within a roll-out, of which the status does not tell."""
    return len(action.budget) > 2 and memory.budget is not None and memory.budget[:2] == action.budget[:2]


def keep(workers: int, percent: int) -> int:
    """How many of them must stay when so many percent of them, rounded up, may go.

    >>> keep(10, 25), keep(1, 25), keep(0, 25)
    (7, 0, 0)
    """
    return workers * (100 - percent) // 100


def _told(pool: PoolResource) -> tuple[int, ...] | None:
    """The budget that the status tells of; None within a roll-out, of which it does not tell all."""
    said = pool.status
    if any(one["type"] == status.ROLLED_OUT and one["status"] != "True" for one in said.get("conditions") or []):
        return None
    return said.get("observedGeneration", 0), said.get("disruptionPercent", 0)


def cramped(seen: DeploymentView, pods: Sequence[PodView]) -> bool:
    """Whether new Pods find no room in the cluster, or in the namespace's quota: the present ones would be missed."""
    return bool(seen.problem) or any(pod.live and pod.trouble and pod.trouble[0] in NO_NODE for pod in pods)
