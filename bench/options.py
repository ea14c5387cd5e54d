"""How much is measured: every count and every time has a bound here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of the measures.

    Attributes:
        rounds: how often each peer is measured; peers take turns.
        seconds: how long a round of a rate should take; a short first run of each peer says how many jobs that is.
        fewest, most: bounds on the jobs of such a round.
        warm_up: jobs of that first run.
        samples: jobs whose pick-up is timed in a round.
        stored: jobs over which Redis' memory is divided.
        depth: jobs that wait in the deep queue.
        idle_seconds: how long an idle worker is listened to.
        killed: jobs of the measure in which a worker is killed.
        kill_seconds: how long those may take to be all done.
        patience: seconds after which a step that did not come to its end is given up.
    """

    rounds: int = 5
    seconds: float = 3.0
    fewest: int = 1_000
    most: int = 400_000
    warm_up: int = 1_000
    samples: int = 500
    stored: int = 30_000
    depth: int = 1_000_000
    idle_seconds: float = 20.0
    killed: int = 100
    kill_seconds: float = 120.0
    patience: float = 300.0

    def jobs(self, rate: float) -> int:
        """How many jobs a round takes for a peer that does ``rate`` jobs a second.

        >>> options = Options(seconds=2, fewest=100, most=5000)
        >>> options.jobs(10), options.jobs(1234.5), options.jobs(1e9)
        (100, 2469, 5000)
        """
        return max(self.fewest, min(self.most, round(rate * self.seconds)))


QUICK = Options(
    rounds=1, seconds=0.5, fewest=300, warm_up=300, samples=50, stored=3_000, depth=30_000, idle_seconds=5.0,
    killed=60, kill_seconds=25.0, patience=60.0,
)  # fmt: skip
"""Sizes of a smoke run: it shows that everything works; its figures mean little."""
