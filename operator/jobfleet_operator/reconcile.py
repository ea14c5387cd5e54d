"""From what was observed and decided to what is to be done: a list of actions. Pure.

Level-based: the plan follows from the whole scene, never from the event that woke the loop, so
that it can be made again at any time and a missed event costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from zlib import crc32

from pydantic import BaseModel

from jobfleet.inspection import QueueAddress, QueueSettings, QueueSnapshot
from jobfleet_operator import actions, drain, names, report, resources, scaling, status
from jobfleet_operator.actions import Action
from jobfleet_operator.drain import Seen
from jobfleet_operator.memory import Flow, PoolMemory, QueueMemory, StatusMemory
from jobfleet_operator.models import JobQueueSpec, WorkerPoolSpec
from jobfleet_operator.world import DeploymentView, PodView, PoolResource, QueueResource

SECRET_REFRESH_SECONDS = 300.0
"""Secrets are not watched; one that somebody changed is mended by applying it this often."""


# --- observe → what scaling needs ------------------------------------------------------------------


def policy(spec: WorkerPoolSpec) -> scaling.Policy:
    """The pool's spec as the policy of `scaling.decide`."""
    up, down = spec.scaling.scale_up, spec.scaling.scale_down
    return scaling.Policy(
        min_workers=spec.min_replicas,
        max_workers=spec.max_replicas,
        concurrency=spec.concurrency,
        backlog_per_worker=spec.scaling.backlog_per_worker,
        drain_within_seconds=spec.scaling.drain_within_seconds,
        max_age_seconds=spec.scaling.max_age_seconds,
        tolerance_percent=spec.scaling.tolerance_percent,
        up=scaling.Growth(up.stabilization_seconds, up.percent_per_step),
        down=scaling.Shrinkage(down.stabilization_seconds, down.percent_per_step, down.period_seconds),
    )


def load(
    pool: str,
    snapshots: Mapping[str, QueueSnapshot | None],
    paused: frozenset[str],
    flows: Mapping[str, Flow],
) -> scaling.Load | None:
    """The load of a pool over its queues; None when one of them is not known.

    Jobs that workers of another pool run are theirs: this one need not grow for them. The waiting jobs of
    a paused queue wait for a person.
    """
    backlog = busy = waiting = upcoming = oldest = arrivals = finished = busy_ms = 0
    for name, snapshot in snapshots.items():
        if snapshot is None:
            return None
        theirs = sum(worker.busy for worker in snapshot.workers if worker.pool != pool)
        backlog += max(0, snapshot.active - theirs)
        busy += sum(worker.busy for worker in snapshot.workers if worker.pool == pool)
        flow = flows.get(name, Flow())
        finished += flow.finished
        busy_ms += flow.finished * (flow.service_ms or 0)
        if name in paused:
            continue
        waiting += snapshot.waiting + snapshot.delayed_due
        upcoming += snapshot.delayed_soon
        arrivals += flow.arrivals_per_minute
        if snapshot.oldest_waiting_ms is not None:
            oldest = max(oldest, (snapshot.now_ms - snapshot.oldest_waiting_ms) // 1000)
    return scaling.Load(
        backlog=backlog + waiting,
        busy_slots=busy,
        waiting=waiting,
        service_ms=busy_ms // finished if finished else None,
        arrivals_per_minute=arrivals,
        oldest_seconds=oldest,
        upcoming=upcoming,
    )


def settings(spec: JobQueueSpec) -> QueueSettings:
    """What a JobQueue has to say to Redis."""
    kept, limits = spec.retention, spec.limits
    group = limits.per_group
    return QueueSettings(
        max_deliveries=spec.max_deliveries,
        keep_completed=kept.completed.count,
        keep_completed_seconds=kept.completed.age_seconds,
        keep_failed=kept.failed.count,
        keep_failed_seconds=kept.failed.age_seconds,
        max_job_bytes=spec.max_job_bytes,
        max_length=limits.max_length or 0,
        max_memory_percent=limits.max_memory_percent or 0,
        max_active=limits.max_active or 0,
        rate_count=limits.rate.count if limits.rate else 0,
        rate_ms=1000 * limits.rate.seconds if limits.rate else 1000,
        group_max_active=group.max_active or 0,
        group_rate_count=group.rate.count if group.rate else 0,
        group_rate_ms=1000 * group.rate.seconds if group.rate else 1000,
        paused=spec.paused,
        return_running=spec.running_when_paused == "Return",
        dead_letter=spec.dead_letter_queue or "",
    )


# --- queues ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QueueScene:
    """One JobQueue with all that belongs to it."""

    facts: report.QueueFacts
    redis_url: str | None
    memory: QueueMemory
    seconds: float
    """Now, on the clock that never goes back."""
    now: datetime


def plan_queue(scene: QueueScene) -> list[Action]:
    """Keep the Secret, the settings in Redis, and the status as the JobQueue says."""
    queue, memory = scene.facts.queue, scene.memory
    plan: list[Action] = []
    if queue.spec is not None and scene.redis_url is not None:
        stale = scene.seconds - memory.secret_at >= secret_refresh(queue.identity.uid)
        if stale or memory.secret_url != scene.redis_url:
            secret = resources.connection_secret(queue, scene.redis_url)
            plan.append(actions.ApplySecret(secret, scene.redis_url))
        snapshot, wanted = scene.facts.snapshot, settings(queue.spec)
        if snapshot is not None and snapshot.settings != wanted:
            plan.append(actions.PushSettings(snapshot.address, wanted))
    said = report.queue_status(scene.facts, scene.now)
    if said is not None and memory.secret_url is not None:
        mark = resources.connection(memory.secret_url, queue.key.namespace)
        said = said.model_copy(update={"connection": mark})
    plan += _status(said, names.JOB_QUEUES, queue, memory.status, scene)
    return plan


def secret_refresh(uid: str) -> float:
    """Each queue has its own time, so that a thousand Secrets are not applied in the same second."""
    return SECRET_REFRESH_SECONDS * (1.0 + crc32(uid.encode()) / 2**32)


# --- pools -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PoolScene:
    """One WorkerPool with all that belongs to it, and what was decided about it."""

    pool: PoolResource
    deployment: DeploymentView | None
    pods: Sequence[PodView]
    workers: Mapping[str, Sequence[Seen]]
    """The pool's workers by the name of their Pod."""
    goal_before: int
    decision: scaling.Decision | None
    """None: the spec cannot be read or a queue is not there; the pool stays as it is."""
    load: scaling.Load | None
    trouble: tuple[str, str] | None
    """Why the pool cannot be scaled."""
    connection: str | None
    """Fingerprint of the connection in its queue's Secret; None: the Secret is not up to date yet."""
    pods_complete: bool
    """Whether all Pods are known, so that one that is missing has ended."""
    memory: PoolMemory
    seconds: float
    now: datetime


def plan_pool(scene: PoolScene) -> list[Action]:
    """Keep the pool's Deployment as its spec says and bring it towards the decided size."""
    plan: list[Action] = []
    goal = scene.goal_before if scene.decision is None else scene.decision.size
    spec = scene.pool.spec
    if spec is not None and not _taken(scene):
        plan += _reclaims(scene)
        plan += _fleet(scene, spec, goal)
    plan += _notes(scene, goal)
    trouble = scene.trouble or own_trouble(scene)
    facts = report.PoolFacts(
        pool=scene.pool,
        goal=goal,
        why=scene.memory.why if trouble is None else f"held at {goal}: {trouble[0]}",
        busy_workers=sum(1 for seen in scene.workers.values() if any(worker.busy for _, worker in seen)),
        limit=None if scene.decision is None else scene.decision.limit,
        deployment=scene.deployment,
        pods=scene.pods,
        trouble=trouble,
        decision=scene.memory.decision,
        deployment_generation=scene.memory.generation,
        start_seconds=max(map(ceil, scene.memory.starts.lately), default=scene.pool.status.get("startSeconds")),
    )
    if trouble is None and any(isinstance(action, actions.ApplyDeployment) for action in plan):
        return plan  # what is to be said will be known in a moment
    said = report.pool_status(facts, scene.now)
    plan += _status(said, names.WORKER_POOLS, scene.pool, scene.memory.status, scene)
    return plan


def _fleet(scene: PoolScene, spec: WorkerPoolSpec, goal: int) -> list[Action]:
    """Drain and mark, then the Deployment with as many replicas as it may have now."""
    seen = scene.deployment
    if seen is None:
        if scene.connection is None or scene.load is None:
            return []
        first = goal if spec.mode == "Auto" else min(spec.min_replicas, spec.max_replicas)
        return [actions.ApplyDeployment(resources.deployment(scene.pool, spec, first, scene.connection))]
    plan: list[Action] = []
    replicas = seen.replicas
    if scene.decision is not None and scene.load is not None:
        fleet = drain.members(scene.pods, scene.workers)
        retreat = drain.plan(
            fleet,
            replicas=seen.replicas,
            # What is only recommended takes no worker away, and gives back those that were to go.
            goal=goal if spec.mode == "Auto" else max(seen.replicas, len(fleet)),
            rolling=_rolling(seen, scene.pods),
            unseen=bool(_unseen(scene) - scene.memory.strangers),
        )
        replicas = retreat.replicas if spec.mode == "Auto" else seen.replicas
        plan += [actions.Drain(*told) for told in _by_queue(retreat.drain)]
        plan += [actions.Undrain(*told) for told in _by_queue(retreat.undrain)]
        plan += [actions.SetDeletionCost(pod.identity.key, names.VICTIM_COST) for pod in retreat.mark]
        plan += [actions.SetDeletionCost(pod.identity.key, None) for pod in retreat.unmark]
    # Pods that start before the Secret is up to date would start with the old connection.
    if scene.connection is not None and _drifted(scene, spec, scene.connection, seen):
        manifest = resources.deployment(scene.pool, spec, replicas, scene.connection)
        plan.append(actions.ApplyDeployment(manifest))
    elif replicas != seen.replicas:
        version = seen.identity.resource_version if replicas < seen.replicas else None
        plan.append(actions.SetReplicas(scene.pool.key, replicas, version))
    return plan


def _drifted(scene: PoolScene, spec: WorkerPoolSpec, connection: str, seen: DeploymentView) -> bool:
    """Whether the Deployment is not, or may not be, as the operator left it."""
    return (
        seen.applied != _mark(scene, spec, connection)
        or seen.owner_uid != scene.pool.identity.uid
        or any(seen.labels.get(key) != value for key, value in resources.pool_labels(scene.pool.key.name).items())
        or scene.memory.generation is None
        or seen.identity.generation > scene.memory.generation
    )


def _mark(scene: PoolScene, spec: WorkerPoolSpec, connection: str) -> str:
    """The fingerprint that the Deployment should carry; made anew when the pool or its connection changed."""
    memory, generation = scene.memory, scene.pool.identity.generation
    if memory.mark is None or memory.mark[:2] != (generation, connection):
        memory.mark = (generation, connection, resources.mark(scene.pool, spec, connection))
    return memory.mark[2]


def _unseen(scene: PoolScene) -> set[str]:
    """Pods that live workers name and the watch does not show (yet)."""
    known = {pod.name for pod in scene.pods}
    return {
        name
        for name, seen in scene.workers.items()
        if name not in known and any(worker.lease_ms >= 0 for _, worker in seen)
    }


def _rolling(seen: DeploymentView, pods: Sequence[PodView]) -> bool:
    """Whether Pods of two templates are around, or the Deployment controller has not caught up."""
    revisions = {pod.revision for pod in pods if pod.live}
    return len(revisions) > 1 or (seen.existing > 0 and seen.updated < seen.existing)


def _taken(scene: PoolScene) -> bool:
    """Whether the Deployment of this name belongs to something else."""
    seen = scene.deployment
    return seen is not None and seen.owner_uid not in {"", scene.pool.identity.uid}


def own_trouble(scene: PoolScene) -> tuple[str, str] | None:
    """Why the Deployment cannot be made or changed, as (reason, sentence)."""
    if _taken(scene):
        return "DeploymentTaken", (
            f"the Deployment {scene.pool.key.name} belongs to something else: "
            "delete it, or give the WorkerPool another name"
        )
    if scene.memory.refusal:
        return "DeploymentRefused", scene.memory.refusal
    return None


def _by_queue(fleet: Sequence[drain.Member]) -> list[tuple[QueueAddress, tuple[str, ...]]]:
    """Worker ids by queue: a worker of two queues must be told in both."""
    told: dict[QueueAddress, list[str]] = {}
    for member in fleet:
        for address, worker in member.workers:
            told.setdefault(address, []).append(worker.id)
    return [(address, tuple(ids)) for address, ids in told.items()]


def _reclaims(scene: PoolScene) -> list[Action]:
    """Workers whose Pod has ended or is gone; whoever carries it out looks again first."""
    known = {pod.name: pod for pod in scene.pods}
    plan: list[Action] = []
    for name, seen in scene.workers.items():
        pod = known.get(name)
        if (pod is None and scene.pods_complete) or (pod is not None and pod.ended):
            key = scene.pool.key._replace(name=name)
            by_queue: dict[QueueAddress, list[str]] = {}
            for address, worker in seen:
                by_queue.setdefault(address, []).append(worker.id)
            plan += [actions.Reclaim(address, key, tuple(ids)) for address, ids in by_queue.items()]
    return plan


def _notes(scene: PoolScene, goal: int) -> list[Action]:
    """Events: every change of the wanted size, and trouble when it is new."""
    pool, plan = scene.pool, list[Action]()

    def note(reason: str, message: str, *, warn: bool = False) -> None:
        identity = pool.identity
        plan.append(actions.Note(names.WORKER_POOL, identity, reason, message, "Warning" if warn else "Normal"))

    if scene.decision is not None and goal != scene.goal_before:
        why = "; ".join(scene.decision.reasons)
        reason = "ScalingUp" if goal > scene.goal_before else "ScalingDown"
        if pool.spec is not None and pool.spec.mode == "Recommend":
            reason = "Recommended"
        note(reason, f"from {scene.goal_before} to {goal} workers: {why}")
    trouble = scene.trouble or own_trouble(scene)
    if trouble is not None and trouble[0] != scene.memory.said:
        note(trouble[0], trouble[1], warn=True)
    if trouble is None and scene.memory.said:
        note("Recovered", f"{scene.memory.said} is over: the pool is scaled again")
    return plan


def _status(
    said: BaseModel | None,
    plural: str,
    subject: QueueResource | PoolResource,
    memory: StatusMemory,
    scene: QueueScene | PoolScene,
) -> list[Action]:
    """The status, if it is worth a write."""
    if said is None or scene.seconds < memory.retry_at:
        return []
    after = said.model_dump(by_alias=True, exclude_none=True)
    age = status.FRESH_SECONDS if memory.written is None else scene.seconds - memory.written_at
    # What is old is compared with what is really there, in case somebody else wrote it.
    before = subject.status if memory.written is None or age >= status.FRESH_SECONDS else memory.written
    if not status.matters(before, after, age_seconds=age, now=scene.now):
        return []
    return [actions.PatchStatus(plural, subject.identity, after, calm=status.only_numbers(before, after))]
