"""Puts the scenes together: what is known of each queue and pool at this moment. Pure.

It joins the cache's records with the snapshots from Redis and with what is remembered, lets
`scaling.decide` decide, and hands the scenes to `reconcile`.
"""

from collections.abc import Mapping
from dataclasses import replace

from jobfleet_operator import lineage, names, reconcile, report, resources, scaling, status, terms
from jobfleet_operator.look import (
    Look,
    Trouble,
    address,
    ahead_ms,
    note_pods,
    observation,
    pool_trouble,
    queue_trouble,
    queues_of,
    size_before,
    with_status,
    workers_of,
)
from jobfleet_operator.memory import REFRESH_SECONDS, PoolMemory, QueueMemory, refresh_seconds
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.world import Key, PoolResource, QueueResource

__all__ = ["Look", "address", "ahead_ms", "note_pods", "pool_scene", "queue_scene"]


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
    url = look.urls.get(queue.key)
    if memory.status.written is not None:
        queue = replace(queue, status=memory.status.written)
    elif memory.secret_url is None and url and queue.status.get("connection") == _mark_of(url, queue.key):
        # An earlier operator wrote this Secret: each is applied again at some time of its own.
        memory.secret_url = url
        memory.secret_at = look.seconds - (2 * REFRESH_SECONDS - refresh_seconds(queue.identity.uid))
    return reconcile.QueueScene(
        facts=report.QueueFacts(
            queue=queue,
            snapshot=snapshot,
            trouble=queue_trouble(look, queue.key),
            servers=servers,
            rate=status.rate(jobs, span),
            refusal=_refusal(look, queue.key, memory),
            dead_letter_trouble=dead_letter_trouble(look, queue),
        ),
        redis_url=url,
        missed=_missed(look, queue.key),
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


def pool_scene(
    look: Look, pool: PoolResource, memory: PoolMemory, queue_memories: Mapping[Key, QueueMemory]
) -> reconcile.PoolScene:
    """All about one WorkerPool, with the decision about its size; the memory takes the decision over."""
    pool = with_status(pool, memory)
    before, queues = size_before(look, pool, memory), queues_of(pool)
    trouble = pool_trouble(look, pool, queues)
    seen = observation(look, pool, memory, queue_memories, trouble)
    decision = None
    if pool.spec is not None and seen is not None:
        decision = scaling.decide(seen, terms.policy(pool.spec), memory.history)
        _remember(memory, decision, seen, pool.spec, look)
    else:
        memory.history = scaling.History()
    if trouble is None and queues and queues[0] in queue_memories:
        trouble = _refusal(look, queues[0], queue_memories[queues[0]])
    places = {address(queue) for queue in look.served(pool, memory)}
    unread = frozenset(place for place in places if place not in look.snapshots)
    return reconcile.PoolScene(
        pool=pool,
        deployment=look.cache.deployments.get(pool.key),
        pods=look.cache.pods_of(pool.key),
        workers=workers_of(look, pool, memory),
        goal_before=before,
        decision=decision,
        load=None if seen is None else seen.load,
        trouble=trouble,
        connection=None if trouble and trouble[0] == "QueuesApart" else _connection(look, queues, queue_memories),
        pods_complete=look.cache.synced,
        memory=memory,
        seconds=look.seconds,
        now=look.now,
        unread=unread,
        dark=lineage.dark(look.cache.pods_of(pool.key), unread, memory, look.seconds),
    )


def _refusal(look: Look, queue: Key, memory: QueueMemory) -> Trouble | None:
    """Why new Pods would not find the connection. While only its renewal is refused they do."""
    if not memory.refusal or memory.secret_url == look.urls.get(queue):
        return None
    return "SecretRefused", memory.refusal


def _missed(look: Look, queue: Key) -> bool:
    """Whether a Pod waits for the queue's Secret."""
    said = f'"{names.connection_secret(queue.name)}" not found'
    pods = (pod for pool in look.cache.pools_of(queue) for pod in look.cache.pods_of(pool))
    return any(pod.trouble is not None and said in pod.trouble[1] for pod in pods)


def _connection(look: Look, queues: list[Key], memories: Mapping[Key, QueueMemory]) -> str | None:
    """Fingerprint of the connection that new Pods find in their Secret; None while it may be an old one."""
    if not queues or queues[0] not in memories:
        return None
    url = look.urls.get(queues[0])
    if url is None or memories[queues[0]].secret_url != url:
        return None
    return _mark_of(url, queues[0])


def _mark_of(url: str, queue: Key) -> str:
    return resources.connection(url, queue.namespace)


def _remember(
    memory: PoolMemory,
    decision: scaling.Decision,
    observation: scaling.Observation,
    spec: WorkerPoolSpec,
    look: Look,
) -> None:
    before, aged_at = observation.size, memory.history.aged_at
    memory.history, memory.goal, memory.limited = decision.history, decision.size, decision.limit is not None
    if not memory.why or decision.size != before:
        memory.why = "; ".join(decision.reasons)
    if decision.size == before:
        return
    known, fallback = observation.load is not None, spec.scaling.fallback
    load = observation.load or scaling.Load(0)
    number = (memory.decision or {}).get("number", 0) + 1
    tightest = min(observation.limits, key=lambda limit: limit.most, default=None)
    memory.decision = {
        "number": number,
        "term": look.term,
        "time": status.timestamp(look.now),
        "fromReplicas": before,
        "toReplicas": decision.size,
        "reasons": list(decision.reasons),
        "backlog": load.backlog if known else None,
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
        "agedSeconds": None if aged_at is None else int(observation.now - aged_at),
        "floor": observation.floor,
        "fallback": None if known or fallback is None else fallback.workers,
        "upcoming": load.upcoming,
        "behindCircuit": load.behind_circuit,
        "startSeconds": observation.start_seconds,
        "limit": tightest.most if tightest else None,
        "limitReason": tightest.words if tightest else None,
    }
