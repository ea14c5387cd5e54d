"""What resources say, in the terms of those who act by it: policy and load for scaling, settings for Redis. Pure."""

from collections.abc import Mapping
from math import ceil

from jobfleet.inspection import QueueSettings, QueueSnapshot
from jobfleet_operator import circuits, scaling
from jobfleet_operator.memory import Flow
from jobfleet_operator.models import CircuitBreaker, JobQueueSpec, WorkerPoolSpec


def policy(spec: WorkerPoolSpec) -> scaling.Policy:
    """The pool's spec as the policy of `scaling.decide`."""
    up, down, fallback = spec.scaling.scale_up, spec.scaling.scale_down, spec.scaling.fallback
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
        fallback=None if fallback is None else scaling.Fallback(fallback.workers, fallback.after_seconds),
    )


def load(
    pool: str,
    snapshots: Mapping[str, QueueSnapshot | None],
    paused: frozenset[str],
    flows: Mapping[str, Flow],
    leaving: frozenset[str] = frozenset(),
    ahead_ms: int = 0,
) -> scaling.Load | None:
    """The load of a pool over its queues; None when one of them is not known.

    Jobs that workers of another pool run are theirs: this one need not grow for them; nor for those that Pods on
    their way out (`leaving`, by name) still run. The waiting jobs of a paused queue wait for a person, and those behind
    an open circuit for its probes, which count where they begin within `ahead_ms`.
    """
    backlog = busy = waiting = upcoming = oldest = arrivals = finished = busy_ms = behind = 0
    for name, snapshot in snapshots.items():
        if snapshot is None:
            return None
        ours = [worker.busy for worker in snapshot.workers if worker.pool == pool and worker.name not in leaving]
        backlog += max(0, snapshot.active - sum(worker.busy for worker in snapshot.workers) + sum(ours))
        busy += sum(ours)
        flow = flows.get(name, Flow())
        finished += flow.finished
        busy_ms += flow.finished * (flow.service_ms or 0)
        if name in paused:
            continue
        ready = snapshot.waiting + snapshot.delayed_due
        circuit = circuits.of_queue(snapshot)
        if circuit is not None:
            probes = min(ready, circuits.room(snapshot, circuit, ahead_ms))
            waiting, behind = waiting + probes, behind + ready - probes
            continue
        held = min(ready, circuits.behind_groups(snapshot, ahead_ms))
        waiting, behind = waiting + ready - held, behind + held
        upcoming += snapshot.delayed_soon
        arrivals += flow.arrivals_per_minute
        if snapshot.oldest_free_ms is not None:
            oldest = max(oldest, (snapshot.now_ms - snapshot.oldest_free_ms) // 1000)
    return scaling.Load(
        backlog=backlog + waiting,
        busy_slots=busy,
        waiting=waiting,
        service_ms=ceil(busy_ms / finished) if finished else None,
        arrivals_per_minute=arrivals,
        oldest_seconds=oldest,
        upcoming=upcoming,
        behind_circuit=behind,
    )


def settings(spec: JobQueueSpec) -> QueueSettings:
    """What a JobQueue has to say to Redis."""
    kept, limits = spec.retention, spec.limits
    group, breaker = limits.per_group, spec.circuit_breaker or CircuitBreaker()
    return QueueSettings(
        max_deliveries=spec.max_deliveries,
        keep_completed=kept.completed.count,
        keep_completed_seconds=kept.completed.age_seconds,
        keep_failed=kept.failed.count,
        keep_failed_seconds=kept.failed.age_seconds,
        max_job_bytes=spec.max_job_bytes,
        audit=kept.audit_entries,
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
        breaker_percent=breaker.failure_percent if spec.circuit_breaker else 0,
        breaker_least=breaker.minimum_jobs,
        breaker_window_ms=1000 * breaker.window_seconds,
        breaker_open_ms=1000 * breaker.open_seconds,
        breaker_probes=breaker.probes,
        breaker_per_group=breaker.per == "Group",
    )
