"""jobfleet's side: the operator's own functions, on the simulated world.

`scaling.decide` decides, `terms.load` and the queue's memory make its input, and `drain.plan` says who leaves and
when; only what observes and what carries out is simulated. Once a second, and at once when an empty queue gets work.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.scaling.world import Pod, World
from jobfleet.inspection import DRAIN_MS, QueueAddress, QueueSnapshot, WorkerView
from jobfleet_operator import drain, names, scaling, terms
from jobfleet_operator.look import REACTION_SECONDS
from jobfleet_operator.memory import QueueMemory, Sample, Starts
from jobfleet_operator.pods import PodView
from jobfleet_operator.world import Identity, Key

QUEUE = QueueAddress("bench", "jobs")
POOL = "pool"
SWEEP_SECONDS = 1.0
WAKE_SECONDS = 0.1
"""From a queue's wake event until the Deployment is patched."""


@dataclass
class Jobfleet:
    """A WorkerPool with this policy; the trace's slots, maximum and target take the place of the policy's."""

    policy: scaling.Policy
    size: int = 0
    history: scaling.History = field(default_factory=scaling.History)
    memory: QueueMemory = field(default_factory=QueueMemory)
    starts: Starts = field(default_factory=Starts)

    def begin(self, world: World) -> None:
        """Start the sweep."""
        self._world = world
        world.at(0.0, self._sweep)

    def woken(self) -> None:
        """The event from Redis."""
        self._world.after(WAKE_SECONDS, self._round)

    def _sweep(self) -> None:
        self._world.after(SWEEP_SECONDS, self._sweep)
        self._round()

    def _round(self) -> None:
        world, pods = self._world, self._world.live()
        seen = self._snapshot(pods)
        self.memory.measure(
            Sample(world.now, seen.enqueued_total, seen.finished_total, seen.busy_ms_total),
        )
        self.starts.note(world.now, (pod.name for pod in pods), [pod.name for pod in pods if pod.ready])
        load = terms.load(POOL, {QUEUE.queue: seen}, frozenset(), {QUEUE.queue: self.memory.flow()})
        observation = scaling.Observation(world.now, self.size, load, start_seconds=self.starts.seconds(None))
        decision = scaling.decide(observation, self.policy, self.history)
        self.size, self.history = decision.size, decision.history
        self._retreat(pods, seen)

    def _retreat(self, pods: list[Pod], seen: QueueSnapshot) -> None:
        workers = drain.workers_by_name(POOL, [seen])
        told = {(QUEUE, pod.name) for pod in pods if pod.draining}
        views = [_view(pod) for pod in pods]
        fleet = [drain.member(view, workers, [QUEUE.queue], told=told) for view in views if view.live]
        retreat = drain.plan(fleet, replicas=self._world.replicas, goal=self.size, rolling=False)
        by_name = self._world.pods
        for member in retreat.drain:
            by_name[member.pod.name].draining = True
        for member in retreat.undrain:
            by_name[member.pod.name].draining = False
        if retreat.undrain:
            self._world.claim()
        for pod in retreat.mark:
            by_name[pod.name].cost = names.VICTIM_COST
        for pod in retreat.unmark:
            by_name[pod.name].cost = None
        if retreat.replicas != self._world.replicas:
            self._world.scale(retreat.replicas)

    def _snapshot(self, pods: list[Pod]) -> QueueSnapshot:
        """What Redis would tell."""
        world = self._world
        now_ms = round(world.now * 1000)
        horizon = world.now + self.starts.seconds(None) + REACTION_SECONDS
        workers = tuple(
            WorkerView(pod.name, pod.name, POOL, world.trace.slots, len(pod.held), 10_000, pod.draining * DRAIN_MS)
            for pod in pods
            if pod.ready
        )
        return QueueSnapshot(
            address=QUEUE, now_ms=now_ms, waiting=len(world.waiting), active=world.active, delayed=len(world.delayed),
            delayed_due=0, delayed_soon=sum(due <= horizon for due in world.delayed),
            completed=0, failed=0, cancelled=0, forwarding=0,
            oldest_waiting_ms=round(world.waiting[0].due * 1000) if world.waiting else None,
            oldest_free_ms=round(world.waiting[0].due * 1000) if world.waiting else None,
            next_due_ms=round(world.delayed[0] * 1000) if world.delayed else None,
            enqueued_total=world.enqueued, completed_total=len(world.done), failed_total=0, retried_total=0,
            reclaimed_total=0, cancelled_total=0, busy_ms_total=round(world.busy_seconds * 1000),
            finished_total=len(world.done), settings=None, workers=workers,
        )  # fmt: skip


def _view(pod: Pod) -> PodView:
    identity = Identity(Key(QUEUE.realm, pod.name), pod.name, "1", 1, "")
    phase = "Running" if pod.ready else "Pending"
    return PodView(identity, POOL, phase, pod.ready, True, pod.leaving, "r", "ReplicaSet", pod.cost)
