"""What the operator finds to say about a queue and a pool: health, reasons, and the whole status.

Pure. Messages hold no number that moves by itself, so that a status does not change with each job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobfleet.inspection import QueueSnapshot
from jobfleet_operator import circuits, resources, status
from jobfleet_operator.models import JobQueueStatus, LastDecision, WorkerPoolStatus
from jobfleet_operator.pods import PodView
from jobfleet_operator.scaling import Limit
from jobfleet_operator.status import Finding
from jobfleet_operator.world import DeploymentView, Manifest, PoolResource, QueueResource

LATE_SECONDS = 60.0
"""A job that waits longer than this with nobody to run it makes the queue unhealthy."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a queue needs to know of a pool that works on it."""

    goal: int
    limited: bool
    """Whether more workers are wanted than it may have."""


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """All that the status of a JobQueue is made from."""

    queue: QueueResource
    snapshot: QueueSnapshot | None
    trouble: tuple[str, str] | None
    """Why nothing can be known, as (reason, sentence); None: nothing is wrong or it is too early to say."""
    servers: Sequence[Server]
    rate: str
    dead_letter_trouble: tuple[str, str] | None = None
    """What is wrong with the queue that spec.deadLetterQueue names, as (reason, sentence)."""
    refusal: tuple[str, str] | None = None
    """Why workers cannot be given their connection to it, as (reason, sentence)."""


def queue_status(facts: QueueFacts, now: datetime) -> JobQueueStatus | None:
    """The status of a JobQueue; None: there is nothing new to say yet."""
    queue, snapshot = facts.queue, facts.snapshot
    generation, before = queue.identity.generation, queue.status
    if facts.trouble is not None:
        reason, message = facts.trouble
        health = "Invalid" if queue.spec is None else "Unreachable"
        ready = Finding(status.READY, "False", reason, message)
        return JobQueueStatus.model_validate(
            before
            | {
                "observedGeneration": generation,
                "health": health,
                "conditions": _conditions(before, [ready], generation, now),
            }
        )
    if snapshot is None:
        return None
    health, reason, message = queue_health(facts)
    ready = Finding(status.READY, "True", reason, message)
    if facts.refusal is not None:
        health, ready = "Degraded", Finding(status.READY, "False", *facts.refusal)
    found = [ready, *_dead_letter(facts)]
    if queue.spec is not None and queue.spec.circuit_breaker is not None:
        found.append(circuits.finding(snapshot))
    live = {worker.id for worker in snapshot.workers if worker.lease_ms >= 0}
    oldest = snapshot.oldest_waiting_ms
    if oldest is not None:
        oldest += _behind_ms(snapshot, now)
    return JobQueueStatus(
        observed_generation=generation,
        health=health,
        waiting=snapshot.waiting,
        active=snapshot.active,
        delayed=snapshot.delayed,
        failed=snapshot.failed,
        oldest_job_time=None if oldest is None else status.timestamp_of_ms(oldest),
        rate=facts.rate,
        workers=f"{len(live)}/{sum(server.goal for server in facts.servers)}",
        conditions=status.conditions(before.get("conditions", []), found, generation=generation, now=now),
    )


def _dead_letter(facts: QueueFacts) -> list[Finding]:
    """Whether what fails for good has somewhere to go, where it is to go somewhere."""
    target = facts.queue.spec.dead_letter_queue if facts.queue.spec is not None else None
    if not target:
        return []
    if facts.dead_letter_trouble is not None:
        return [Finding(status.DEAD_LETTER_READY, "False", *facts.dead_letter_trouble)]
    return [Finding(status.DEAD_LETTER_READY, "True", "Found", f"what fails for good goes to {target}")]


SKEW_SECONDS = 2.0
"""Clocks that differ by less are taken for the same: the times in a status must not tremble."""


def _behind_ms(snapshot: QueueSnapshot, now: datetime) -> int:
    """By how much Redis' clock is behind the operator's: `kubectl` counts ages by clocks like the latter."""
    behind = round(now.timestamp() * 1000) - snapshot.now_ms
    return behind if abs(behind) > SKEW_SECONDS * 1000 else 0


def queue_health(facts: QueueFacts) -> tuple[str, str, str]:
    """Health word, reason and sentence of a queue that can be read."""
    snapshot = facts.snapshot
    if snapshot is None or facts.queue.spec is None:
        return "Unreachable", "Unknown", "the queue has not been read yet"
    if facts.queue.spec.paused:
        return "Paused", "Paused", "spec.paused is true: jobs are accepted, none is started"
    circuit = circuits.of_queue(snapshot)
    if circuit is not None:
        return "Degraded", *circuits.trouble(snapshot, circuit)
    ready_jobs = snapshot.waiting + snapshot.delayed_due - circuits.behind_groups(snapshot, 0)
    oldest = snapshot.oldest_free_ms
    late = oldest is not None and snapshot.now_ms - oldest > LATE_SECONDS * 1000
    live = any(worker.lease_ms >= 0 for worker in snapshot.workers)
    if ready_jobs > 0 and not live:
        return _without_workers(facts.servers, late=late)
    if ready_jobs > 0 and late and facts.servers and all(server.limited for server in facts.servers):
        return (
            "Backlogged",
            "ScalingLimited",
            ("jobs wait for long and the pools may not grow: see the condition ScalingLimited of the WorkerPool"),
        )
    return "Healthy", "Serving", "jobs are accepted and run"


def _without_workers(servers: Sequence[Server], *, late: bool) -> tuple[str, str, str]:
    if not servers:
        return "NoWorkers", "NoPool", "jobs wait, and no WorkerPool names this queue in spec.queues"
    if late or not any(server.goal for server in servers):
        return "NoWorkers", "NoWorkers", "jobs wait, and no worker has come up: see the WorkerPool's conditions"
    return "Starting", "Starting", "jobs wait, workers are coming up"


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """All that the status of a WorkerPool is made from."""

    pool: PoolResource
    goal: int
    why: str
    busy: frozenset[str]
    """Names of workers that hold jobs."""
    limit: Limit | None
    """What allows fewer workers than are needed."""
    deployment: DeploymentView | None
    pods: Sequence[PodView]
    trouble: tuple[str, str] | None
    """Why the pool cannot be scaled, as (reason, sentence)."""
    decision: Manifest | None
    deployment_generation: int | None = None
    disruption_percent: int | None = None
    start_seconds: int | None = None
    dark: frozenset[str] = frozenset()
    """Pods of which cannot be seen what they hold."""
    behind_circuit: bool = False
    """Whether an open circuit holds jobs back."""


def pool_status(facts: PoolFacts, now: datetime) -> WorkerPoolStatus:
    """The status of a WorkerPool."""
    pool, seen = facts.pool, facts.deployment
    generation = pool.identity.generation
    released = [pod for pod in facts.pods if pod.released and pod.live]
    return WorkerPoolStatus(
        observed_generation=generation,
        desired_replicas=facts.goal,
        replicas=(seen.existing if seen else 0) + len(released),
        ready_replicas=(seen.ready if seen else 0) + sum(1 for pod in released if pod.ready),
        busy_workers=len(facts.busy),
        start_seconds=facts.start_seconds,
        reason=facts.why,
        selector=resources.selector(pool.key.name),
        deployment_generation=facts.deployment_generation,
        disruption_percent=facts.disruption_percent,
        last_decision=LastDecision.model_validate(facts.decision) if facts.decision else None,
        conditions=status.conditions(
            pool.status.get("conditions", []), pool_findings(facts), generation=generation, now=now
        ),
    )


def pool_findings(facts: PoolFacts) -> list[Finding]:
    """The conditions of a pool: can it be scaled, are its workers well, are they new, does its maximum limit it."""
    ready = Finding(status.READY, "True", "Scaling", "the pool follows the backlog of its queues")
    if facts.pool.spec is not None and facts.pool.spec.mode == "Recommend":
        ready = Finding(status.READY, "True", "Recommending", "spec.mode is Recommend: the size is told and not set")
    if facts.trouble is not None:
        reason, message = facts.trouble
        if reason == "RedisUnreachable" and facts.decision is not None and facts.decision.get("fallback") is not None:
            message += f"; spec.scaling.fallback raised it to {facts.decision['toReplicas']} workers"
        ready = Finding(status.READY, "False", reason, message)
    limited = Finding(status.SCALING_LIMITED, "False", "WithinLimits", "the pool has the size that it needs")
    if facts.limit is not None:
        why = (
            "more workers are needed than spec.maxReplicas allows: raise it if the jobs should be done sooner"
            if facts.limit.reason == "AtMaximum"
            else f"more workers are needed than there may be: {facts.limit.words}"
        )
        limited = Finding(status.SCALING_LIMITED, "True", facts.limit.reason, why)
    elif facts.behind_circuit:
        why = "jobs wait behind an open circuit and ask for no workers: see the JobQueue's condition CircuitClosed"
        limited = Finding(status.SCALING_LIMITED, "True", "CircuitOpen", why)
    elif facts.trouble is not None:
        limited = Finding(
            status.SCALING_LIMITED, "Unknown", facts.trouble[0], "what the pool needs is not known: see Ready"
        )
    return [ready, _workers_finding(facts), _rollout_finding(facts), limited]


def _rollout_finding(facts: PoolFacts) -> Finding:
    """How far a roll-out has come. A Pod that its Deployment counts as one of an older template is not looked at."""
    seen, released = facts.deployment, [pod for pod in facts.pods if pod.released and pod.live]
    existing, updated = (seen.existing, seen.updated) if seen is not None and seen.settled else (0, 0)
    if facts.trouble is not None and facts.trouble[0] not in status.HELD:
        return Finding(status.ROLLED_OUT, "Unknown", facts.trouble[0], "nothing is rolled out now: see Ready")
    if not released and updated == existing:
        return Finding(status.ROLLED_OUT, "True", "UpToDate", "every worker is on the newest template")
    said = f"{updated} of {existing + len(released)} workers are on the new template"
    busy = sum(1 for pod in released if pod.name in facts.busy | facts.dark)
    if hidden := sum(1 for pod in released if pod.name in facts.dark):
        said += f" (of {hidden} cannot be seen what they hold: a queue that they were made for cannot be read)"
    if released and busy == len(released):
        return Finding(
            status.ROLLED_OUT, "False", "WaitingForBusyWorkers", f"{said}, waiting for {busy} that finish their jobs"
        )
    return Finding(status.ROLLED_OUT, "False", "RollingOut", f"{said}, the others give way one by one")


def _workers_finding(facts: PoolFacts) -> Finding:
    ill = sorted((pod for pod in facts.pods if pod.live and pod.trouble), key=lambda pod: pod.name)
    if ill and ill[0].trouble is not None:
        reason, message = ill[0].trouble
        others = f" (and {len(ill) - 1} more)" if len(ill) > 1 else ""
        return Finding(
            status.WORKERS_HEALTHY, "False", reason, f"Pod {ill[0].name}{others} cannot run: {reason}: {message}"
        )
    if facts.deployment is not None and facts.deployment.problem:
        return Finding(
            status.WORKERS_HEALTHY, "False", "PodsRefused", f"Pods cannot be made: {facts.deployment.problem}"
        )
    return Finding(status.WORKERS_HEALTHY, "True", "NoTrouble", "no worker Pod is in trouble")


def _conditions(before: Manifest, findings: Sequence[Finding], generation: int, now: datetime) -> list[Manifest]:
    found = status.conditions(before.get("conditions", []), findings, generation=generation, now=now)
    return [condition.model_dump(by_alias=True) for condition in found]
