"""`jobfleet explain workerpool/NAME`: why a pool has its size, replayed and in words.

What the operator decided last stands in `status.lastDecision` with its inputs. Here the same function
decides on them once more, so that the answer is checked and not repeated, and once with the spec as it
is now, so that the effect of an edit shows.
"""

import argparse
import asyncio
import json
import sys

from pydantic import ValidationError

from jobfleet_operator import names, scaling, terms
from jobfleet_operator.adapters import credentials
from jobfleet_operator.adapters.kube import Kube, KubeError, NotFound
from jobfleet_operator.models import LastDecision, WorkerPoolSpec
from jobfleet_operator.world import Key, Manifest, PoolResource, read_pool

KINDS = {"workerpool", "workerpools", "wp", f"{names.WORKER_POOLS}.{names.GROUP}", f"workerpool.{names.GROUP}"}


def words(body: Manifest) -> str:
    """The explanation of one WorkerPool, from its manifest as `kubectl get -o json` prints it."""
    pool = read_pool(body)
    lines = [*_standing(pool), ""]
    try:
        decision = LastDecision.model_validate(pool.status.get("lastDecision"))
    except ValidationError:
        lines.append("No decision has changed its size yet.")
    else:
        lines += [*_decided(decision), "", *_replayed(decision, pool.spec)]
    told = [f"  {one['type']}: {one['status']} ({one['reason']}): {one['message']}" for one in _conditions(pool)]
    return "\n".join([*lines, "", "Conditions:", *(told or ["  none yet: the operator has not seen it"])])


def _conditions(pool: PoolResource) -> list[Manifest]:
    found: list[Manifest] = pool.status.get("conditions") or []
    return found


def _standing(pool: PoolResource) -> list[str]:
    status = pool.status
    limits = f" (from {pool.spec.min_replicas} to {pool.spec.max_replicas})" if pool.spec else ""
    first = (
        f"WorkerPool {pool.key}: {status.get('desiredReplicas', 0)} workers wanted{limits}, "
        f"{status.get('replicas', 0)} exist, {status.get('readyReplicas', 0)} ready, "
        f"{status.get('busyWorkers', 0)} busy."
    )
    if pool.spec is not None and pool.spec.mode == "Recommend":
        return [first, "spec.mode is Recommend: the size is told and not set."]
    return [first]


def _decided(decision: LastDecision) -> list[str]:
    told = [
        (
            f"Last decision: number {decision.number} of term {decision.term}, {decision.time}: "
            f"from {decision.from_replicas} to {decision.to_replicas} workers, because"
        ),
        *(f"  {reason}" for reason in decision.reasons),
        "Decided on:",
        f"  {_backlog(decision)}",
        *([f"  {decision.upcoming} delayed jobs that fall due soon"] if decision.upcoming else []),
        f"  backlogPerWorker {decision.backlog_per_worker}, tolerancePercent {decision.tolerance_percent}",
    ]
    if decision.behind_circuit:
        told.append(f"  {decision.behind_circuit} jobs behind an open circuit, which do not count")
    if decision.drain_within_seconds is not None:
        run = "not measured" if decision.service_ms is None else f"{decision.service_ms / 1000:.1f} s each"
        arrivals = f"{decision.arrivals_per_minute} new ones a minute"
        told.append(f"  drainWithinSeconds {decision.drain_within_seconds}: run time {run}, {arrivals}")
    if decision.max_age_seconds is not None:
        step = "" if decision.aged_seconds is None else f", {decision.aged_seconds} s after the last step for its age"
        told.append(f"  maxAgeSeconds {decision.max_age_seconds}: the oldest waited {decision.oldest_seconds} s{step}")
    if decision.floor:
        told.append(f"  a floor of {decision.floor} by the calendar")
    if decision.limit is not None:
        told.append(f"  a limit of {decision.limit}: {decision.limit_reason}")
    if decision.fallback is not None:
        told.append(f"  a fallback of {decision.fallback} while the backlog is not known")
    return told


def _backlog(decision: LastDecision) -> str:
    if decision.backlog is None:
        return "a backlog that was not known, because Redis could not be read"
    running = decision.backlog - decision.waiting
    return (
        f"backlog {decision.backlog}: {decision.waiting} waiting, {running} running; "
        f"{decision.busy_slots} of them on this pool's workers, {decision.concurrency} slots each"
    )


def _replayed(decision: LastDecision, spec: WorkerPoolSpec | None) -> list[str]:
    then = scaling.Policy(
        min_workers=decision.min_replicas,
        max_workers=decision.max_replicas,
        concurrency=decision.concurrency,
        backlog_per_worker=decision.backlog_per_worker,
        drain_within_seconds=decision.drain_within_seconds,
        max_age_seconds=decision.max_age_seconds,
        tolerance_percent=decision.tolerance_percent,
        fallback=None if decision.fallback is None else scaling.Fallback(decision.fallback),
    )
    wanted = _wanted(decision, then)
    if wanted == decision.to_replicas:
        told = [f"Replayed: these inputs ask for {wanted} workers, as was decided."]
    else:
        told = [
            (
                f"Replayed: these inputs alone ask for {wanted} workers; "
                f"windows and steps of spec.scaling made it {decision.to_replicas}."
            )
        ]
    if spec is not None and (now := _wanted(decision, terms.policy(spec))) != wanted:
        told.append(f"With the spec as it is now they would ask for {now}.")
    return told


def _wanted(decision: LastDecision, policy: scaling.Policy) -> int:
    load = None if decision.backlog is None else _load(decision, decision.backlog)
    limits = () if decision.limit is None else (scaling.Limit(decision.limit, "", decision.limit_reason or ""),)
    observation = scaling.Observation(
        now=0.0,
        size=decision.from_replicas,
        load=load,
        floor=decision.floor,
        limits=limits,
        start_seconds=decision.start_seconds,
    )
    # A load that was not known had not been for long enough.
    aged_at = None if decision.aged_seconds is None else -float(decision.aged_seconds)
    history = scaling.History(aged_at=aged_at, unknown_since=float("-inf"))
    return scaling.decide(observation, policy, history).wanted


def _load(decision: LastDecision, backlog: int) -> scaling.Load:
    return scaling.Load(
        backlog=backlog,
        busy_slots=decision.busy_slots,
        waiting=decision.waiting,
        service_ms=decision.service_ms,
        arrivals_per_minute=decision.arrivals_per_minute,
        oldest_seconds=decision.oldest_seconds,
        upcoming=decision.upcoming,
        behind_circuit=decision.behind_circuit,
    )


def main(arguments: list[str]) -> int:
    """Explain a pool of the cluster, or one whose manifest comes from standard input; the exit status."""
    parser = argparse.ArgumentParser(
        prog="jobfleet explain",
        description="Say why a WorkerPool has its size: the last decision, its inputs, and what they ask for.",
        epilog="`kubectl get workerpool NAME -o json | jobfleet explain -` needs no access of its own.",
        allow_abbrev=False,
    )
    parser.add_argument("subject", metavar="workerpool/NAME", help="the pool; - reads its manifest as JSON")
    parser.add_argument("-n", "--namespace", help="its namespace (default: that of kubectl's context)")
    options = parser.parse_args(arguments)
    kind, slash, name = options.subject.rpartition("/")
    if slash and kind.lower() not in KINDS:
        parser.error(f"{kind} cannot be explained, a WorkerPool can: workerpool/{name}")
    if not name:
        parser.error("name the WorkerPool, as in workerpool/photos")
    try:
        body = _given() if name == "-" else _found(options.namespace or credentials.namespace(), name)
        if body.get("kind") != names.WORKER_POOL:
            parser.error(f"this is no WorkerPool but {body.get('kind')!r}")
        sys.stdout.write(f"{words(body)}\n")
    except (credentials.CredentialsError, KubeError, ValueError) as error:
        sys.stderr.write(f"jobfleet explain: {error}\n")
        return 1
    return 0


def _given() -> Manifest:
    try:
        body = json.load(sys.stdin)
    except ValueError as error:
        msg = f"standard input is no manifest in JSON, as `kubectl get workerpool NAME -o json` prints it: {error}"
        raise ValueError(msg) from error
    return body if isinstance(body, dict) else {}


def _found(namespace: str, name: str) -> Manifest:
    try:
        return asyncio.run(_fetched(Key(namespace, name)))
    except NotFound as error:
        msg = f"namespace {namespace} has no WorkerPool {name}; -n NAMESPACE looks in another one"
        raise ValueError(msg) from error


async def _fetched(key: Key) -> Manifest:
    kube = Kube()
    await kube.open()
    try:
        return await kube.get(names.API_VERSION, key, names.WORKER_POOLS)
    finally:
        await kube.close()
