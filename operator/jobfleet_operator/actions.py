"""What the operator can do, as values. `reconcile.py` makes them; `apply.py` carries them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jobfleet.inspection import QueueAddress, QueueSettings
from jobfleet_operator.world import DeploymentView, Identity, Key, Manifest


@dataclass(frozen=True, slots=True)
class Scaling:
    """A change of a pool's size, as the audit of its queues is told of it."""

    queues: Sequence[QueueAddress]
    workers: int
    """How many come or go."""
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class ApplyDeployment:
    """Create or mend a pool's Deployment, with its replicas."""

    manifest: Manifest
    before: DeploymentView | None = None
    """As it was seen; do it only if it is still like that. None: there is none."""
    scaling: Scaling | None = None


@dataclass(frozen=True, slots=True)
class SetReplicas:
    """Change nothing but the replicas of a Deployment."""

    replicas: int
    before: DeploymentView
    """As it was seen: on the way down do it only if it is still like that, on the way up if it has as many replicas."""
    scaling: Scaling | None = None


@dataclass(frozen=True, slots=True)
class ApplySecret:
    """Create or mend a queue's connection Secret."""

    manifest: Manifest
    redis_url: str


@dataclass(frozen=True, slots=True)
class PushSettings:
    """Write a JobQueue's settings to Redis."""

    address: QueueAddress
    settings: QueueSettings
    why: str = ""
    """What says so, for the audit."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell workers to take no more jobs."""

    address: QueueAddress
    workers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Undrain:
    """Tell workers to take jobs again."""

    address: QueueAddress
    workers: Sequence[str]


@dataclass(frozen=True, slots=True)
class SetDeletionCost:
    """Mark a Pod as one to delete first, or take the mark away (None)."""

    pod: Key
    cost: int | None


@dataclass(frozen=True, slots=True)
class Release:
    """Take the Pods of older templates away from their ReplicaSets, which would end busy ones, without ending them."""

    key: Key


@dataclass(frozen=True, slots=True)
class Adopt:
    """Make a released Pod the pool's own, so that it goes with it."""

    pod: Identity


@dataclass(frozen=True, slots=True)
class RemovePod:
    """End a released Pod."""

    pod: Identity


@dataclass(frozen=True, slots=True)
class SetBudget:
    """Let at most so many percent of a pool's workers be evicted at a time."""

    manifest: Manifest | None
    """None: without a PodDisruptionBudget."""
    budget: tuple[int, ...]
    """What memory keeps of it: generation of the pool, percent, and workers to keep where they are counted."""


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Put the jobs of dead workers back, after making sure that their Pod has ended."""

    address: QueueAddress
    pod: Key
    workers: Sequence[str]
    restarted: bool = False
    """Whether the Pod lives on and they ended with an earlier run of its container, which nothing can undo."""


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """Write the status of a JobQueue or WorkerPool."""

    plural: str
    subject: Identity
    status: Manifest
    calm: bool = False
    """Only numbers moved: it may wait for its turn."""


@dataclass(frozen=True, slots=True)
class Note:
    """An Event about a resource."""

    kind: str
    subject: Identity
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


Action = (
    ApplyDeployment
    | SetReplicas
    | ApplySecret
    | PushSettings
    | Drain
    | Undrain
    | SetDeletionCost
    | Release
    | Adopt
    | RemovePod
    | SetBudget
    | Reclaim
    | PatchStatus
    | Note
)

REFUSED: dict[type[Action], str] = {
    ApplyDeployment: "the Deployment cannot be made",
    SetReplicas: "the Deployment cannot be scaled",
    SetDeletionCost: "Pods cannot be marked to go first",
    Release: "Pods of an older template cannot be released",
    Adopt: "released Pods cannot be made the pool's own",
    RemovePod: "released Pods cannot be ended",
}
"""What a pool cannot be scaled without, and how it is told that the API server refuses it."""
