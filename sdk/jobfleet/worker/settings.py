"""How a worker works."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass, field

from jobfleet.errors import ConfigurationError
from jobfleet.scripts.processing import LEASE_MS
from jobfleet.seal import PLAIN, Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """A worker's settings.

    Attributes:
        queues: the queues it serves; at least one.
        concurrency: its slots: how many jobs it runs at a time.
        drain_seconds: how long running jobs may go on once it was told to stop; the rest goes back unfailed.
        name: what people call it, in Kubernetes its Pod's name; ``id`` adds a nonce: no two processes share one.
        health_port: where it answers /livez and /readyz; 0: nowhere.
        lease_ms: how long its lease lasts without a heartbeat; it renews three times as often.
        seal: how bytes are opened and closed; :meth:`jobfleet.Fleet.worker` gives the fleet's.
        stall_seconds: how long the claim loop may take to come round before the worker counts as dead.
    """

    queues: tuple[str, ...]
    concurrency: int = 10
    drain_seconds: float = 30.0
    name: str = field(default_factory=socket.gethostname)
    pool: str = ""
    health_port: int = 0
    lease_ms: int = LEASE_MS
    stall_seconds: float = 60.0
    id: str = ""
    seal: Seal = PLAIN

    def __post_init__(self) -> None:
        if not self.queues:
            raise ConfigurationError("queues: a worker needs at least one queue; declare a job or name a queue")
        if self.concurrency < 1:
            raise ConfigurationError(f"concurrency: {self.concurrency} must be at least 1")
        if not self.id:
            object.__setattr__(self, "id", f"{self.name}.{os.getpid()}-{secrets.token_hex(4)}")
