"""What the acting operator remembers between two rounds.

All of it may be lost at any moment: after a restart the first window of every pool only goes up,
every Deployment and Secret is applied once more, and nothing else is different.
"""

from collections import deque
from dataclasses import dataclass, field

from jobfleet_operator.scaling import History
from jobfleet_operator.world import Manifest

RATE_WINDOW_SECONDS = 10.0


@dataclass(slots=True)
class StatusMemory:
    """The status that was written last, and when."""

    written: Manifest | None = None
    written_at: float = 0.0


@dataclass(slots=True)
class PoolMemory:
    """About one WorkerPool; one that was deleted and made anew is another."""

    uid: str = ""
    goal: int | None = None
    """The wanted size; None before the first decision."""
    history: History = field(default_factory=History)
    limited: bool = False
    """Whether the maximum kept it from growing."""
    decision: Manifest | None = None
    """`status.lastDecision` as it should read."""
    why: str = ""
    generation: int | None = None
    """Generation of the Deployment after the operator's last write to it."""
    refusal: str = ""
    """Why the API server refused the Deployment; "" when it did not."""
    said: str = ""
    """The trouble that the last warning was about."""
    failures: int = 0
    retry_at: float = 0.0
    """No writes for this pool before this time, after failures."""
    status: StatusMemory = field(default_factory=StatusMemory)


@dataclass(slots=True)
class QueueMemory:
    """About one JobQueue; one that was deleted and made anew is another."""

    uid: str = ""
    secret: str = ""
    """Fingerprint of the Secret that was applied last."""
    secret_at: float = 0.0
    completions: deque[tuple[float, int]] = field(default_factory=deque)
    """Recent (seconds, completed so far), for the rate."""
    failures: int = 0
    retry_at: float = 0.0
    status: StatusMemory = field(default_factory=StatusMemory)

    def count(self, seconds: float, completed: int) -> tuple[int, float]:
        """Note the counter of completed jobs; returns how many were completed in how many seconds lately."""
        recent = self.completions
        if recent and completed < recent[-1][1]:
            recent.clear()
        if not recent or seconds - recent[-1][0] >= 1.0:
            recent.append((seconds, completed))
        while len(recent) > 2 and seconds - recent[1][0] >= RATE_WINDOW_SECONDS:
            recent.popleft()
        return completed - recent[0][1], seconds - recent[0][0]
