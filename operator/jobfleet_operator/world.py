"""What the operator sees in Kubernetes, cut down to the fields that it decides on.

The records are read once from raw manifests (`read_*`) and never changed. Whole manifests are not
kept, except for the Pod template that a pool's Deployment is built from.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from jobfleet_operator import names
from jobfleet_operator.models import JobQueueSpec, WorkerPoolSpec

Manifest = dict[str, Any]


class Key(NamedTuple):
    """Place of a namespaced object."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Subject(NamedTuple):
    """A queue or pool, as the key of what goes on about it."""

    kind: str
    key: Key


@dataclass(frozen=True, slots=True)
class Identity:
    """Which object a record was read from."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    created: str
    """Creation time, RFC 3339."""


@dataclass(frozen=True, slots=True)
class QueueResource:
    """A JobQueue."""

    identity: Identity
    spec: JobQueueSpec | None
    """None: it could not be read; `problem` says why."""
    problem: str
    status: Manifest
    manager: str = ""
    """Field manager that wrote its spec last, such as kubectl-client-side-apply; "": unknown."""

    @property
    def key(self) -> Key:
        """Its place."""
        return self.identity.key

    @property
    def cause(self) -> str:
        """What is done for it is done because of this, in words."""
        return cause(names.JOB_QUEUE, self.identity) + (f", by {self.manager}" if self.manager else "")


@dataclass(frozen=True, slots=True)
class PoolResource:
    """A WorkerPool."""

    identity: Identity
    spec: WorkerPoolSpec | None
    """None: it could not be read; `problem` says why."""
    problem: str
    template: Manifest
    """The Pod template as the user wrote it."""
    status: Manifest

    @property
    def key(self) -> Key:
        """Its place, which is its Deployment's place as well."""
        return self.identity.key


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """The Deployment of a pool."""

    identity: Identity
    owner_uid: str
    """uid of its controller, "" without one."""
    labels: dict[str, str]
    applied: str
    """Fingerprint of the manifest that the operator applied last."""
    replicas: int
    existing: int
    """Pods that its status counts."""
    ready: int
    updated: int
    """Pods of the newest template."""
    settled: bool
    """Whether its status is about its present generation."""
    paused: bool
    """Whether its controller makes and ends no Pods for a changed template."""
    problem: str
    """Why Pods cannot be made (quota, admission), as its controller says; "" when they can."""


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """The Pods of one template of a Deployment."""

    identity: Identity
    owner_uid: str
    template: Manifest
    """As its Deployment's was when it was made."""
    replicas: int
    deleting: bool


@dataclass(frozen=True, slots=True)
class PodView:
    """A worker Pod."""

    identity: Identity
    pool: str
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


def read_identity(body: Manifest) -> Identity:
    """Which object this manifest is of."""
    meta = body["metadata"]
    return Identity(
        key=Key(meta.get("namespace", ""), meta["name"]),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        generation=meta.get("generation", 0),
        created=meta.get("creationTimestamp") or "",
    )


def cause(kind: str, identity: Identity) -> str:
    """Because of what something is done, in words.

    >>> cause("JobQueue", Identity(Key("shop", "photos"), "uid", "42", 7, ""))
    'JobQueue photos, generation 7'
    """
    return f"{kind} {identity.key.name}, generation {identity.generation}"


def same_spec(one: Identity, other: Identity) -> bool:
    """Whether both are of one object with one spec: its generation rises with each change of that."""
    return one.uid == other.uid and one.generation == other.generation > 0


Spec = TypeVar("Spec", bound=BaseModel)


def _read_spec(model: type[Spec], body: Manifest) -> tuple[Spec | None, str]:
    try:
        return model.model_validate(body.get("spec") or {}), ""
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in ("spec", *first["loc"]))
        return None, f"{path}: {first['msg']}; correct it and apply the resource again"


def read_queue(body: Manifest) -> QueueResource:
    """A JobQueue from its manifest."""
    spec, problem = _read_spec(JobQueueSpec, body)
    return QueueResource(read_identity(body), spec, problem, body.get("status") or {}, _manager(body))


def _manager(body: Manifest) -> str:
    """The field manager that wrote something of the spec last; "" where nothing tells."""
    written = [
        (one.get("time") or "", one.get("manager") or "")
        for one in body["metadata"].get("managedFields") or []
        if "f:spec" in (one.get("fieldsV1") or {}) and not one.get("subresource")
    ]
    return max(written, default=("", ""))[1]


def read_pool(body: Manifest) -> PoolResource:
    """A WorkerPool from its manifest."""
    spec, problem = _read_spec(WorkerPoolSpec, body)
    template = (body.get("spec") or {}).get("template") or {}
    return PoolResource(read_identity(body), spec, problem, template, body.get("status") or {})


def read_deployment(body: Manifest) -> DeploymentView:
    """A Deployment from its manifest."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    failures = [
        condition.get("message", "")
        for condition in status.get("conditions") or []
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    ]
    return DeploymentView(
        identity=read_identity(body),
        owner_uid=controller_of(body).get("uid", ""),
        labels=meta.get("labels") or {},
        applied=(meta.get("annotations") or {}).get(names.APPLIED_ANNOTATION, ""),
        replicas=spec.get("replicas", 1),
        existing=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        updated=status.get("updatedReplicas", 0),
        settled=status.get("observedGeneration", 0) >= meta.get("generation", 0),
        paused=spec.get("paused", False),
        problem=failures[0] if failures else "",
    )


def read_replica_set(body: Manifest) -> ReplicaSetView:
    """A ReplicaSet from its manifest."""
    meta = body["metadata"]
    return ReplicaSetView(
        identity=read_identity(body),
        owner_uid=controller_of(body).get("uid", ""),
        template=template_of(body),
        replicas=(body.get("spec") or {}).get("replicas", 0),
        deleting=bool(meta.get("deletionTimestamp")),
    )


def template_of(body: Manifest) -> Manifest:
    """The Pod template of a Deployment or ReplicaSet, without the label by which the latter tells its Pods."""
    template: Manifest = body["spec"]["template"]
    meta = template.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != names.TEMPLATE_LABEL}
    return template | {"metadata": meta | {"labels": labels}}


def controller_of(body: Manifest) -> Manifest:
    """The owner reference of an object's controller, {} without one."""
    return next((owner for owner in body["metadata"].get("ownerReferences") or [] if owner.get("controller")), {})


def read_pod(body: Manifest) -> PodView:
    """A Pod from its manifest."""
    meta, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    cost = (meta.get("annotations") or {}).get(names.DELETION_COST_ANNOTATION)
    return PodView(
        identity=read_identity(body),
        pool=labels.get(names.POOL_LABEL, ""),
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        assigned=bool(spec.get("nodeName")),
        deleting=bool(meta.get("deletionTimestamp")),
        revision=labels.get(names.TEMPLATE_LABEL, ""),
        owner=controller_of(body).get("kind", ""),
        deletion_cost=int(cost) if cost and cost.lstrip("-").isdigit() else None,
        trouble=_trouble(status, conditions),
        worker_ended_ms=_worker_ended_ms(spec, status),
    )


_HARMLESS_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})


def _trouble(status: Manifest, conditions: dict[str, Manifest]) -> tuple[str, str] | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return "Unschedulable", scheduled.get("message", "no node has room for it")
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
    waiting = state.get("waiting") or {}
    if waiting.get("reason", "") not in _HARMLESS_WAITS:
        message = waiting.get("message") or f"container {container['name']} waits"
        return waiting["reason"], "; ".join(part for part in (message, why) if part)
    if not ended.get("exitCode") or container.get("ready"):
        return None
    times = container.get("restartCount") or 0
    again = f", started again {times} times" if times else ""
    return ended.get("reason") or "Error", f"container {container['name']}: {why}{again}"


def _worker_ended_ms(spec: Manifest, status: Manifest) -> int | None:
    """Workers that started before this have ended with an earlier run of their container; None: there was none.

    Kubernetes' times are cut to whole seconds. A worker starts no sooner than the run of its container, so that the
    start of the present run tells as well; after a back-off none begins in the second in which the last one ended.
    """
    called = [one.get("name") for one in spec.get("containers") or []]
    name = names.WORKER_CONTAINER if names.WORKER_CONTAINER in called else next(iter(called), None)
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
