"""The slots of a worker, shared by its queues."""

from __future__ import annotations

from collections.abc import Callable


class Slots:
    """Counts free slots and tells whoever waits for one. Only for the event loop's thread."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.free = total
        self._waiting: list[Callable[[], None]] = []

    @property
    def busy(self) -> int:
        """Slots taken: running a job, or kept for one that a claim under way may bring."""
        return self.total - self.free

    def take(self, most: int) -> int:
        """Take up to ``most`` free slots; returns how many."""
        taken = min(most, self.free)
        self.free -= taken
        return taken

    def give(self, count: int) -> None:
        """Give slots back."""
        if count <= 0:
            return
        self.free += count
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def when_free(self, call: Callable[[], None]) -> None:
        """Call once when a slot comes free."""
        self._waiting.append(call)
