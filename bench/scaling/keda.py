"""KEDA and the HPA by their published defaults, as a model.

What is modelled, and where it is written:

- KEDA asks the scaler every `pollingInterval`, 30 s. Above the activation threshold (0 for a Redis list) it makes one
  replica of zero, and no more; after `cooldownPeriod`, 300 s, in which the scaler was not active it sets zero replicas,
  from whatever number there is. https://keda.sh/docs/latest/reference/scaledobject-spec/ and
  `pkg/scaling/executor/scale_scaledobjects.go` in kedacore/keda
- The Redis list scaler reports the length of the list, which is what waits: a job that a worker has taken is not in it.
  The target is an AverageValue. https://keda.sh/docs/latest/scalers/redis-lists/
- From one replica up the HPA decides: every `--horizontal-pod-autoscaler-sync-period`, 15 s,
  `ceil(metric / target)` unless that is within 10 % of what there is; up at once, by at most the larger of 100 % and
  4 Pods in 15 s; down to the highest recommendation of the last 300 s, in one step; never below one.
  https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ and `pkg/apis/autoscaling/v2/defaults.go`,
  `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` in kubernetes/kubernetes

In favour of that side: the metric is exact and fresh at each look, reading and writing take no time, and the workers
are jobfleet's: told to stop, they finish what they can within the grace period and hand the rest back at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

from bench.scaling.world import World

POLL_SECONDS = 30.0
COOLDOWN_SECONDS = 300.0
SYNC_SECONDS = 15.0
SYNC_OFFSET_SECONDS = 7.0
"""The two loops know nothing of each other."""
TOLERANCE = 0.1
DOWN_WINDOW_SECONDS = 300.0
UP_PERCENT, UP_PODS, UP_PERIOD_SECONDS = 100, 4, 15.0


@dataclass
class Keda:
    """A ScaledObject with one Redis list trigger, and the HPA that it makes."""

    active_at: float | None = None
    recommended: list[tuple[float, int]] = field(default_factory=list)
    grown: list[tuple[float, int]] = field(default_factory=list)
    """When the HPA added how many."""

    def begin(self, world: World) -> None:
        """Start both loops."""
        self._world = world
        world.at(0.0, self._poll)
        world.at(SYNC_OFFSET_SECONDS, self._sync)

    def woken(self) -> None:
        """Nobody listens: the next look finds it."""

    def _poll(self) -> None:
        world = self._world
        world.after(POLL_SECONDS, self._poll)
        if world.waiting:
            self.active_at = world.now
            if not world.replicas:
                world.scale(1)
        elif world.replicas and (self.active_at is None or world.now - self.active_at >= COOLDOWN_SECONDS):
            world.scale(0)

    def _sync(self) -> None:
        world = self._world
        world.after(SYNC_SECONDS, self._sync)
        if not world.replicas:
            return  # the HPA does nothing at zero
        present, waiting, target = world.replicas, len(world.waiting), world.trace.per_worker
        ratio = waiting / (target * present)
        desired = present if abs(ratio - 1) <= TOLERANCE else ceil(waiting / target)
        goal = max(1, min(self._stabilized(desired, present), world.trace.most, self._up_limit(present)))
        if goal > present:
            self.grown.append((world.now, goal - present))
        if goal != present:
            world.scale(goal)

    def _stabilized(self, desired: int, present: int) -> int:
        now = self._world.now
        self.recommended = [one for one in self.recommended if now - one[0] < DOWN_WINDOW_SECONDS]
        self.recommended.append((now, desired))
        if desired >= present:
            return desired
        return min(present, max(size for _, size in self.recommended))

    def _up_limit(self, present: int) -> int:
        lately = sum(by for at, by in self.grown if self._world.now - at < UP_PERIOD_SECONDS)
        before = present - lately
        return max(before + UP_PODS, ceil(before * (1 + UP_PERCENT / 100)))
