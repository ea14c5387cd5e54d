"""The worker Pods as the operator sees them: what is read of each, and why one does not run."""

from dataclasses import dataclass, field
from datetime import datetime

from jobfleet.inspection import QUEUES_VARIABLE, WORKER_NAME_VARIABLE
from jobfleet_operator import names
from jobfleet_operator.world import Identity, Manifest, controller_of, read_identity


@dataclass(frozen=True, slots=True)
class PodView:
    """A worker Pod."""

    identity: Identity
    pool: str
    """The pool that it is one of; "" for one that only bears a pool's label."""
    phase: str
    ready: bool
    assigned: bool
    """Whether it has a node."""
    deleting: bool
    revision: str
    """The template that it was made from (pod-template-hash)."""
    owner: str
    """Kind of its controller, "" without one."""
    deletion_cost: int | None
    trouble: tuple[str, str] | None = field(default=None)
    """Why it cannot start or stay up, as (reason, sentence)."""
    worker_ended_ms: int | None = None
    """Workers that started before this, by the clock of its node, have ended with their container, Unix ms."""
    queues: tuple[str, ...] = ()
    """Names of the queues that it was made for, which its worker serves until it ends."""
    connection: str = ""
    """Fingerprint of the connection that it was made for."""

    @property
    def name(self) -> str:
        """Its name, which is its worker's name as well."""
        return self.identity.key.name

    @property
    def ended(self) -> bool:
        """Whether all its containers have ended for good."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def live(self) -> bool:
        """Whether it runs, or will, and was not told to end."""
        return not self.deleting and not self.ended

    @property
    def released(self) -> bool:
        """Whether no ReplicaSet counts it any more: a roll-out took it away from its own, and it finishes its jobs."""
        return bool(self.revision) and self.owner != "ReplicaSet"


def read_pod(body: Manifest) -> PodView:
    """A Pod from its manifest."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    annotations = meta.get("annotations") or {}
    cost = annotations.get(names.DELETION_COST_ANNOTATION)
    pool, revision, owner = labels.get(names.POOL_LABEL, ""), labels.get(names.TEMPLATE_LABEL, ""), controller_of(body)
    return PodView(
        identity=read_identity(body),
        pool=pool if _made_for(pool, revision, owner) else "",
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        assigned=bool(spec.get("nodeName")),
        deleting=bool(meta.get("deletionTimestamp")),
        revision=revision,
        owner=owner.get("kind", ""),
        deletion_cost=int(cost) if cost and cost.lstrip("-").isdigit() else None,
        trouble=_trouble(status, conditions),
        worker_ended_ms=_worker_ended_ms(spec, status),
        queues=_queues(spec),
        connection=annotations.get(names.CONNECTION_ANNOTATION, ""),
    )


def _made_for(pool: str, revision: str, owner: Manifest) -> bool:
    """Whether a Pod with this label was made by the pool's Deployment, and not by somebody who wrote the label.

    Its ReplicaSet is called after the Deployment and the template. A roll-out takes it away from that, and then it has
    no owner for a moment.
    """
    if owner.get("kind") == "ReplicaSet":
        return bool(owner.get("name") == f"{pool}-{revision}")
    return owner.get("kind") == names.WORKER_POOL or (not owner and bool(revision))


def _worker_container(spec: Manifest) -> Manifest:
    """The container that runs the worker, {} without one.

    In a Pod the first one may be a sidecar that a webhook put there, such as Istio's: what was equipped tells.
    """
    containers: list[Manifest] = spec.get("containers") or [{}]
    named = next((one for one in containers if one.get("name") == names.WORKER_CONTAINER), None)
    return named or next((one for one in containers if _tells(one, WORKER_NAME_VARIABLE)), containers[0])


def _tells(container: Manifest, variable: str) -> Manifest | None:
    """The entry of a variable in its environment; None without one."""
    return next((one for one in container.get("env") or [] if one["name"] == variable), None)


def _queues(spec: Manifest) -> tuple[str, ...]:
    given = _tells(_worker_container(spec), QUEUES_VARIABLE) or {}
    return tuple(filter(None, (given.get("value") or "").split(",")))


NO_NODE = frozenset({"Unschedulable", "SchedulingGated"})
"""Troubles of a Pod that waits for a node: there is no room, or somebody (such as Kueue) holds it back for now."""
_HARMLESS_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})


def _trouble(status: Manifest, conditions: dict[str, Manifest]) -> tuple[str, str] | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") in NO_NODE:
        return scheduled["reason"], scheduled.get("message", "no node has room for it")
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        found = _trouble_of(container)
        if found is not None:
            return found
    return None


def _trouble_of(container: Manifest) -> tuple[str, str] | None:
    """Why a container does not run: it waits, it has ended, or it was started again and is not ready yet."""
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    why = f"it ended with {ended.get('reason') or 'Error'} ({ended.get('exitCode')})" if ended else ""
    if said := _last_line(ended.get("message") or ""):
        why += f", and said {said!r}"
    waiting = state.get("waiting") or {}
    if waiting.get("reason", "") not in _HARMLESS_WAITS:
        message = waiting.get("message") or f"container {container['name']} waits"
        return waiting["reason"], "; ".join(part for part in (message, why) if part)
    if not ended.get("exitCode") or container.get("ready"):
        return None
    times = container.get("restartCount") or 0
    again = f", started again {times} times" if times else ""
    return ended.get("reason") or "Error", f"container {container['name']}: {why}{again}"


def _last_line(message: str) -> str:
    r"""The last thing that a container said before it ended, at most 200 characters of it.

    >>> _last_line("Traceback ...\nModuleNotFoundError: No module named 'jobs'\n\n")
    "ModuleNotFoundError: No module named 'jobs'"
    """
    return next((line.strip()[:200] for line in reversed(message.splitlines()) if line.strip()), "")


def _worker_ended_ms(spec: Manifest, status: Manifest) -> int | None:
    """Workers that started before this have ended with an earlier run of their container; None: there was none.

    Kubernetes' times are cut to whole seconds. A worker starts no sooner than the run of its container, so that the
    start of the present run tells as well; after a back-off none begins in the second in which the last one ended.
    """
    name = _worker_container(spec).get("name")
    container: Manifest = next((one for one in status.get("containerStatuses") or [] if one["name"] == name), {})
    state = container.get("state") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    if not ended.get("finishedAt"):
        return None
    backed_off = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    bounds = [_unix_ms(ended["finishedAt"]) + (1000 if backed_off else 0)]
    if begun := (state.get("running") or {}).get("startedAt"):
        bounds.append(_unix_ms(begun))
    return max(bounds)


def _unix_ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
