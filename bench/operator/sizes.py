"""How much is measured: every count and every time has a bound here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of a run.

    Attributes:
        queues: JobQueues, each with a WorkerPool of its own.
        idle_seconds: how long the operator is watched while nothing happens.
        restarts: how often it is started again with everything there.
        samples: jobs that each call a pool up from zero.
        rate: how many of them a second.
        burst: queues that get their first job at the same moment.
        moving_seconds: how long the numbers of all queues move without a pool changing its size.
        moving_rate: by how many jobs a second.
        patience: seconds after which a phase that does not come to its end is given up.
    """

    queues: int = 1_000
    idle_seconds: float = 30.0
    restarts: int = 3
    samples: int = 300
    rate: float = 4.0
    burst: int = 100
    moving_seconds: float = 30.0
    moving_rate: float = 200.0
    patience: float = 600.0


QUICK = Sizes(
    queues=50, idle_seconds=5.0, restarts=1, samples=30, burst=10, moving_seconds=5.0, moving_rate=50.0, patience=120.0
)
"""Sizes of a smoke run: it shows that everything works; its figures mean little."""
