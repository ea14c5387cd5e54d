"""How many workers may be evicted at a time: a PodDisruptionBudget that never stands in the way for good. Pure.

A budget keeps node drains from taking the whole pool at once. It blocks for good wherever Pods that
are to be ready never are: then there is nothing to protect by it, and it lets everything go.
"""

from collections.abc import Sequence

from jobfleet_operator import actions, resources
from jobfleet_operator.memory import PoolMemory, refresh_seconds
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.pods import PodView
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
    seconds: float,
) -> list[actions.SetBudget]:
    """Keep the PodDisruptionBudget as it should be at this time (`seconds`); the memory takes over what is seen."""
    if seen.ready >= seen.replicas:
        memory.short_since = None
    elif memory.short_since is None:
        memory.short_since = seconds
    stuck = memory.short_since is not None and seconds - memory.short_since > SHORT_SECONDS
    percent = EVERYTHING if stuck or cramped(seen, pods) else spec.disruption_percent
    wanted, said = (pool.identity.generation, percent), pool.status
    if memory.budget is None and (said.get("observedGeneration"), said.get("disruptionPercent")) == wanted:
        memory.budget, memory.budget_at = wanted, seconds  # an earlier operator has done it
    if memory.budget == wanted and seconds - memory.budget_at < refresh_seconds(pool.identity.uid):
        return []
    without = spec.disruption_percent == EVERYTHING
    return [actions.SetBudget(None if without else resources.disruption_budget(pool, percent), wanted)]


def cramped(seen: DeploymentView, pods: Sequence[PodView]) -> bool:
    """Whether new Pods find no room in the cluster, or in the namespace's quota: the present ones would be missed."""
    return bool(seen.problem) or any(pod.live and pod.trouble and pod.trouble[0] == "Unschedulable" for pod in pods)
