"""Roll-outs that interrupt nothing: how the workers of an older template give way to the new ones. Pure.

A rolling Deployment ends Pods of the older template as those of the new one become ready, whoever
is busy. So a changed template comes to a Deployment that is paused, which makes and ends nothing for
it. The operator takes the older Pods away from their ReplicaSet (they run on, `PodView.released`),
lets the Deployment go on with as many new workers as there is room for beside them, and the older
ones go one by one: told to drain as new ones take their place, the idlest first, and ended when
they are idle, however long their last job takes. Each that has gone makes room for a new one.

Until new workers are up, as many of the older ones go on as are needed; a template whose workers
never come up takes none away. Older Pods that are not up themselves give way first, as in a
Deployment: a template that mends a broken one need not wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobfleet_operator.drain import Member
from jobfleet_operator.pods import PodView
from jobfleet_operator.world import DeploymentView


@dataclass(frozen=True, slots=True)
class Succession:
    """What to do now about the workers of older templates."""

    drain: tuple[Member, ...] = ()
    undrain: tuple[Member, ...] = ()
    remove: tuple[PodView, ...] = ()
    """Pods that have nothing to lose."""


def surge(limit: int | str, goal: int) -> int:
    """How many workers there may be beyond `goal`; a percentage of it is rounded up.

    >>> surge(2, 10), surge("25%", 10), surge("25%", 1), surge("100%", 0)
    (2, 3, 1, 0)
    """
    return limit if isinstance(limit, int) else -(-goal * int(limit.removesuffix("%")) // 100)


def room(*, goal: int, most_surge: int, old: int, new: int) -> int:
    """How many workers of the newest template there may be, beside `old` ones of older templates.

    None is made that would be more than `goal` and `most_surge` together; the `new` ones that are there stay, also
    where the goal has fallen and the older ones, which are busy, are too many.
    """
    return min(goal, max(new, goal + most_surge - old))


def rolling(seen: DeploymentView, fleet: Sequence[Member]) -> bool:
    """Whether the ReplicaSets of two templates have Pods, or the Deployment controller has not caught up."""
    revisions = {member.pod.revision for member in fleet}
    return len(revisions) > 1 or (seen.existing > 0 and seen.updated < seen.existing)


def pause(seen: DeploymentView, fleet: Sequence[Member], old: Sequence[Member], *, changed: bool) -> bool:
    """Whether the Deployment is to be paused.

    With a `changed` manifest it gets paused before it can act, and goes on when all Pods that it counts are of its
    template and every older one has another owner.
    """
    if changed:
        return seen.replicas > 0 or bool(fleet)
    if seen.paused:
        caught_up = seen.settled and not rolling(seen, fleet) and len(fleet) <= seen.existing
        return not caught_up or not all(member.pod.owner for member in old)
    return seen.settled and rolling(seen, fleet)


def plan(old: Sequence[Member], new: Sequence[Member], *, goal: int, cramped: bool = False) -> Succession:
    """Next steps of the older workers.

    Args:
        old: live Pods of older templates, which no ReplicaSet counts any more.
        new: the other live Pods of the pool.
        goal: what the pool should have.
        cramped: whether new Pods find no room. Then one older worker goes to make some.
    """
    up = sum(1 for member in new if member.workers and member.pod.ready and not member.draining)
    down = sum(1 for member in old if not member.workers and not member.pod.ready and not member.dark)
    surplus = max(len(old) - max(0, goal - up), down, 1 if cramped else 0)
    leaving = sorted(old, key=_preference)[:surplus]
    return Succession(
        drain=tuple(member for member in leaving if member.to_be_told),
        undrain=tuple(
            member for member in old if member not in leaving and any(worker.draining for _, worker in member.workers)
        ),
        remove=tuple(member.pod for member in leaving if member.removable),
    )


def _preference(member: Member) -> tuple[bool, bool, bool, bool, bool, int, str]:
    """Whom to replace first: who is idle, so that its place is free at once; of the busy ones who drains already."""
    idle = member.dark, bool(member.workers), member.pod.ready, member.busy > 0
    return *idle, not member.draining, member.busy, member.pod.name
