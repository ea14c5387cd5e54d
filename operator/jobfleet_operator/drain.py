"""Scale-down by choice: which workers go, and when. Pure.

A pool that should shrink picks victims, the idlest first, and tells them to drain: they take no
more jobs and finish what they hold. Only an idle victim is marked with a deletion cost, and only
when the mark has been seen on the Pod are the replicas lowered, by no more than the Pods that the
ReplicaSet is certain to pick. So a busy Pod is never deleted to save one. When the need comes back
first, victims are told to go on.

The ReplicaSet deletes in this order: without a node before with one, Pending before Running, not
ready before ready, lower deletion cost before higher; what comes after that is not counted on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobfleet.inspection import DRAIN_MS, QueueAddress, QueueSnapshot, WorkerView
from jobfleet_operator import names
from jobfleet_operator.pods import PodView

Seen = tuple[QueueAddress, WorkerView]
"""A worker as one of its queues sees it; a worker of two queues is seen twice."""


RENEW_MS = DRAIN_MS // 2
"""A worker that drains for less than this is told again."""
CERTAIN_MS = 15_000
"""Who looks and then acts is through by then, or does not act any more: a leader's last call ends sooner."""


@dataclass(frozen=True, slots=True)
class Member:
    """A live Pod of the pool with the worker processes that run in it."""

    pod: PodView
    workers: tuple[Seen, ...] = ()
    silent: tuple[QueueAddress, ...] = ()
    """Queues that it was made for in which no worker of it is there (yet)."""
    told: bool = False
    """Whether a worker that comes up in these will take no job."""
    dark: bool = False
    """Whether it may hold jobs that cannot be seen, because a queue that it was made for could not be read."""

    @property
    def busy(self) -> int:
        """Jobs that it holds."""
        return sum(worker.busy for _, worker in self.workers)

    @property
    def draining(self) -> bool:
        """Whether it takes no more jobs, for longer than anybody takes who acts on this."""
        if self.silent and not self.told:
            return False
        return all(worker.drain_ms > CERTAIN_MS for _, worker in self.workers)

    @property
    def to_be_told(self) -> bool:
        """Whether it must be told to drain, or told again so that it goes on to do so."""
        return not self.draining or any(worker.drain_ms < RENEW_MS for _, worker in self.workers)

    @property
    def removable(self) -> bool:
        """Whether nothing is interrupted when it goes: it is idle, and will be.

        Also a Pod without a worker must have been told: one that is about to come up does not notice that its Pod is
        ended, and would take a job along.
        """
        return self.draining and self.busy == 0 and not self.dark


@dataclass(frozen=True, slots=True)
class Retreat:
    """What to do now on the way to a size."""

    replicas: int
    """What the Deployment may have now."""
    drain: tuple[Member, ...] = ()
    undrain: tuple[Member, ...] = ()
    mark: tuple[PodView, ...] = ()
    """Pods to give the deletion cost to."""
    unmark: tuple[PodView, ...] = ()


def member(
    pod: PodView,
    workers: Mapping[str, Sequence[Seen]],
    queues: Sequence[str],
    *,
    told: Collection[tuple[QueueAddress, str]] = (),
    unread: Collection[QueueAddress] = (),
    dark: Collection[str] = (),
) -> Member:
    """A Pod with its workers, by the name that both share.

    Args:
        pod: the Pod.
        workers: the pool's workers by name.
        queues: those of its pool, for a Pod that does not tell which ones it was made for.
        told: workers and names that were told to drain, with the queue.
        unread: queues that could not be read.
        dark: names of Pods of which cannot be seen what they hold.
    """
    seen = tuple(workers.get(pod.name, ()))
    places = {QueueAddress(pod.identity.key.namespace, name) for name in pod.queues or queues}
    silent = tuple(sorted(places - {address for address, _ in seen} - set(unread)))
    return Member(pod, seen, silent, told=all((address, pod.name) in told for address in silent), dark=pod.name in dark)


def workers_by_name(pool: str, snapshots: Iterable[QueueSnapshot]) -> dict[str, list[Seen]]:
    """The workers of a pool, as its queues see them."""
    found: dict[str, list[Seen]] = {}
    for snapshot in snapshots:
        for worker in snapshot.workers:
            if worker.pool == pool:
                found.setdefault(worker.name, []).append((snapshot.address, worker))
    return found


def by_queue(fleet: Iterable[Member]) -> list[tuple[QueueAddress, tuple[str, ...]]]:
    """The ids of their workers by queue: a worker of two queues must be told in both.

    Where a worker is not there yet it is told by the name of its Pod.
    """
    found: dict[QueueAddress, list[str]] = {}
    for member in fleet:
        for address, worker in member.workers:
            found.setdefault(address, []).append(worker.id)
        for address in member.silent:
            found.setdefault(address, []).append(member.pod.name)
    return [(address, tuple(ids)) for address, ids in found.items()]


def plan(fleet: Sequence[Member], *, replicas: int, goal: int, rolling: bool, unseen: bool = False) -> Retreat:
    """Steps from `replicas` to `goal`.

    Args:
        fleet: live Pods of the pool.
        replicas: what the Deployment asks for now.
        goal: what the pool should have.
        rolling: whether a roll-out is under way. Then it is not certain which Pods go, so none goes
            unless all may.
        unseen: whether there are workers in Pods that are not in `fleet`. Then none goes: it might be one of them.
    """
    victims = sorted(fleet, key=preference)[: max(0, len(fleet) - goal)]
    chosen = {member.pod.name for member in victims}
    leaving = [member for member in victims if member.removable]
    marked = {member.pod.name for member in leaving}
    return Retreat(
        replicas=max(goal, replicas)
        if unseen
        else _replicas(fleet, marked, replicas=replicas, goal=goal, rolling=rolling),
        drain=tuple(member for member in victims if member.to_be_told),
        undrain=tuple(
            member
            for member in fleet
            if member.pod.name not in chosen and any(worker.draining for _, worker in member.workers)
        ),
        mark=tuple(m.pod for m in leaving if m.pod.deletion_cost != names.VICTIM_COST),
        unmark=tuple(m.pod for m in fleet if m.pod.name not in marked and _cheaper(m.pod, going=bool(leaving))),
    )


def _cheaper(pod: PodView, *, going: bool) -> bool:
    """Whether a Pod that stays would go before a leaving one: by our mark, or by a lower cost of somebody else's."""
    cost = pod.deletion_cost
    return cost is not None and (cost == names.VICTIM_COST or (going and cost < names.VICTIM_COST))


def _replicas(fleet: Sequence[Member], marked: set[str], *, replicas: int, goal: int, rolling: bool) -> int:
    """What the Deployment may have: everything that is not certain to hit a leaving Pod is kept."""
    if goal >= replicas:
        return goal
    if rolling:
        return goal if all(member.removable for member in fleet) else replicas
    sure = 0
    for member in sorted(fleet, key=lambda one: _deletion_order(one, marked)):
        if member.pod.name not in marked or member.pod.deletion_cost != names.VICTIM_COST:
            break
        sure += 1
    return min(replicas, max(goal, len(fleet) - sure))


def preference(member: Member) -> tuple[bool, bool, bool, int, str]:
    """Whom to send away first: who never began, who drains already, who holds least, as far as it can be seen."""
    return member.dark, bool(member.workers), not member.draining, member.busy, member.pod.name


def _deletion_order(member: Member, marked: set[str]) -> tuple[bool, bool, bool, int, bool]:
    """The ReplicaSet's order; among equals the Pods that must stay come first, to be on the safe side."""
    pod = member.pod
    return (
        pod.assigned,
        pod.phase != "Pending",
        pod.ready,
        pod.deletion_cost or 0,
        pod.name in marked,
    )
