"""What is known when something is decided, and what a decision about a pool is made from. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import ValidationError

from jobfleet.inspection import QueueAddress, QueueSnapshot
from jobfleet_operator import drain, floors, limits, lineage, scaling, status, terms
from jobfleet_operator.cache import Cache
from jobfleet_operator.memory import Flow, PoolMemory, QueueMemory
from jobfleet_operator.models import LastDecision, WorkerPoolSpec
from jobfleet_operator.world import Key, Manifest, PoolResource

REACTION_SECONDS = 2
"""From the time that a delayed job could be seen until a Pod is made for it, at the latest."""

Trouble = tuple[str, str]
"""A reason in CamelCase and a sentence."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at everything that a round is about."""

    cache: Cache
    urls: Mapping[Key, str | None]
    """Redis URL by queue; None: it is not known where the queue lives."""
    problems: Mapping[Key, str]
    """Why it is not known, by queue."""
    snapshots: Mapping[QueueAddress, QueueSnapshot]
    outages: Mapping[str, str]
    """By Redis URL: what is wrong with it for long enough to be said."""
    seconds: float
    now: datetime
    term: int
    """The term of leadership, so that decision numbers rise over all replicas."""
    unreadable: Mapping[QueueAddress, str] = field(default_factory=dict)
    """Why single queues cannot be read, for long enough to be said, in a Redis that answers."""
    shares: Mapping[Key, scaling.Limit] = field(default_factory=dict)
    """What quotas leave to those pools that cannot have all they want."""
    _served: dict[Key, list[Key]] = field(default_factory=dict, repr=False, compare=False)

    def served(self, pool: PoolResource, memory: PoolMemory) -> list[Key]:
        """The queues that the pool's workers have to do with: one answer for the whole look, see `lineage.py`."""
        found = self._served.get(pool.key)
        if found is None:
            found = self._served[pool.key] = list(lineage.served(self.cache, pool, memory))
        return found


def address(queue: Key) -> QueueAddress:
    """The place of a JobQueue in its Redis: its namespace is the realm."""
    return QueueAddress(queue.namespace, queue.name)


def queue_trouble(look: Look, queue: Key) -> Trouble | None:
    """Why nothing can be known about a queue, when that is certain."""
    resource = look.cache.queues.get(queue)
    if resource is None:
        return "QueueNotFound", f"spec.queues names {queue.name}, and there is no such JobQueue: apply it"
    if resource.spec is None:
        return "InvalidSpec", resource.problem
    url = look.urls.get(queue)
    if url is None:
        problem = look.problems.get(queue, "")
        return ("RedisUnknown", problem) if problem else None
    return None if address(queue) in look.snapshots else _silence(look, queue, url)


def _silence(look: Look, queue: Key, url: str) -> Trouble | None:
    if outage := look.outages.get(url, ""):
        return "RedisUnreachable", f"the fleet is held as it is: {outage}"
    if unreadable := look.unreadable.get(address(queue), ""):
        return "QueueUnreadable", f"queue {queue.name} cannot be read, its pools are held: {unreadable}"
    return None


def pool_trouble(look: Look, pool: PoolResource, queues: list[Key]) -> Trouble | None:
    """Why a pool cannot be scaled, when that is certain."""
    if pool.spec is None:
        return "InvalidSpec", pool.problem
    for floor in pool.spec.scaling.floors:
        if wrong := floors.problem(floor):
            return "InvalidSpec", wrong
    for queue in queues:
        trouble = queue_trouble(look, queue)
        if trouble is not None:
            return trouble
    if len({look.urls.get(queue) for queue in queues} - {None}) > 1:
        return "QueuesApart", (
            "the queues of spec.queues live in different Redis servers, and a worker has one connection: "
            "make a WorkerPool for each"
        )
    return None


def observation(
    look: Look,
    pool: PoolResource,
    memory: PoolMemory,
    queue_memories: Mapping[Key, QueueMemory],
    trouble: Trouble | None,
) -> scaling.Observation | None:
    """What the decision is made from; None: there is none to be made."""
    if pool.spec is None or (trouble is not None and trouble[0] not in status.HELD):
        return None
    queues = queues_of(pool)
    # Jobs that its workers still hold of queues which it does not name any more need them, and no others.
    former = [queue for queue in look.served(pool, memory) if queue not in queues and _read(look, queue)]
    snapshots = {queue.name: look.snapshots.get(address(queue)) for queue in [*queues, *former]}
    resting = frozenset(queue.name for queue in [*queues, *former] if queue in former or _paused(look, queue))
    flows = _flows(pool.spec, queues, queue_memories)
    before = size_before(look, pool, memory)
    floor, called = floors.highest(pool.spec.scaling.floors, look.now)
    leaving = frozenset(pod.name for pod in look.cache.pods_of(pool.key) if pod.deleting)
    served = working(workers_of(look, pool, memory))
    ahead = (start_seconds(pool, memory) + REACTION_SECONDS) * 1000
    load = terms.load(pool.key.name, snapshots, resting, flows, leaving, ahead)
    found = [
        limits.broken(look.cache.pods_of(pool.key), served, before, proven=memory.proven),
        look.shares.get(pool.key),
        limits.by_queues(
            [
                _held(look, queue, pool)
                if queue.name in resting
                else _passage(look, queue, pool, queue_memories.get(queue), ahead)
                for queue in [*queues, *former]
            ],
            pool.spec.concurrency,
            least=max(pool.spec.min_replicas, floor),
        ),
    ]
    return scaling.Observation(
        now=look.seconds,
        size=before,
        load=load,
        floor=floor,
        floor_name=called,
        limits=tuple(limit for limit in found if limit is not None),
        start_seconds=start_seconds(pool, memory),
    )


def start_seconds(pool: PoolResource, memory: PoolMemory) -> int:
    """How long this pool's workers take to come up; before it was measured, what an earlier operator did."""
    return memory.starts.seconds(pool.status.get("startSeconds"))


def ahead_ms(cache: Cache, queue: Key, memories: Mapping[Key, PoolMemory]) -> int:
    """How far ahead to look at a queue's delayed jobs: as long as the slowest of its pools takes to react and start."""
    slowest = 0
    for key in cache.pools_of(queue):
        pool = cache.pools[key]
        slowest = max(slowest, start_seconds(pool, memories.get(key) or PoolMemory()))
    return (slowest + REACTION_SECONDS) * 1000


def note_pods(look: Look, pool: PoolResource, memory: PoolMemory) -> None:
    """Note what the pool's Pods show: that they can run, and how long they take to start."""
    pods = look.cache.pods_of(pool.key)
    workers = workers_of(look, pool, memory)
    served = working(workers)
    silent = {name for name in memory.queues if not _read(look, Key(pool.key.namespace, name))}
    memory.queues = frozenset(place.queue for seen in workers.values() for place, _ in seen) | silent
    memory.starts.note(look.seconds, (pod.name for pod in pods), served)
    memory.proven = memory.proven or any(limits.serves(pod, served) for pod in pods)


def with_status(pool: PoolResource, memory: PoolMemory) -> PoolResource:
    """The pool with the status as it was written last; what an earlier operator left is taken over."""
    if memory.status.written is not None:
        return replace(pool, status=memory.status.written)
    if memory.decision is None:
        memory.decision = _decision_of(pool.status)
        memory.why = "; ".join((memory.decision or {}).get("reasons", []))
        memory.generation = memory.generation or pool.status.get("deploymentGeneration")
    return pool


def size_before(look: Look, pool: PoolResource, memory: PoolMemory) -> int:
    """The size that was wanted until now."""
    if memory.goal is not None:
        return memory.goal
    deployment = look.cache.deployments.get(pool.key)
    if deployment is None:
        return 0
    released = sum(1 for pod in look.cache.pods_of(pool.key) if pod.released and pod.live)
    said = pool.status.get("desiredReplicas") or 0
    # Within a roll-out the Deployment has only those for which there was room beside the older ones.
    return max(deployment.replicas, min(said, deployment.replicas + released))


def queues_of(pool: PoolResource) -> list[Key]:
    """The JobQueues that a pool names."""
    return [] if pool.spec is None else [Key(pool.key.namespace, name) for name in pool.spec.queues]


def workers_of(look: Look, pool: PoolResource, memory: PoolMemory) -> dict[str, list[drain.Seen]]:
    """The pool's workers by the name of their Pod, in all queues that they may serve."""
    seen = [look.snapshots.get(address(queue)) for queue in look.served(pool, memory)]
    return drain.workers_by_name(pool.key.name, [one for one in seen if one])


def working(workers: Mapping[str, Sequence[drain.Seen]]) -> set[str]:
    """Names of those with a live lease."""
    return {name for name, seen in workers.items() if any(worker.lease_ms >= 0 for _, worker in seen)}


def _flows(spec: WorkerPoolSpec, queues: list[Key], memories: Mapping[Key, QueueMemory]) -> dict[str, Flow]:
    """What goes through the queues, where the pool's policy asks for it."""
    if spec.scaling.drain_within_seconds is None:
        return {}
    return {queue.name: memories[queue].flow() for queue in queues if queue in memories}


def _passage(
    look: Look, queue: Key, pool: PoolResource, memory: QueueMemory | None, ahead_ms: int
) -> limits.Passage | None:
    """What a queue lets run, where something limits it."""
    snapshot = look.snapshots.get(address(queue))
    if snapshot is None:
        return None
    busy = _busy(snapshot, pool)
    rated = snapshot.settings is not None and snapshot.settings.rate_count > 0
    service_ms = memory.flow().service_ms if rated and memory is not None else None
    return limits.passage(snapshot, busy, service_ms, ahead_ms)


def _held(look: Look, queue: Key, pool: PoolResource) -> limits.Passage | None:
    """The same of a queue of which the pool gets no more jobs than it holds."""
    snapshot = look.snapshots.get(address(queue))
    return None if snapshot is None else limits.Passage(queue.name, _busy(snapshot, pool), "")


def _busy(snapshot: QueueSnapshot, pool: PoolResource) -> int:
    return sum(worker.busy for worker in snapshot.workers if worker.pool == pool.key.name)


def _read(look: Look, queue: Key) -> bool:
    return address(queue) in look.snapshots


def _paused(look: Look, queue: Key) -> bool:
    resource = look.cache.queues.get(queue)
    return resource is not None and resource.spec is not None and resource.spec.paused


def _decision_of(status_: Manifest) -> Manifest | None:
    """The decision that an earlier operator left in the status; one that cannot be read counts as none."""
    try:
        return LastDecision.model_validate(status_.get("lastDecision")).model_dump(by_alias=True)
    except ValidationError:
        return None
