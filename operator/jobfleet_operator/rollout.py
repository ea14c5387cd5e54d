"""Roll-outs that interrupt nothing: how the workers of an older template give way to the new ones. Pure.

A rolling Deployment ends Pods of the older template as those of the new one become ready, whoever
is busy. So, as soon as a roll-out begins, the operator takes the older Pods away from their
ReplicaSet (they run on, `PodView.released`), the Deployment makes a whole new fleet beside them,
and the older workers go one by one: told to drain as new ones take their place, the idlest first,
and ended when they are idle, however long their last job takes.

Until new workers are up, as many of the older ones go on as are needed; a template whose workers
never come up takes none away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jobfleet_operator.drain import Member, preference
from jobfleet_operator.world import PodView


@dataclass(frozen=True, slots=True)
class Succession:
    """What to do now about the workers of older templates."""

    drain: tuple[Member, ...] = ()
    undrain: tuple[Member, ...] = ()
    adopt: tuple[PodView, ...] = ()
    """Pods that nobody owns any more."""
    remove: tuple[PodView, ...] = ()
    """Pods that have nothing to lose."""


def plan(old: Sequence[Member], new: Sequence[Member], *, goal: int, cramped: bool = False) -> Succession:
    """Next steps of the older workers.

    Args:
        old: live Pods of older templates, which no ReplicaSet counts any more.
        new: the other live Pods of the pool.
        goal: what the pool should have.
        cramped: whether new Pods find no room. Then one older worker goes to make some.
    """
    up = sum(1 for member in new if member.workers and member.pod.ready and not member.draining)
    surplus = max(len(old) - max(0, goal - up), 1 if cramped else 0)
    leaving = sorted(old, key=preference)[:surplus]
    return Succession(
        drain=tuple(member for member in leaving if member.to_be_told),
        undrain=tuple(
            member for member in old if member not in leaving and any(worker.draining for _, worker in member.workers)
        ),
        adopt=tuple(member.pod for member in old if not member.pod.owner),
        remove=tuple(member.pod for member in leaving if member.removable),
    )
