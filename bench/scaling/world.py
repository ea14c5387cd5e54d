"""The simulated world that both sides share: a queue, Pods that take time to start, and a ReplicaSet that deletes.

Discrete events, no clock and no chance: the same trace and the same controller give the same result.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from bench.scaling.traces import Job, Trace

START_SECONDS = 5.0
"""From the Pod's creation until its worker claims: the image is there, a process starts and connects."""
GRACE_SECONDS = 30.0
"""How long a worker that is told to stop may finish what it runs; what is left goes back to the queue."""
PATIENCE_SECONDS = 2 * 3600.0
"""So long after the last job fell due the simulation ends, whatever is unfinished."""


@dataclass(slots=True, eq=False)
class Pod:
    """A worker and its Pod."""

    name: str
    created: float
    ready: bool = False
    draining: bool = False
    leaving: bool = False
    """Whether it has been told to end."""
    cost: int | None = None
    """Its deletion cost."""
    held: dict[int, float] = field(default_factory=dict)
    """Job number → when it will be done."""


class Controller(Protocol):
    """Who decides how many workers there are."""

    def begin(self, world: World) -> None:
        """Take the world over, and plan the first look at it."""

    def woken(self) -> None:
        """The queue got work while it was empty."""


@dataclass
class World:
    """What happens to one trace under one controller."""

    trace: Trace
    controller: Controller
    now: float = 0.0
    replicas: int = 0
    pods: dict[str, Pod] = field(default_factory=dict)
    waiting: deque[Job] = field(default_factory=deque)
    delayed: list[float] = field(default_factory=list)
    """Due times of jobs that are enqueued and not due, a heap."""
    enqueued: int = 0
    done: dict[int, float] = field(default_factory=dict)
    """Job number → when it was completed."""
    busy_seconds: float = 0.0
    interrupted: int = 0
    paid_seconds: float = 0.0
    """Time from the creation to the end of each Pod, added up."""
    sizes: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])
    """When the number of Pods changed, and to what."""
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0
    _made: int = 0
    _turn: deque[Pod] = field(default_factory=deque)
    """Ready Pods in the order in which they are given jobs."""

    def run(self) -> World:
        """Play the trace until all is done and no Pod is left, or patience ends."""
        for job in self.trace.jobs:
            self.at(job.enqueued, lambda job=job: self._enqueue(job))  # type: ignore[misc]
        self.controller.begin(self)
        end = max(job.due for job in self.trace.jobs) + PATIENCE_SECONDS
        while self._events and not self._over():
            at, _, do = heapq.heappop(self._events)
            if at > end:
                self.now = end
                break
            self.now = at
            do()
        for pod in self.pods.values():
            self.paid_seconds += self.now - pod.created
        return self

    def _over(self) -> bool:
        return len(self.done) == len(self.trace.jobs) and not self.pods and not self.replicas

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something then; what is due at one moment is done in the order in which it was asked for."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, do))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """The same, some time from now."""
        self.at(self.now + seconds, do)

    # --- the queue

    @property
    def active(self) -> int:
        """Jobs that a worker holds."""
        return sum(len(pod.held) for pod in self.pods.values())

    def _enqueue(self, job: Job) -> None:
        self.enqueued += 1
        if job.due > self.now:
            heapq.heappush(self.delayed, job.due)
            self.at(job.due, lambda: self._due(job))
        else:
            self._offer(job)

    def _due(self, job: Job) -> None:
        heapq.heappop(self.delayed)
        self._offer(job)

    def _offer(self, job: Job) -> None:
        self.waiting.append(job)
        if len(self.waiting) == 1:
            self.controller.woken()
        self.claim()

    def claim(self) -> None:
        """Free slots take what waits: one job a worker in turn."""
        idle = 0
        while self.waiting and idle < len(self._turn):
            pod = self._turn[0]
            self._turn.rotate(-1)
            if pod.draining or pod.leaving or len(pod.held) >= self.trace.slots:
                idle += 1
                continue
            idle = 0
            self._start(pod, self.waiting.popleft())

    def _start(self, pod: Pod, job: Job) -> None:
        end = self.now + job.seconds
        pod.held[job.number] = end
        self.at(end, lambda: self._finish(pod, job, end))

    def _finish(self, pod: Pod, job: Job, end: float) -> None:
        if pod.held.get(job.number) != end:
            return  # it was interrupted
        del pod.held[job.number]
        self.done[job.number] = self.now
        self.busy_seconds += job.seconds
        if pod.leaving and not pod.held:
            self._gone(pod)
        self.claim()

    # --- the Pods

    def live(self) -> list[Pod]:
        """The Pods that the ReplicaSet counts."""
        return [pod for pod in self.pods.values() if not pod.leaving]

    def scale(self, replicas: int) -> None:
        """What a change of `spec.replicas` does: Pods are made, or deleted in the ReplicaSet's order."""
        self.replicas = replicas
        live = self.live()
        for _ in range(replicas - len(live)):
            self._made += 1
            pod = Pod(f"p{self._made}", self.now)
            self.pods[pod.name] = pod
            self.after(START_SECONDS, lambda pod=pod: self._ready(pod))  # type: ignore[misc]
        live.sort(key=lambda pod: (pod.ready, pod.cost or 0, -pod.created))
        for pod in live[: max(0, len(live) - replicas)]:
            self._end(pod)
        self._note()

    def _ready(self, pod: Pod) -> None:
        if pod.name in self.pods and not pod.leaving:
            pod.ready = True
            self._turn.append(pod)
            self.claim()

    def _end(self, pod: Pod) -> None:
        pod.leaving = True
        if pod.held:
            self.after(GRACE_SECONDS, lambda: self._cut(pod))
        else:
            self._gone(pod)

    def _cut(self, pod: Pod) -> None:
        """The grace period is over: what still runs goes back to the head of the queue and starts anew."""
        if pod.name not in self.pods:
            return
        by_number = {job.number: job for job in self.trace.jobs if job.number in pod.held}
        self.interrupted += len(pod.held)
        self.waiting.extendleft(by_number[number] for number in sorted(pod.held, reverse=True))
        pod.held.clear()
        self._gone(pod)
        self.controller.woken()
        self.claim()

    def _gone(self, pod: Pod) -> None:
        self.paid_seconds += self.now - pod.created
        del self.pods[pod.name]
        if pod in self._turn:
            self._turn.remove(pod)
        self._note()

    def _note(self) -> None:
        if self.sizes[-1][1] != len(self.pods):
            self.sizes.append((self.now, len(self.pods)))
