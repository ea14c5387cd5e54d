"""Verbs of those who steer: settings, groups, drain, and what is done to jobs by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from jobfleet.keys import WAKE_CHANNEL, queue_keys
from jobfleet.scripts.command import Argument, Command, Script
from jobfleet.settings import checked
from jobfleet.states import State

_configure = Script("configure")
_tell = Script("tell")
_drain = Script("drain")
_undrain = Script("undrain")
_purge = Script("purge")
_group = Script("group")
_cancel = Script("cancel")
_retry = Script("retry")
_discard = Script("discard")
_clean = Script("clean")
_close_circuit = Script("close_circuit")


def configure(realm: str, queue: str, settings: Mapping[str, int | str]) -> Command[int]:
    """Write settings, by their names in :class:`jobfleet.settings.QueueSettings`; those not named keep their value.

    Raises:
        InvalidJob: a setting is unknown or out of its bounds; the error names it.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument] = [part for pair in checked(queue, settings).items() for part in pair]
    circuits = [keys.circuit, keys.circuit_now, keys.circuit_before, keys.group_parked]
    return Command(_configure, [keys.config, keys.counters, keys.wake, *circuits], args, int)


def tell(realm: str, queue: str, workers: Sequence[str], word: str) -> Command[int]:
    """Say one word to workers that run jobs; at least one must be named."""
    keys = queue_keys(realm, queue)
    return Command(_tell, [keys.control(worker) for worker in workers], [word], int)


DRAIN_MS = 60_000
"""How long a worker is given nothing after it was told to drain, unless it is told again."""


def drain(realm: str, queue: str, workers: Sequence[str], lasts_ms: int = DRAIN_MS) -> Command[dict[str, int]]:
    """Give those workers nothing for so long; the answer is what each still holds, -1 where there is no such worker.

    A name instead of a worker's id holds for a worker of that name that comes up meanwhile.
    """
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any]) -> dict[str, int]:
        return dict(zip(workers, raw, strict=True))

    names = [keys.draining, keys.workers, *(keys.active(worker) for worker in workers)]
    return Command(_drain, names, [lasts_ms, *workers], parse)


def undrain(realm: str, queue: str, workers: Sequence[str]) -> Command[int]:
    """Give those workers jobs again; the answer is how many had been draining. At least one must be named."""
    keys = queue_keys(realm, queue)
    return Command(_undrain, [keys.draining, keys.counters, keys.wake], list(workers), int)


def purge(realm: str, queue: str, workers: Sequence[str]) -> Command[int]:
    """Delete every key of a queue, the named workers' own among them; the answer is how many jobs went."""
    keys = queue_keys(realm, queue)
    own = [name for worker in workers for name in (keys.active(worker), keys.control(worker))]
    return Command(_purge, [keys.jobs, *(name for name in keys.all if name != keys.jobs), *own], [], int)


def configure_group(realm: str, queue: str, group: str, config: bytes) -> Command[int]:
    """Give a group what :func:`jobfleet.codec.pack_group` packed; empty: what all groups have."""
    return Command(_group, queue_keys(realm, queue).all, [group, config], int)


def close_circuit(realm: str, queue: str, group: str = "") -> Command[bool]:
    """Close the circuit of a queue, or of one of its groups; the answer is False where it was closed."""
    return Command(_close_circuit, queue_keys(realm, queue).all, [group], bool)


class Cancellation(StrEnum):
    """What became of a cancel."""

    CANCELLED = "cancelled"
    TOLD = "told"
    ENDED = "ended"
    UNKNOWN = "unknown"


def cancel(realm: str, queue: str, job_id: str, workers: Sequence[str]) -> Command[Cancellation]:
    """Cancel a job; the workers are all that may hold it."""
    keys = queue_keys(realm, queue)
    own = [name for worker in workers for name in (keys.active(worker), keys.control(worker))]
    return Command(_cancel, [*keys.all, *own], [job_id, keys.ends, *workers], lambda raw: Cancellation(raw.decode()))


def retry(
    realm: str, queue: str, job_ids: Sequence[str], spacing_ms: int = 0, first_ms: int = 0
) -> Command[list[bool]]:
    """Try failed or cancelled jobs again, ``spacing_ms`` apart, the first in ``first_ms``; was each of them one?"""
    keys = queue_keys(realm, queue)
    args: list[Argument] = [WAKE_CHANNEL, keys.address, spacing_ms, first_ms, *job_ids]
    return Command(_retry, keys.all, args, lambda raw: [answer == 1 for answer in raw])


def discard(realm: str, queue: str, job_ids: Sequence[str]) -> Command[int]:
    """Forget jobs that have ended; the answer is how many. At least one id must be given."""
    return Command(_discard, queue_keys(realm, queue).all, list(job_ids), int)


def clean(realm: str, queue: str, state: State, before_ms: int, limit: int) -> Command[int]:
    """Forget the oldest completed, failed or cancelled jobs that ended before a time, at most ``limit``."""
    return Command(_clean, queue_keys(realm, queue).all, [state.value, before_ms, limit], int)
