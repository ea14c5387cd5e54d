"""How a worker works."""

from __future__ import annotations

import math
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobfleet.environment import MOST_WEIGHT
from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.options import check_queue_name
from jobfleet.scripts.processing import LEASE_MS
from jobfleet.seal import PLAIN, Seal

Queues = Mapping[str, float] | Sequence[str | tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """A worker's settings.

    Attributes:
        queues: the queues it serves, at least one; with weights where these differ: ``{"photos": 3, "mail": 1}``.
            While several have a backlog, photos gets three slots of four; alone, each gets all.
        concurrency: its slots: how many jobs it runs at a time; :meth:`jobfleet.Worker.resize` changes it.
        drain_seconds: how long running jobs may go on once it was told to stop; the rest goes back unfailed.
        name: what people call it, in Kubernetes its Pod's name; ``id`` adds a nonce: no two processes share one.
        health_port: where it answers /livez and /readyz; 0: nowhere.
        lease_ms: how long its lease lasts without a heartbeat, at least 100; it renews three times as often.
        seal: how bytes are opened and closed; :meth:`jobfleet.Fleet.worker` gives the fleet's.
        stall_seconds: how long the claim loop may take to come round before the worker counts as dead.
        max_jobs: after so many jobs it ends by itself, as if told to; 0: never.
        max_memory_mb: likewise once it takes more memory than this (resident set, MiB); a process of a handler with
            ``run_in="process"`` that takes more is replaced after its job. 0: no limit.

    Raises:
        ConfigurationError: naming the field and what would be right.
    """

    queues: Queues
    concurrency: int = 10
    drain_seconds: float = 30.0
    name: str = field(default_factory=socket.gethostname)
    pool: str = ""
    health_port: int = 0
    lease_ms: int = LEASE_MS
    stall_seconds: float = 60.0
    max_jobs: int = 0
    max_memory_mb: int = 0
    id: str = ""
    seal: Seal = PLAIN

    def __post_init__(self) -> None:
        weights = _weights(self.queues)
        if not weights:
            raise ConfigurationError("queues: a worker needs at least one queue; declare a job or name a queue")
        object.__setattr__(self, "queues", weights)
        for name, (kind, least, most, right) in _NUMBERS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
                raise ConfigurationError(f"{name}: {value!r} must be {right}")
        if not self.id:
            object.__setattr__(self, "id", f"{self.name}.{os.getpid()}-{secrets.token_hex(4)}")

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The queues without their weights."""
        return tuple(_weights(self.queues))

    def weight(self, queue: str) -> float:
        """A queue's part in the slots, beside the others'."""
        return _weights(self.queues)[queue]


_SECONDS = (int, float)
_NUMBERS: Mapping[str, tuple[Any, float, float, str]] = {
    "concurrency": (int, 1, math.inf, "a whole number, at least 1"),
    "drain_seconds": (_SECONDS, 0, math.inf, "0 or more seconds; with 0, running jobs go back at once"),
    "health_port": (int, 0, 65_535, "a port up to 65535, or 0 for none"),
    "lease_ms": (int, 100, 86_400_000, "whole milliseconds from 100 to 86400000 (a day)"),
    "stall_seconds": (_SECONDS, 0.1, math.inf, "at least 0.1 seconds"),
    "max_jobs": (int, 0, math.inf, "0 (no limit) or a whole number of jobs"),
    "max_memory_mb": (int, 0, math.inf, "0 (no limit) or a whole number of MiB"),
}
"""Each number's type, least and most, and what is right in words."""


def _weights(queues: Queues) -> dict[str, float]:
    """The queues with their weights, checked; 1 where none is given.

    >>> _weights(["photos", ("mail", 2)])
    {'photos': 1, 'mail': 2}
    """
    if isinstance(queues, str):
        raise ConfigurationError(f"queues: {queues!r} is one text and no list of names; write queues=({queues!r},)")
    pairs = queues.items() if isinstance(queues, Mapping) else (_pair(queue) for queue in queues)
    weights = {}
    for name, weight in pairs:
        try:
            check_queue_name(name)
        except InvalidJob as error:
            raise ConfigurationError(f"queues: {error}") from error
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= MOST_WEIGHT:
            raise ConfigurationError(
                f"queues: the weight {weight!r} of {name!r} must be a number above 0, at most {MOST_WEIGHT}"
            )
        weights[name] = weight
    return weights


def _pair(queue: str | tuple[str, float]) -> tuple[str, float]:
    if isinstance(queue, str):
        return queue, 1
    try:
        name, weight = queue
    except (TypeError, ValueError):
        raise ConfigurationError(f"queues: {queue!r} must be a name, or a pair of a name and its weight") from None
    return name, weight
