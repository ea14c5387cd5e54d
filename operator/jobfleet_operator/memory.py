"""What the acting operator remembers between two rounds.

All of it may be lost at any moment: after a restart the first window of every pool only goes up,
every Deployment and Secret is applied once more, and nothing else is different.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import NamedTuple
from zlib import crc32

from jobfleet.inspection import DRAIN_MS, QueueAddress
from jobfleet_operator.scaling import History
from jobfleet_operator.scaling.quota import Claim
from jobfleet_operator.world import Key, Manifest, PoolResource, QueueResource

RATE_WINDOW_SECONDS = 10.0
FLOW_WINDOW_SECONDS = 60.0
SAMPLE_SECONDS = 1.0
STARTS = 5
"""So many starts are remembered."""
DEFAULT_START_SECONDS = 10
MOST_START_SECONDS = 300
"""One that took longer was waiting for something else; it counts, and is told, as this long."""
BURST_SHARE = 0.1
"""So many of the busiest samples do not count for the rate of arrivals: a burst is backlog, not a rate."""

REFRESH_SECONDS = 300.0
"""Secrets and PodDisruptionBudgets are not watched; one that somebody changed is mended by applying it this often."""


def refresh_seconds(uid: str) -> float:
    """Each queue and pool has its own time, so that a thousand are not applied in the same second."""
    return REFRESH_SECONDS * (1.0 + crc32(uid.encode()) / 2**32)


class Sample(NamedTuple):
    """Counters of a queue at one time."""

    seconds: float
    arrived: int
    finished: int
    busy_ms: int


class Flow(NamedTuple):
    """What goes through a queue, measured lately."""

    arrivals_per_minute: int = 0
    service_ms: int | None = None
    """Mean run time of an attempt, rounded up, at least 1: jobs that take no time would ask for nobody. None: none has
    ended yet."""
    finished: int = 0
    """Attempts that the mean is of."""


@dataclass(slots=True)
class StatusMemory:
    """The status that was written last, and when."""

    written: Manifest | None = None
    written_at: float = 0.0
    retry_at: float = 0.0
    """Not written before this time, after a failure."""


@dataclass(slots=True)
class Starts:
    """How long the pool's workers took to start lately, from the time that their Pod was seen to the first lease."""

    lately: deque[float] = field(default_factory=lambda: deque(maxlen=STARTS))
    _began: dict[str, float] | None = None
    """Pods that have no worker yet → when they were seen first; None before the first look."""
    _known: set[str] = field(default_factory=set)

    def note(self, seconds: float, pods: Iterable[str], working: Collection[str]) -> None:
        """Note the Pods that there are now, and which of them have a worker."""
        names = set(pods)
        if self._began is None:
            # Of those that were there before, nobody knows since when.
            self._began, self._known = {}, names
            return
        for name in names - self._known:
            self._began[name] = seconds
        self._known = names
        for name in list(self._began):
            if name in working:
                self.lately.append(min(seconds - self._began.pop(name), MOST_START_SECONDS))
            elif name not in names:
                del self._began[name]

    def seconds(self, told: int | None) -> int:
        """The longest of the last few, in whole seconds; before the first: what was told before, or a guess."""
        if not self.lately:
            return DEFAULT_START_SECONDS if told is None else min(told, MOST_START_SECONDS)
        return ceil(max(self.lately))


@dataclass(slots=True)
class PoolMemory:
    """About one WorkerPool; one that was deleted and made anew is another."""

    uid: str = ""
    goal: int | None = None
    """The wanted size; None before the first decision."""
    history: History = field(default_factory=History)
    limited: bool = False
    """Whether something keeps it from having what it needs."""
    claim: Claim | None = None
    """What it would have without quotas, as it was when it was decided about last."""
    proven: bool = False
    """Whether any of its Pods has served."""
    starts: Starts = field(default_factory=Starts)
    decision: Manifest | None = None
    """`status.lastDecision` as it should read."""
    why: str = ""
    generation: int | None = None
    """Generation of the Deployment after the operator's last write to it."""
    strangers: set[str] = field(default_factory=set)
    """Pods that workers name and the watch does not show, looked up and left alone."""
    queues: frozenset[str] = frozenset()
    """Queues that had workers of it at the last look."""
    dark: dict[str, float] = field(default_factory=dict)
    """Pods of which cannot be seen what they hold, and since when that is so."""
    told: dict[tuple[QueueAddress, str], float] = field(default_factory=dict)
    """When workers, and names of workers to come, were last told to drain."""
    mourned: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    """Workers taken for dead because their container ended: once each, in case a node's clock was set back."""
    mark: tuple[int, str, str] | None = None
    """Generation and connection, and the fingerprint of the Deployment that they make: it is not made each second."""
    short_since: float | None = None
    """Since when fewer Pods are ready than the Deployment asks for; None: none is missing."""
    budget: tuple[int, ...] | None = None
    """What its PodDisruptionBudget was applied for: generation of the pool, percent, workers to keep in a roll-out."""
    budget_at: float = 0.0
    refusal: str = ""
    """What the API server refused that scaling needs, and why; "" when it did not."""
    said: str = ""
    """The trouble that the last warning was about."""
    failures: int = 0
    retry_at: float = 0.0
    """No writes for this pool before this time, after failures; 0 since it was changed."""
    changes: int = 0
    """How often it was changed: what failed before the last one says nothing of now."""
    status: StatusMemory = field(default_factory=StatusMemory)

    def restart(self) -> None:
        """The size that was thought to be is not the one that is: begin with that one, and at first only go up."""
        self.goal, self.history = None, History()

    def tell(self, address: QueueAddress, workers: Iterable[str], seconds: float) -> None:
        """Note who was told to drain at this time."""
        self.told = {key: at for key, at in self.told.items() if seconds - at < DRAIN_MS / 1000}
        self.told |= {(address, worker): seconds for worker in workers}


@dataclass(slots=True)
class QueueMemory:
    """About one JobQueue; one that was deleted and made anew is another."""

    uid: str = ""
    secret_url: str | None = None
    """The Redis URL in the Secret that was applied last; None before the first."""
    secret_at: float = 0.0
    refusal: str = ""
    """Why the Secret could not be written the last time; "" when it could."""
    completions: deque[tuple[float, int]] = field(default_factory=deque)
    """Recent (seconds, completed so far), for the rate."""
    samples: deque[Sample] = field(default_factory=deque)
    failures: int = 0
    retry_at: float = 0.0
    changes: int = 0
    """As of a pool."""
    status: StatusMemory = field(default_factory=StatusMemory)

    def measure(self, now: Sample) -> None:
        """Note the counters of this moment."""
        recent = self.samples
        if recent and now.finished < recent[-1].finished:
            recent.clear()
        if recent and now.seconds - recent[-1].seconds < SAMPLE_SECONDS * 0.9:
            return
        recent.append(now)
        while now.seconds - recent[0].seconds > FLOW_WINDOW_SECONDS:
            recent.popleft()

    def flow(self) -> Flow:
        """What went through in the last minute; run times of all that ever ended when nothing did since."""
        if not self.samples:
            return Flow()
        first, last = self.samples[0], self.samples[-1]
        finished, busy = last.finished - first.finished, last.busy_ms - first.busy_ms
        if not finished:
            finished, busy = last.finished, last.busy_ms
        return Flow(self._arrivals(), max(1, ceil(busy / finished)) if finished else None, finished)

    def _arrivals(self) -> int:
        """Arrivals a minute, without bursts."""
        rates = sorted(
            (later.arrived - sooner.arrived) / (later.seconds - sooner.seconds)
            for sooner, later in pairwise(self.samples)
        )
        calm = rates[: len(rates) - ceil(len(rates) * BURST_SHARE)]
        return round(60 * sum(calm) / len(calm)) if calm else 0

    def count(self, seconds: float, completed: int) -> tuple[int, float]:
        """Note the counter of completed jobs; returns how many were completed in how many seconds lately."""
        recent = self.completions
        if recent and completed < recent[-1][1]:
            recent.clear()
        if not recent or seconds - recent[-1][0] >= 1.0:
            recent.append((seconds, completed))
        while len(recent) > 2 and seconds - recent[1][0] >= RATE_WINDOW_SECONDS:
            recent.popleft()
        return completed - recent[0][1], seconds - recent[0][0]


class Memory:
    """All of it, by queue and pool."""

    def __init__(self) -> None:
        self.queues: dict[Key, QueueMemory] = {}
        self.pools: dict[Key, PoolMemory] = {}

    def of_queue(self, queue: QueueResource) -> QueueMemory:
        """What is remembered of this queue, or a new page for it."""
        memory = self.queues.get(queue.key)
        if memory is None or memory.uid != queue.identity.uid:
            memory = self.queues[queue.key] = QueueMemory(queue.identity.uid)
        return memory

    def of_pool(self, pool: PoolResource) -> PoolMemory:
        """What is remembered of this pool, or a new page for it."""
        memory = self.pools.get(pool.key)
        if memory is None or memory.uid != pool.identity.uid:
            memory = self.pools[pool.key] = PoolMemory(pool.identity.uid)
        return memory

    def keep_only(self, queues: Collection[Key], pools: Collection[Key]) -> None:
        """Forget about what is gone."""
        for key in [key for key in self.pools if key not in pools]:
            del self.pools[key]
        for key in [key for key in self.queues if key not in queues]:
            del self.queues[key]

    def forget(self) -> None:
        """Begin anew: others have acted since."""
        self.queues.clear()
        self.pools.clear()
