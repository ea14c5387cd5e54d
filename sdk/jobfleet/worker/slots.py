"""The slots of a worker, shared by its queues; where more is asked for than is free, by their weights.

Stride scheduling (C. Waldspurger, W. Weihl, "Stride Scheduling", MIT, 1995): each slot that a queue is given moves its
pass on by a stride of 1/weight, and the next slot goes to the lowest pass among those that ask.
"""

from __future__ import annotations

from collections.abc import Callable


class Share:
    """One queue's part in the slots; only for the event loop's thread.

    Attributes:
        hungry: whether it waits for a slot; until it asks again, others leave it its part.
        rested: whether it wanted nothing lately.
    """

    __slots__ = ("_slots", "hungry", "passed", "rested", "stir", "stride")

    def __init__(self, slots: Slots, weight: float, stir: Callable[[], None]) -> None:
        self._slots = slots
        self.stride = 1.0 / weight
        self.passed = 0.0
        self.hungry = False
        self.rested = True
        self.stir = stir

    def take(self, most: int) -> int:
        """Take up to ``most`` slots, as many as are free and due to this queue; returns how many."""
        return self._slots.take(self, most)

    def unused(self, count: int) -> None:
        """Give slots back that were taken for jobs that did not come: this queue has no more for now."""
        if count > 0:
            self.passed -= count * self.stride
            self.rested = True
            self._slots.give(count)

    def wait(self) -> None:
        """Have ``stir`` called when a slot comes free."""
        self._slots.wait(self)

    def leave(self) -> None:
        """This queue wants nothing for now; those that were held back for it go on."""
        self._slots.leave(self)


class Slots:
    """Counts free slots; ``free`` is below zero while more jobs run than there are slots since :meth:`resize`.

    Only for the event loop's thread.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._shares: list[Share] = []
        self._hungry: list[Share] = []
        self._watching: list[Callable[[], None]] = []
        self._clock = 0.0

    @property
    def busy(self) -> int:
        """Slots taken: running a job, or kept for one that a claim under way may bring."""
        return self.total - self.free

    def share(self, weight: float, stir: Callable[[], None]) -> Share:
        """A part in the slots for one more queue; ``stir`` is called when it may have a slot."""
        share = Share(self, weight, stir)
        self._shares.append(share)
        return share

    def take(self, share: Share, most: int) -> int:
        """See :meth:`Share.take`."""
        if self.free <= 0 or most <= 0:
            return 0
        self._arrive(share)
        others = any(other is not share for other in self._hungry)
        taken = self._due(share, most) if others else min(most, self.free)
        if taken == 0:
            return 0
        self._clock = max(self._clock, share.passed)
        share.passed += taken * share.stride
        self.free -= taken
        if share.hungry:
            share.hungry = False
            self._hungry.remove(share)
        return taken

    def _arrive(self, share: Share) -> None:
        """Who asked for nothing for a while has saved nothing up."""
        if share.rested:
            share.rested = False
            share.passed = max(share.passed, self._clock)

    def _due(self, share: Share, most: int) -> int:
        """How many of the free slots are this queue's, if each goes to the lowest pass among those that ask."""
        passes = {other: other.passed for other in (*self._hungry, share)}
        taken = 0
        for _ in range(self.free):
            first = min(passes, key=passes.__getitem__)
            passes[first] += first.stride
            taken += first is share
            if taken == most:
                break
        return taken

    def give(self, count: int) -> None:
        """Give slots back."""
        self.free += count
        if self.free > 0:
            for share in self._hungry:
                share.stir()
            if self._watching:
                watching, self._watching = self._watching, []
                for call in watching:
                    call()

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once when a slot is free, without asking for it."""
        self._watching.append(call)

    def wait(self, share: Share) -> None:
        """See :meth:`Share.wait`."""
        if not share.hungry:
            self._arrive(share)
            share.hungry = True
            self._hungry.append(share)

    def leave(self, share: Share) -> None:
        """See :meth:`Share.leave`."""
        if share.hungry:
            share.hungry = False
            self._hungry.remove(share)
            self.give(0)

    def resize(self, total: int) -> None:
        """Have ``total`` slots: more at once, fewer as jobs end."""
        self.free += total - self.total
        self.total = total
        for share in self._shares:
            share.stir()
