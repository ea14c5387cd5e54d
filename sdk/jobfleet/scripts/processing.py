"""Verbs of those who run jobs: settle and claim in one call, heartbeat, reclaim, retire, promote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

import msgspec

from jobfleet.audit import Author
from jobfleet.codec import MARK_BYTE, bound_to, pack_failure
from jobfleet.job import ClaimedJob, Failure
from jobfleet.keys import WAKE_CHANNEL, queue_keys
from jobfleet.report import LOG_BYTES
from jobfleet.scripts.command import Argument, Command, Script
from jobfleet.seal import PLAIN, Seal, SealError

_settle_and_claim = Script("settle_and_claim")
_heartbeat = Script("heartbeat")
_reclaim = Script("reclaim")
_retire = Script("retire")
_promote = Script("promote")
_note = Script("note")

MAX_BATCH = 1000
"""Outcomes, and likewise claims, in one call: Lua's unpack takes about 8,000 values."""

LEASE_MS = 10_000
"""How long a worker's lease lasts without a heartbeat; with one heartbeat of a peer on top, well under 15 s."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one attempt.

    Attributes:
        verdict: ``complete``; ``retry`` (after ``delay_ms``, a failure); ``fail`` (for good); ``return`` (unfailed, to
            the head of its line); ``snooze`` (after ``delay_ms``, unfailed); ``limit`` (returned, and the queue or the
            job's group hands out nothing for ``delay_ms``); ``cancel``.
        data: the packed result or failure; empty: none.
        blameless: a failure that says nothing of what handlers depend on, so that no circuit breaker counts it.
    """

    id: str
    attempt: int
    verdict: Literal["complete", "retry", "fail", "return", "snooze", "limit", "cancel"]
    data: bytes = b""
    delay_ms: int = 0
    blameless: bool = False


class Hold(IntEnum):
    """Why a worker is given nothing.

    RETURNING: the queue is paused, and what runs is to come back. OPEN: its circuit is open, or half open and enough
    probes run.
    """

    NONE = 0
    PAUSED = 1
    DRAINING = 2
    RETURNING = 3
    OPEN = 4

    @property
    def paused(self) -> bool:
        """Whether the queue hands out nothing to anybody, and not to this worker alone."""
        return self in (Hold.PAUSED, Hold.RETURNING, Hold.OPEN)


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to settle_and_claim.

    Attributes:
        next_due_ms: when the next delayed job is due, Unix ms; 0: none.
        again: there may be more at once; do not wait for a wake.
        resume_ms: when a limit, or an open circuit, lets more through, Unix ms; 0: none holds anything back.
        refused: ids whose outcome was not taken, because this worker no longer held that attempt.
    """

    now_ms: int
    next_due_ms: int
    hold: Hold
    again: bool
    resume_ms: int
    refused: tuple[str, ...]
    jobs: list[ClaimedJob]


_encode = msgspec.msgpack.Encoder().encode
_decode_heads = msgspec.msgpack.Decoder(list[Any]).decode


def _sealed(queue: str, outcome: Outcome, seal: Seal) -> Outcome:
    if outcome.verdict != "complete" or not outcome.data:
        return outcome
    return msgspec.structs.replace(outcome, data=seal.close(outcome.data, bound_to(queue, outcome.id)))


def settle_and_claim(
    realm: str,
    queue: str,
    worker: str,
    want: int,
    outcomes: Sequence[Outcome],
    *,
    lease_ms: int = LEASE_MS,
    seal: Seal = PLAIN,
) -> Command[Grant]:
    """Hand in ``outcomes`` and ask for ``want`` jobs; either may be empty, each at most :data:`MAX_BATCH`.

    Results go out sealed. A job that cannot be opened comes as it is; its worker will fail it with a reason.
    """
    keys = queue_keys(realm, queue)
    if outcomes and not seal.idle:
        outcomes = [_sealed(queue, outcome, seal) for outcome in outcomes]
    args: list[Argument] = [worker, want, lease_ms, keys.ends, EXPIRED, b"", b""]
    if outcomes:
        flat: list[str | int] = []
        blameless: list[int] = []
        for number, outcome in enumerate(outcomes, 1):
            if outcome.data:
                args.append(outcome.data)
            if outcome.blameless:
                blameless.append(number)
            place = len(args) - 7 if outcome.data else 0
            flat += (outcome.id, outcome.attempt, outcome.verdict, outcome.delay_ms, place)
        args[5] = _encode(flat)
        args[6] = _encode(blameless) if blameless else b""

    def opened(job_id: str, body: bytes) -> bytes:
        if body[:1] != MARK_BYTE:
            return body
        try:
            return seal.open(body, bound_to(queue, job_id))
        except SealError:
            return body

    def parse(raw: list[Any]) -> Grant:
        now, due, hold, again, resume, refused, heads, bodies = raw
        head = iter(_decode_heads(heads))
        jobs = [
            ClaimedJob(queue, job_id, attempt, failures, lost, enqueued, opened(job_id, body))
            for body, job_id, attempt, failures, lost, enqueued in zip(
                bodies, head, head, head, head, head, strict=True
            )
        ]
        return Grant(now, due, Hold(hold), again == 1, resume, tuple(r.decode() for r in refused), jobs)

    return Command(
        _settle_and_claim,
        [*keys.all, keys.active(worker)],
        args,
        parse,
    )


EXPIRED = pack_failure(Failure("expired", "the job waited longer than its expires_in allowed", final=True))


@dataclass(frozen=True, slots=True)
class Pulse:
    """The answer to a heartbeat.

    Attributes:
        held: what Redis says this worker holds, id → attempt.
        overdue: whose lease has ended.
        to_forward: failed jobs that somebody should carry to the dead-letter queue.
        returning: whether the queue is paused, and what runs is to come back.
    """

    draining: bool
    held: dict[str, int]
    overdue: tuple[str, ...]
    to_forward: int
    returning: bool


def heartbeat(
    realm: str, queue: str, worker: str, info: bytes, lease_ms: int = LEASE_MS, *, name: str = ""
) -> Command[Pulse]:
    """Renew the lease for ``lease_ms`` from now; ``name``: what the worker is called."""
    keys = queue_keys(realm, queue)

    def parse(raw: list[Any]) -> Pulse:
        draining, held, overdue, to_forward, returning = raw
        return Pulse(
            draining == 1,
            {held[i].decode(): int(held[i + 1]) for i in range(0, len(held), 2)},
            tuple(peer.decode() for peer in overdue),
            to_forward,
            returning == 1,
        )

    names = [keys.workers, keys.info, keys.draining, keys.busy, keys.active(worker), keys.forwarding, keys.config]
    return Command(_heartbeat, names, [worker, lease_ms, info, name], parse)


POISON = pack_failure(
    Failure(
        "poison",
        "the workers that ran this job were lost more often than maxDeliveries allows; it may be what ends them",
        final=True,
    )
)

LOST = pack_failure(Failure("lease lost", "the worker died, or could not reach Redis; the job went back to the queue"))


def reclaim(realm: str, queue: str, worker: str, *, known_dead: bool, by: Author | None = None) -> Command[int]:
    """Give a dead worker's jobs back; the answer is how many, or -1: its lease still runs and it is not known dead.

    ``by``: whose act it is, for the queue's audit; None: nobody's, its lease was over.
    """
    keys = queue_keys(realm, queue)
    args: list[Argument] = [worker, int(known_dead), POISON, WAKE_CHANNEL, keys.address, keys.ends, LOST]
    args.append(by.packed() if by else b"")
    return Command(
        _reclaim,
        [*keys.all, keys.audit, keys.active(worker)],
        args,
        int,
    )


def retire(realm: str, queue: str, worker: str) -> Command[int]:
    """Take a worker off the list; the answer is 0, or how many jobs it still holds, and then nothing was done."""
    keys = queue_keys(realm, queue)
    own = keys.active(worker)
    names = [keys.workers, keys.info, keys.draining, keys.busy, own, keys.counters, keys.wake]
    return Command(_retire, names, [worker], int)


def promote(realm: str, queue: str, limit: int = MAX_BATCH) -> Command[int]:
    """Move due jobs, at most ``limit``, to their lines; the answer is how many."""
    return Command(_promote, queue_keys(realm, queue).all, [limit], int)


@dataclass(frozen=True, slots=True)
class Note:
    """What a running attempt tells: packed progress, or lines for its log, each ending with a line feed.

    ``first`` numbers the lines within the attempt, from 0; those that were taken before are not taken again.
    """

    id: str
    attempt: int
    progress: bytes = b""
    lines: bytes = b""
    first: int = 0


def note(realm: str, queue: str, worker: str, told: Note, *, seal: Seal = PLAIN) -> Command[bool]:
    """Keep what an attempt tells; the answer is False where its worker no longer holds it. Progress goes sealed."""
    keys = queue_keys(realm, queue)
    progress = told.progress
    if progress and not seal.idle:
        progress = seal.close(progress, bound_to(queue, told.id))
    args: list[Argument] = [told.id, told.attempt, progress, told.lines, told.first, LOG_BYTES]
    return Command(
        _note,
        [keys.active(worker), keys.progress, keys.logs],
        args,
        bool,
    )
