"""From what was observed and decided to what is to be done: a list of actions. Pure.

Level-based: the plan follows from the whole scene, never from the event that woke the loop, so
that it can be made again at any time and a missed event costs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from pydantic import BaseModel

from jobfleet.inspection import DRAIN_MS, QueueAddress
from jobfleet_operator import (
    actions,
    disruption,
    drain,
    names,
    reclaim,
    report,
    resources,
    rollout,
    scaling,
    status,
    terms,
)
from jobfleet_operator.actions import Action
from jobfleet_operator.drain import Seen
from jobfleet_operator.memory import PoolMemory, QueueMemory, StatusMemory, refresh_seconds
from jobfleet_operator.models import WorkerPoolSpec
from jobfleet_operator.pods import PodView
from jobfleet_operator.world import DeploymentView, PoolResource, QueueResource

# --- queues ----------------------------------------------------------------------------------------


MISSED_SECONDS = 10.0
"""A Secret that a Pod waits for is applied this often at most: kubelets look again a while after it is there."""


@dataclass(frozen=True, slots=True)
class QueueScene:
    """One JobQueue with all that belongs to it."""

    facts: report.QueueFacts
    redis_url: str | None
    missed: bool
    """Whether a Pod waits for the Secret."""
    memory: QueueMemory
    seconds: float
    """Now, on the clock that never goes back."""
    now: datetime


def plan_queue(scene: QueueScene) -> list[Action]:
    """Keep the Secret, the settings in Redis, and the status as the JobQueue says."""
    queue, memory = scene.facts.queue, scene.memory
    plan: list[Action] = []
    if queue.spec is not None and scene.redis_url is not None:
        fresh = MISSED_SECONDS if scene.missed else refresh_seconds(queue.identity.uid)
        stale = scene.seconds - memory.secret_at >= fresh
        if stale or memory.secret_url != scene.redis_url:
            secret = resources.connection_secret(queue, scene.redis_url)
            plan.append(actions.ApplySecret(secret, scene.redis_url))
        snapshot, wanted = scene.facts.snapshot, terms.settings(queue.spec)
        if snapshot is not None and snapshot.settings != wanted:
            plan.append(actions.PushSettings(snapshot.address, wanted, queue.cause))
    if plan and memory.secret_url is None and not memory.failures:
        return plan  # what is to be said will be known in a moment
    said = report.queue_status(scene.facts, scene.now)
    if said is not None and memory.secret_url is not None:
        mark = resources.connection(memory.secret_url, queue.key.namespace)
        said = said.model_copy(update={"connection": mark})
    plan += _status(said, names.JOB_QUEUES, queue, memory.status, scene)
    return plan


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
    unread: frozenset[QueueAddress] = frozenset()
    """Queues of its Pods that could not be read."""
    dark: frozenset[str] = frozenset()
    """Pods of which cannot be seen what they hold."""


def plan_pool(scene: PoolScene) -> list[Action]:
    """Keep the pool's Deployment as its spec says and bring it towards the decided size."""
    plan: list[Action] = []
    goal = scene.goal_before if scene.decision is None else scene.decision.size
    spec = scene.pool.spec
    if spec is not None and not _taken(scene):
        plan += reclaim.plan(scene.pool.key, scene.pods, scene.workers, scene.memory, complete=scene.pods_complete)
        fleet = _fleet(scene, spec, goal)
        if not any(type(action) in actions.REFUSED for action in fleet):
            scene.memory.refusal = ""  # what was refused is not wanted any more
        plan += fleet
        if scene.deployment is not None:
            wanted = goal if spec.mode == "Auto" else scene.deployment.replicas
            plan += disruption.plan(
                scene.pool, spec, scene.deployment, scene.pods, scene.memory, wanted=wanted, seconds=scene.seconds
            )
    plan += _notes(scene, goal)
    trouble = scene.trouble or own_trouble(scene)
    facts = report.PoolFacts(
        pool=scene.pool,
        goal=goal,
        why=scene.memory.why if trouble is None else f"held at {goal}: {trouble[0]}",
        busy=frozenset(name for name, seen in scene.workers.items() if any(worker.busy for _, worker in seen)),
        limit=None if scene.decision is None else scene.decision.limit,
        behind_circuit=scene.load is not None and scene.load.behind_circuit > 0,
        deployment=scene.deployment,
        pods=scene.pods,
        dark=scene.dark,
        trouble=trouble,
        decision=scene.memory.decision,
        deployment_generation=scene.memory.generation,
        disruption_percent=scene.memory.budget[1] if scene.memory.budget else None,
        start_seconds=max(map(ceil, scene.memory.starts.lately), default=scene.pool.status.get("startSeconds")),
    )
    coming = any(
        isinstance(action, actions.ApplyDeployment)
        or (isinstance(action, actions.SetBudget) and not disruption.recount(action, scene.memory))
        for action in plan
    )
    if trouble is None and (coming or scene.deployment is None):
        return plan  # what is to be said will be known in a moment
    said = report.pool_status(facts, scene.now)
    plan += _status(said, names.WORKER_POOLS, scene.pool, scene.memory.status, scene)
    return plan


def _fleet(scene: PoolScene, spec: WorkerPoolSpec, goal: int) -> list[Action]:
    """Drain and mark, then the Deployment with as many replicas as it may have now."""
    seen = scene.deployment
    # Nobody goes then, but a fallback may have raised the size.
    unknown = scene.decision is not None and scene.load is None
    if seen is None:
        if scene.connection is None or (scene.load is None and not (unknown and goal)):
            return []
        first = goal if spec.mode == "Auto" else min(spec.min_replicas, spec.max_replicas)
        manifest = resources.deployment(scene.pool, spec, first, scene.connection)
        return [actions.ApplyDeployment(manifest, scaling=_scaling(scene, spec, 0, first))]
    plan: list[Action] = []
    replicas = seen.replicas
    told = _told(scene)
    members = [
        drain.member(pod, scene.workers, spec.queues, told=told, unread=scene.unread, dark=scene.dark)
        for pod in scene.pods
        if pod.live
    ]
    fleet = [member for member in members if not member.pod.released]
    older = [member for member in members if member.pod.released]
    plan += [actions.Adopt(member.pod.identity) for member in older if not member.pod.owner]
    most_surge = rollout.surge(spec.rollout.max_surge, goal)
    room = rollout.room(goal=goal, most_surge=most_surge, old=len(older), new=len(fleet))
    rolling = rollout.rolling(seen, fleet)
    if rolling and seen.settled and seen.paused:
        plan.append(actions.Release(scene.pool.key))
    if spec.mode == "Auto" and (older or unknown):
        replicas = max(replicas, room)
    if scene.decision is not None and scene.load is not None:
        retreat = drain.plan(
            fleet,
            replicas=seen.replicas,
            # What is only recommended takes no worker away, and gives back those that were to go.
            goal=room if spec.mode == "Auto" else max(seen.replicas, len(fleet)),
            rolling=rolling,
            unseen=bool(_unseen(scene) - scene.memory.strangers),
        )
        replicas = retreat.replicas if spec.mode == "Auto" else seen.replicas
        succession = rollout.plan(
            older,
            fleet,
            goal=goal if spec.mode == "Auto" else seen.replicas,
            cramped=disruption.cramped(seen, scene.pods),
        )
        tell = [*retreat.drain, *succession.drain, *_ending(scene)]
        plan += [actions.Drain(*whom) for whom in drain.by_queue(tell)]
        plan += [actions.Undrain(*whom) for whom in drain.by_queue(retreat.undrain + succession.undrain)]
        plan += [actions.RemovePod(pod.identity) for pod in succession.remove]
        plan += [actions.SetDeletionCost(pod.identity.key, names.VICTIM_COST) for pod in retreat.mark]
        plan += [actions.SetDeletionCost(pod.identity.key, None) for pod in retreat.unmark]
    changed = scene.connection is not None and seen.applied != _mark(scene, spec, scene.connection)
    pause = rollout.pause(seen, fleet, older, changed=changed)
    if pause:
        replicas = seen.replicas
    elif seen.paused and spec.mode == "Auto":
        replicas = min(replicas, max(room, seen.existing))
    # Pods that start before the Secret is up to date would start with the old connection.
    if scene.connection is not None and (changed or pause != seen.paused or _drifted(scene, seen)):
        manifest = resources.deployment(scene.pool, spec, replicas, scene.connection, paused=pause)
        step = _scaling(scene, spec, seen.replicas, replicas, rolling=bool(older))
        plan.append(actions.ApplyDeployment(manifest, seen, step))
    elif replicas != seen.replicas:
        step = _scaling(scene, spec, seen.replicas, replicas, rolling=bool(older))
        plan.append(actions.SetReplicas(replicas, seen, step))
    return plan


def _scaling(
    scene: PoolScene, spec: WorkerPoolSpec, before: int, after: int, *, rolling: bool = False
) -> actions.Scaling | None:
    """What the audit tells of a change of the Deployment's size; None where it has none, or was not scaled."""
    if spec.mode != "Auto" or before == after:
        return None
    key, decision = scene.pool.key, scene.memory.decision
    what = f"WorkerPool {key.name} from {before} to {after} workers"
    if decision is not None:
        what += f", decision {decision['number']} of term {decision['term']}"
    queues = tuple(QueueAddress(key.namespace, queue) for queue in spec.queues)
    return actions.Scaling(
        queues, abs(after - before), what, "a roll-out makes or leaves room" if rolling else scene.memory.why
    )


def _drifted(scene: PoolScene, seen: DeploymentView) -> bool:
    """Whether the Deployment is not, or may not be, as the operator left it."""
    return (
        seen.owner_uid != scene.pool.identity.uid
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


def _told(scene: PoolScene) -> set[tuple[QueueAddress, str]]:
    """Names whose worker, when it comes up, is given no job by that queue for some time to come."""
    until = scene.seconds - (DRAIN_MS - drain.CERTAIN_MS) / 1000
    return {key for key, at in scene.memory.told.items() if at > until}


def _ending(scene: PoolScene) -> list[drain.Member]:
    """Workers to be told whose Pod is ended: one that was coming up may not know."""
    ending = [drain.Member(pod, tuple(scene.workers.get(pod.name, ()))) for pod in scene.pods if pod.deleting]
    return [member for member in ending if member.workers and member.to_be_told]


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
