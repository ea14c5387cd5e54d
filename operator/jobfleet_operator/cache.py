"""What the watches have told: the four kinds of objects, each in its newest known version.

The cache is fed by watch events one by one and, now and then, by whole lists, because a watch that
was cut may have missed a deletion. Older versions never replace newer ones. It lives in one asyncio
loop and needs no lock.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum

from jobfleet_operator import names, world
from jobfleet_operator.pods import PodView, read_pod
from jobfleet_operator.world import DeploymentView, Key, Manifest, PoolResource, QueueResource

Record = QueueResource | PoolResource | DeploymentView | PodView


class Kind(Enum):
    """The kinds that are watched, by their plural name."""

    QUEUES = names.JOB_QUEUES
    POOLS = names.WORKER_POOLS
    DEPLOYMENTS = "deployments"
    PODS = "pods"


READERS: dict[Kind, Callable[[Manifest], Record]] = {
    Kind.QUEUES: world.read_queue,
    Kind.POOLS: world.read_pool,
    Kind.DEPLOYMENTS: world.read_deployment,
    Kind.PODS: read_pod,
}

REMEMBERED_DELETIONS = 10_000
"""Deleted objects that are remembered, so that a list that is a little older does not revive them."""

DELETION_SECONDS = 30.0
"""A deletion that is older has been dealt with by whoever acted then: a Lease lasts for half of this."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A JobQueue that was deleted, as it was last, and when (seconds of a clock that never goes back)."""

    queue: QueueResource
    at: float


class Cache:
    """The objects by kind and place, with the indexes that the loop needs."""

    def __init__(self, changed: Callable[[Kind, Key], None]) -> None:
        """`changed` is called with the kind of each change, and the queue or pool that it concerns."""
        self.queues: dict[Key, QueueResource] = {}
        self.pools: dict[Key, PoolResource] = {}
        self.deployments: dict[Key, DeploymentView] = {}
        self._pods: dict[Key, dict[str, PodView]] = {}
        self._pool_of_pod: dict[Key, Key] = {}
        self._pools_of_queue: dict[Key, set[Key]] = {}
        self._deleted: OrderedDict[str, int] = OrderedDict()
        """By uid: the version at which an object went (its own was lower) or left what is watched (its own)."""
        self._changed = changed
        self.synced = False
        """Whether all four kinds have been listed once."""
        self._deletions: deque[Deletion] = deque(maxlen=REMEMBERED_DELETIONS)

    def pods_of(self, pool: Key) -> list[PodView]:
        """The Pods of a pool."""
        return list(self._pods.get(pool, {}).values())

    def pools_of(self, queue: Key) -> set[Key]:
        """The pools that name this queue."""
        return self._pools_of_queue.get(queue, set())

    def take_deletions(self) -> list[QueueResource]:
        """The JobQueues whose deletion nobody has dealt with yet; now the caller does.

        Of several with one name the last counts: it alone says what its jobs are to become.
        """
        now = time.monotonic()
        last = {one.queue.key: one.queue for one in self._deletions if now - one.at < DELETION_SECONDS}
        self._deletions.clear()
        return list(last.values())

    def feed(self, kind: Kind, body: Manifest, *, deleted: bool = False) -> None:
        """Take over what a watch says about one object."""
        identity = world.read_identity(body)
        known = None if kind is Kind.PODS else self._table(kind).get(identity.key)
        if not deleted and known is not None and known.identity == identity and identity.resource_version:
            return
        record = _read(kind, body, known)
        if deleted:
            self._forget(kind, record, _number(identity.resource_version))
            return
        if _number(identity.resource_version) < self._deleted.get(identity.uid, 0):
            return
        before = self._get(kind, record)
        if before is not None and not _newer(record, before):
            return
        if before is not None and (before.identity.uid != identity.uid or _concern(before) != _concern(record)):
            self._forget(kind, before, _number(identity.resource_version))
        self._put(kind, record)
        if before is None or not _same_wish(record, before):
            self._changed(kind, _concern(record))

    def keep_only(self, kind: Kind, uids: AbstractSet[str], resource_version: str, namespace: str = "") -> None:
        """Forget what a whole list that was read at this version did not hold; of one namespace or ("") of all."""
        for record in list(self._all(kind)):
            known = record.identity
            if namespace not in {"", known.key.namespace}:
                continue
            if known.uid not in uids and _number(known.resource_version) <= _number(resource_version):
                self._forget(kind, record, _number(resource_version))

    def learn_pods(self, pool: Key, bodies: Collection[Manifest], resource_version: str) -> bool:
        """Take over a pool's Pods from a list that was read at this version; returns whether that was news."""
        before = {pod.identity.uid: _as_seen(pod) for pod in self.pods_of(pool)}
        for body in bodies:
            self.feed(Kind.PODS, body)
        listed = {body["metadata"]["uid"] for body in bodies}
        for pod in self.pods_of(pool):
            if pod.identity.uid not in listed:
                self._forget(Kind.PODS, pod, _number(resource_version))
        return before != {pod.identity.uid: _as_seen(pod) for pod in self.pods_of(pool)}

    def _all(self, kind: Kind) -> Iterator[Record]:
        if kind is Kind.PODS:
            for pods in self._pods.values():
                yield from pods.values()
        else:
            yield from self._table(kind).values()

    def _table(self, kind: Kind) -> dict[Key, Record]:
        tables: dict[Kind, dict[Key, Record]] = {
            Kind.QUEUES: self.queues,  # type: ignore[dict-item]
            Kind.POOLS: self.pools,  # type: ignore[dict-item]
            Kind.DEPLOYMENTS: self.deployments,  # type: ignore[dict-item]
        }
        return tables[kind]

    def _get(self, kind: Kind, record: Record) -> Record | None:
        if isinstance(record, PodView):
            # Somebody may have given it the label of another pool meanwhile.
            pool = self._pool_of_pod.get(record.identity.key, _concern(record))
            return self._pods.get(pool, {}).get(record.name)
        return self._table(kind).get(record.identity.key)

    def _put(self, kind: Kind, record: Record) -> None:
        if isinstance(record, PodView):
            self._pods.setdefault(_concern(record), {})[record.name] = record
            self._pool_of_pod[record.identity.key] = _concern(record)
            return
        if isinstance(record, PoolResource):
            self._unlink(record.key)
            for name in record.spec.queues if record.spec is not None else ():
                queue = Key(record.key.namespace, name)
                self._pools_of_queue.setdefault(queue, set()).add(record.key)
        self._table(kind)[record.identity.key] = record

    def _unlink(self, pool: Key) -> None:
        before = self.pools.get(pool)
        for name in before.spec.queues if before is not None and before.spec is not None else ():
            linked = self._pools_of_queue.get(Key(pool.namespace, name), set())
            linked.discard(pool)
            if not linked:
                self._pools_of_queue.pop(Key(pool.namespace, name), None)

    def _forget(self, kind: Kind, record: Record, version: int) -> None:
        self._deleted[record.identity.uid] = version
        while len(self._deleted) > REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        known = self._get(kind, record)
        if known is None or known.identity.uid != record.identity.uid:
            return
        if isinstance(known, PodView):
            pods = self._pods[_concern(known)]
            del pods[known.name], self._pool_of_pod[known.identity.key]
            if not pods:
                del self._pods[_concern(known)]
        else:
            if isinstance(record, PoolResource):
                self._unlink(record.key)
            if isinstance(known, QueueResource):
                self._deletions.append(Deletion(known, time.monotonic()))
            del self._table(kind)[record.identity.key]
        self._changed(kind, _concern(known))


def _concern(record: Record) -> Key:
    """The queue or pool that a record is about; a pool and its Deployment share their place."""
    key = record.identity.key
    return key._replace(name=record.pool) if isinstance(record, PodView) else key


def _read(kind: Kind, body: Manifest, known: Record | None) -> Record:
    """The record of a manifest; a spec that is known already is not read again."""
    if isinstance(known, QueueResource | PoolResource) and world.same_spec(known.identity, world.read_identity(body)):
        return replace(known, identity=world.read_identity(body), status=body.get("status") or {})
    return READERS[kind](body)


def _same_wish(record: Record, before: Record) -> bool:
    """Whether a queue or pool asks for what it asked for: its status, which the operator writes, is no news."""
    return isinstance(record, QueueResource | PoolResource) and world.same_spec(record.identity, before.identity)


def _as_seen(pod: PodView) -> PodView:
    """A Pod without its version, which also moves with what nobody here looks at."""
    return replace(pod, identity=replace(pod.identity, resource_version=""))


def _newer(record: Record, before: Record) -> bool:
    return _number(record.identity.resource_version) >= _number(before.identity.resource_version)


def _number(resource_version: str) -> int:
    """Resource versions of one API server can be compared as numbers; anything else counts as oldest."""
    return int(resource_version) if resource_version.isdigit() else 0
