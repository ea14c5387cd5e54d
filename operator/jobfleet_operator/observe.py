"""Puts the scenes together: what is known of each queue and pool at this moment. Pure.

It joins the cache's records with the snapshots from Redis and with what is remembered, lets
`scaling.decide` decide, and hands the scenes to `reconcile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from jobfleet.inspection import QueueAddress, QueueSnapshot
from jobfleet_operator import drain, floors, reconcile, report, resources, scaling, status
from jobfleet_operator.cache import Cache
from jobfleet_operator.memory import Flow, PoolMemory, QueueMemory
from jobfleet_operator.models import LastDecision, WorkerPoolSpec
from jobfleet_operator.world import Key, Manifest, PoolResource, QueueResource

LOOK_AHEAD_SECONDS = 10
"""What a Pod may take until it works: so long before a delayed job is due, one worker is wanted."""

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


def address(queue: Key) -> QueueAddress:
    """The place of a JobQueue in its Redis: its namespace is the realm."""
    return QueueAddress(queue.namespace, queue.name)


def queue_scene(
    look: Look, queue: QueueResource, memory: QueueMemory, pools: Mapping[Key, PoolMemory]
) -> reconcile.QueueScene:
    """All about one JobQueue."""
    snapshot = look.snapshots.get(address(queue.key))
    jobs, span = (0, 0.0) if snapshot is None else memory.count(look.seconds, snapshot.completed_total)
    servers = [
        report.Server(pools[key].goal or 0, pools[key].limited)
        for key in sorted(look.cache.pools_of(queue.key))
        if key in pools
    ]
    if memory.status.written is not None:
        queue = replace(queue, status=memory.status.written)
    return reconcile.QueueScene(
        facts=report.QueueFacts(
            queue=queue,
            snapshot=snapshot,
            trouble=queue_trouble(look, queue.key),
            servers=servers,
            rate=status.rate(jobs, span),
            dead_letter_trouble=dead_letter_trouble(look, queue),
        ),
        redis_url=look.urls.get(queue.key),
        memory=memory,
        seconds=look.seconds,
        now=look.now,
    )


def dead_letter_trouble(look: Look, queue: QueueResource) -> Trouble | None:
    """What is wrong with the queue that gets the jobs which fail for good."""
    name = queue.spec.dead_letter_queue if queue.spec is not None else None
    if not name or queue.spec is None:
        return None
    target = look.cache.queues.get(Key(queue.key.namespace, name))
    if target is None:
        return "NotFound", f"spec.deadLetterQueue names {name}, and there is no such JobQueue: apply it"
    if target.spec is not None and target.spec.redis != queue.spec.redis:
        where = f"spec.deadLetterQueue names {name}, which lives in another Redis, and jobs cannot go there"
        return "OtherRedis", f"{where}: name a JobQueue with the same spec.redis"
    return None


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
    outage = look.outages.get(url, "")
    return ("RedisUnreachable", f"the fleet is held as it is: {outage}") if outage else None


def pool_scene(
    look: Look, pool: PoolResource, memory: PoolMemory, queue_memories: Mapping[Key, QueueMemory]
) -> reconcile.PoolScene:
    """All about one WorkerPool, with the decision about its size; the memory takes the decision over."""
    deployment = look.cache.deployments.get(pool.key)
    before = memory.goal
    if before is None:
        before = deployment.replicas if deployment is not None else 0
    if memory.status.written is not None:
        pool = replace(pool, status=memory.status.written)
    elif memory.decision is None:
        memory.decision = _decision_of(pool.status)
        memory.why = (memory.decision or {}).get("reasons", [""])[0]
        memory.generation = memory.generation or pool.status.get("deploymentGeneration")
    queues = [] if pool.spec is None else [Key(pool.key.namespace, name) for name in pool.spec.queues]
    snapshots = {queue.name: look.snapshots.get(address(queue)) for queue in queues}
    workers = drain.workers_by_name(pool.key.name, [seen for seen in snapshots.values() if seen])
    trouble = pool_trouble(look, pool, queues)
    decision, seen_load = None, None
    if pool.spec is not None and (trouble is None or trouble[0] == "RedisUnreachable"):
        paused = frozenset(queue.name for queue in queues if _paused(look, queue))
        flows = _flows(pool.spec, queues, queue_memories)
        leaving = frozenset(pod.name for pod in look.cache.pods_of(pool.key) if pod.released or pod.deleting)
        seen_load = reconcile.load(pool.key.name, snapshots, paused, flows, leaving)
        floor, called = floors.highest(pool.spec.scaling.floors, look.now)
        if floor < 1 and (due := _due_soon(snapshots, paused)):
            floor, called = 1, due
        observation = scaling.Observation(look.seconds, before, seen_load, floor, called)
        decision = scaling.decide(observation, reconcile.policy(pool.spec), memory.history)
        _remember(memory, decision, observation, pool.spec, look)
    else:
        memory.history = scaling.History()
    return reconcile.PoolScene(
        pool=pool,
        deployment=deployment,
        pods=look.cache.pods_of(pool.key),
        workers=workers,
        goal_before=before,
        decision=decision,
        load=seen_load,
        trouble=trouble,
        connection=None if trouble and trouble[0] == "QueuesApart" else _connection(look, queues, queue_memories),
        pods_complete=look.cache.synced,
        memory=memory,
        seconds=look.seconds,
        now=look.now,
    )


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


def _due_soon(snapshots: Mapping[str, QueueSnapshot | None], paused: frozenset[str]) -> str:
    """Names a delayed job that falls due so soon that a worker should be on its way; "" when none does.

    No seconds in the name: it would be another reason each second.
    """
    for name, snapshot in snapshots.items():
        if snapshot is None or snapshot.next_due_ms is None or name in paused:
            continue
        if snapshot.next_due_ms - snapshot.now_ms <= LOOK_AHEAD_SECONDS * 1000:
            return f"a delayed job of {name} that is due within {LOOK_AHEAD_SECONDS} s"
    return ""


def _flows(spec: WorkerPoolSpec, queues: list[Key], memories: Mapping[Key, QueueMemory]) -> dict[str, Flow]:
    """What goes through the queues, where the pool's policy asks for it."""
    if spec.scaling.drain_within_seconds is None:
        return {}
    return {queue.name: memories[queue].flow() for queue in queues if queue in memories}


def _connection(look: Look, queues: list[Key], memories: Mapping[Key, QueueMemory]) -> str | None:
    """Fingerprint of the connection that new Pods find in their Secret; None while it may be an old one."""
    if not queues or queues[0] not in memories:
        return None
    url = look.urls.get(queues[0])
    if url is None or memories[queues[0]].secret_url != url:
        return None
    return resources.connection(url, queues[0].namespace)


def _decision_of(status_: Manifest) -> Manifest | None:
    """The decision that an earlier operator left in the status; one that cannot be read counts as none."""
    try:
        return LastDecision.model_validate(status_.get("lastDecision")).model_dump(by_alias=True)
    except ValidationError:
        return None


def _paused(look: Look, queue: Key) -> bool:
    resource = look.cache.queues.get(queue)
    return resource is not None and resource.spec is not None and resource.spec.paused


def _remember(
    memory: PoolMemory,
    decision: scaling.Decision,
    observation: scaling.Observation,
    spec: WorkerPoolSpec,
    look: Look,
) -> None:
    before, load = observation.size, observation.load
    memory.history, memory.goal, memory.limited = decision.history, decision.size, decision.limited
    if not memory.why:
        memory.why = decision.reasons[0]
    if decision.size == before or load is None:
        return
    memory.why = decision.reasons[0]
    number = (memory.decision or {}).get("number", 0) + 1
    memory.decision = {
        "number": number,
        "term": look.term,
        "time": status.timestamp(look.now),
        "fromReplicas": before,
        "toReplicas": decision.size,
        "reasons": list(decision.reasons),
        "backlog": load.backlog,
        "busySlots": load.busy_slots,
        "minReplicas": spec.min_replicas,
        "maxReplicas": spec.max_replicas,
        "backlogPerWorker": spec.scaling.backlog_per_worker,
        "concurrency": spec.concurrency,
        "tolerancePercent": spec.scaling.tolerance_percent,
        "drainWithinSeconds": spec.scaling.drain_within_seconds,
        "maxAgeSeconds": spec.scaling.max_age_seconds,
        "waiting": load.waiting,
        "serviceMs": load.service_ms,
        "arrivalsPerMinute": load.arrivals_per_minute,
        "oldestSeconds": load.oldest_seconds,
        "floor": observation.floor,
    }
