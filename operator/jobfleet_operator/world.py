"""What the operator sees in Kubernetes, cut down to the fields that it decides on.

The records are read once from raw manifests (`read_*`) and never changed. Whole manifests are not
kept, except for the Pod template that a pool's Deployment is built from.
"""

from dataclasses import dataclass
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
