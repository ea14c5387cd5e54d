"""Verbs of those who steer: settings, drain and undrain, purge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobfleet.keys import queue_keys
from jobfleet.scripts.command import Argument, Command, Script

_configure = Script("configure")
_drain = Script("drain")
_undrain = Script("undrain")
_purge = Script("purge")


def configure(realm: str, queue: str, settings: Mapping[str, int]) -> Command[int]:
    """Write settings; those not named keep their value."""
    keys = queue_keys(realm, queue)
    args: list[Argument] = []
    for name, value in settings.items():
        args += (name, int(value))
    return Command(_configure, [keys.config, keys.counters, keys.wake], args, int)


def drain(realm: str, queue: str, workers: Sequence[str]) -> Command[dict[str, int]]:
    """Give those workers nothing more; the answer is what each still holds, -1 where there is no such worker."""
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any]) -> dict[str, int]:
        return dict(zip(workers, raw, strict=True))

    names = [keys.draining, keys.workers, *(keys.active(worker) for worker in workers)]
    return Command(_drain, names, list(workers), parse)


def undrain(realm: str, queue: str, workers: Sequence[str]) -> Command[int]:
    """Give those workers jobs again; the answer is how many had been draining. At least one must be named."""
    keys = queue_keys(realm, queue)
    return Command(_undrain, [keys.draining, keys.counters, keys.wake], list(workers), int)


def purge(realm: str, queue: str, workers: Sequence[str]) -> Command[int]:
    """Delete every key of a queue, the named workers' own among them; the answer is how many jobs went."""
    keys = queue_keys(realm, queue)
    return Command(_purge, [*keys.shared(), *(keys.active(worker) for worker in workers)], [], int)
