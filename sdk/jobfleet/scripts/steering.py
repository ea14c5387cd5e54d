"""Verbs of those who steer: settings, groups, drain, and what is done to jobs by hand.

``by`` is who does it: each that changes something appends to the queue's audit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from jobfleet.audit import NOBODY, Author
from jobfleet.keys import WAKE_CHANNEL, QueueKeys, queue_keys
from jobfleet.plain import cut, plain
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
_record = Script("record")

WHAT_BYTES: Final = 1000


def _acting(keys: QueueKeys) -> list[str]:
    return [*keys.all, keys.audit]


def configure(realm: str, queue: str, settings: Mapping[str, int | str], by: Author = NOBODY) -> Command[int]:
    """Write settings, by their names in :class:`jobfleet.settings.QueueSettings`; those not named keep their value.

    The answer is how many changed.

    Raises:
        InvalidJob: a setting is unknown or out of its bounds; the error names it.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument] = [by.packed(), *(part for pair in checked(queue, settings).items() for part in pair)]
    circuits = [keys.circuit, keys.circuit_now, keys.circuit_before]
    groups = [keys.group_parked, keys.ring, keys.group_active, keys.group_tokens, keys.group_config]
    return Command(_configure, [keys.config, keys.counters, keys.wake, *circuits, *groups, keys.audit], args, int)


def tell(realm: str, queue: str, workers: Sequence[str], word: str) -> Command[int]:
    """Say one word to workers that run jobs; at least one must be named."""
    keys = queue_keys(realm, queue)
    return Command(_tell, [keys.control(worker) for worker in workers], [word], int)


DRAIN_MS = 60_000
"""How long a worker is given nothing after it was told to drain, unless it is told again."""


def drain(
    realm: str, queue: str, workers: Sequence[str], lasts_ms: int = DRAIN_MS, by: Author = NOBODY
) -> Command[dict[str, int]]:
    """Give those workers nothing for so long; the answer is what each still holds, -1 where there is no such worker.

    A name instead of a worker's id holds for a worker of that name that comes up meanwhile.
    """
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any]) -> dict[str, int]:
        return dict(zip(workers, raw, strict=True))

    names = [keys.draining, keys.workers, keys.config, keys.audit, *(keys.active(worker) for worker in workers)]
    return Command(_drain, names, [lasts_ms, by.packed(), *workers], parse)


def undrain(realm: str, queue: str, workers: Sequence[str], by: Author = NOBODY) -> Command[int]:
    """Give those workers jobs again; the answer is how many had been draining. At least one must be named."""
    keys = queue_keys(realm, queue)
    names = [keys.draining, keys.counters, keys.wake, keys.config, keys.audit]
    return Command(_undrain, names, [by.packed(), *workers], int)


def purge(realm: str, queue: str, workers: Sequence[str], by: Author = NOBODY) -> Command[int]:
    """Delete every key of a queue but its audit, and the named workers' own; the answer is how many jobs went."""
    keys = queue_keys(realm, queue)
    own = [name for worker in workers for name in (keys.active(worker), keys.control(worker))]
    first = [keys.jobs, keys.config, keys.audit]
    others = [name for name in keys.all if name not in first]
    return Command(_purge, [*first, *others, *own], [by.packed()], int)


def configure_group(realm: str, queue: str, group: str, config: bytes, by: Author = NOBODY) -> Command[int]:
    """Give a group what :func:`jobfleet.codec.pack_group` packed; empty: what all groups have."""
    return Command(_group, _acting(queue_keys(realm, queue)), [group, config, by.about(group).packed()], int)


def close_circuit(realm: str, queue: str, group: str = "", by: Author = NOBODY) -> Command[bool]:
    """Close the circuit of a queue, or of one of its groups; the answer is False where it was closed."""
    return Command(_close_circuit, _acting(queue_keys(realm, queue)), [group, by.packed()], bool)


class Cancellation(StrEnum):
    """What became of a cancel."""

    CANCELLED = "cancelled"
    TOLD = "told"
    ENDED = "ended"
    UNKNOWN = "unknown"


def cancel(realm: str, queue: str, job_id: str, workers: Sequence[str], by: Author = NOBODY) -> Command[Cancellation]:
    """Cancel a job; the workers are all that may hold it."""
    keys = queue_keys(realm, queue)
    own = [name for worker in workers for name in (keys.active(worker), keys.control(worker))]
    args: list[Argument] = [job_id, keys.ends, by.packed(), *workers]
    return Command(_cancel, [*_acting(keys), *own], args, lambda raw: Cancellation(raw.decode()))


def retry(
    realm: str, queue: str, job_ids: Sequence[str], spacing_us: int = 0, first_us: int = 0, by: Author = NOBODY
) -> Command[list[bool]]:
    """Try failed or cancelled jobs again, so many microseconds apart, the first in ``first_us``.

    The answer is for each whether it is tried again: it was failed or cancelled, and no other job has its key of
    deduplication.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument] = [WAKE_CHANNEL, keys.address, spacing_us, first_us, by.packed(), *job_ids]
    return Command(_retry, _acting(keys), args, lambda raw: [answer == 1 for answer in raw])


def discard(realm: str, queue: str, job_ids: Sequence[str], by: Author = NOBODY) -> Command[int]:
    """Forget jobs that have ended; the answer is how many. At least one id must be given."""
    return Command(_discard, _acting(queue_keys(realm, queue)), [by.packed(), *dict.fromkeys(job_ids)], int)


def clean(realm: str, queue: str, state: State, before_ms: int, limit: int, by: Author = NOBODY) -> Command[int]:
    """Forget the oldest completed, failed or cancelled jobs that ended before a time, at most ``limit``."""
    return Command(_clean, _acting(queue_keys(realm, queue)), [state.value, before_ms, limit, by.packed()], int)


def record(realm: str, queue: str, by: Author, verb: str, count: int, what: str) -> Command[int]:
    """Append to the audit what was done to a queue's workers outside of Redis; ``count``: how many they are."""
    keys = queue_keys(realm, queue)
    return Command(_record, [keys.audit, keys.config], [by.packed(), verb, count, cut(plain(what), WHAT_BYTES)], int)
