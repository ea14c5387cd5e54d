"""Carries jobs that failed for good to the dead-letter queue that their own queue names.

Two queues may live in different slots of a Redis Cluster, so it takes steps: take from here, enqueue there, tell here.
Whoever dies in between leaves the job on its way, and another carries it again, under an id that follows from the
failure: the other queue knows it and takes it once, for an hour also after it has forgotten the job. Nothing here
does I/O.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Generator, Sequence
from typing import Any

from jobfleet import record
from jobfleet.audit import Author
from jobfleet.envelope import Envelope
from jobfleet.errors import JobfleetError, QueueFull
from jobfleet.job import Failure
from jobfleet.options import Dedup, JobOptions
from jobfleet.scripts import forwarding, producing
from jobfleet.scripts.command import Command
from jobfleet.scripts.forwarding import Taken
from jobfleet.scripts.producing import NewJob
from jobfleet.seal import PLAIN, Seal, SealError

log = logging.getLogger("jobfleet.dead_letters")

AT_ONCE = 100
MOST_QUEUES = 10
"""Through how many queues a job may fail, one after the other; it stays with the last."""

PREFIX = "dead_letter."
"""What the names of the metadata begin with that tell where a job failed, and why."""

MESSAGE_CHARACTERS = 500

KNOWN_SECONDS = 3600.0
"""How long the other queue knows a job that arrived, whether it keeps the job or not."""


def carry(realm: str, queue: str, seal: Seal = PLAIN, by: Author | None = None) -> Generator[Command[Any], Any, int]:
    """Carry up to :data:`AT_ONCE` jobs; the answer is how many need not be carried any more.

    What the other queue refuses, and what ``seal`` cannot open, stays on its way. ``by`` as of
    :func:`jobfleet.scripts.forwarding.forwarded`.
    """
    target, taken = yield forwarding.forward(realm, queue, AT_ONCE)
    failed_at: dict[str, tuple[str, int]] = {}
    letters: list[NewJob] = []
    stay: list[tuple[str, int]] = []
    for job in taken:
        failure = (job.id, record.since_of(job.record))
        try:
            letter = letter_of(queue, job, target, seal)
        except SealError as error:
            log.warning("a failed job cannot be forwarded here: %s", error, extra={"queue": queue, "job": job.id})
        except (ValueError, IndexError, RecursionError) as error:  # the others go on all the same
            log.warning("a failed job is not forwarded: %s", error, extra={"queue": queue, "job": job.id, "to": target})
            stay.append(failure)
        else:
            failed_at[letter.id] = failure
            letters.append(letter)
    accepted = yield from _deliver(realm, target, letters)
    arrived = [failed_at[letter_id] for letter_id in accepted]
    if stay:
        yield forwarding.forwarded(realm, queue, stay)
    if arrived:
        yield forwarding.forwarded(realm, queue, arrived, by and by.about(f"to {target}", goes_on=by.goes_on))
    return len(stay) + len(arrived)


def carry_all(realm: str, queue: str, seal: Seal, by: Author) -> Generator[Command[Any], Any, int]:
    """Carry all that can be carried now; the answer is how many need not be carried any more."""
    total = 0
    while True:
        carried = yield from carry(realm, queue, seal, by.about("", goes_on=total > 0))
        total += carried
        if carried < AT_ONCE:
            return total


def _deliver(realm: str, target: str, letters: Sequence[NewJob]) -> Generator[Command[Any], Any, list[str]]:
    """Enqueue them, together or else one by one; the answer has the ids of those that are there now."""
    if not letters:
        return []
    answer = yield producing.offer(realm, target, letters)
    if not isinstance(answer, JobfleetError):
        return [letter.id for letter in letters]
    accepted = []
    for letter in letters:
        answer = yield producing.offer(realm, target, [letter])
        if not isinstance(answer, JobfleetError):
            accepted.append(letter.id)
            continue
        log.warning("a failed job cannot be forwarded now: %s", answer, extra={"to": target})
        if isinstance(answer, QueueFull):
            break
    return accepted


def letter_of(queue: str, job: Taken, target: str, seal: Seal = PLAIN) -> NewJob:
    """A failed job as a new one for another queue: same name, arguments and options, and word of where it failed.

    Deduplication and time to live stay behind: they must not make it disappear.

    Raises:
        SealError: ``seal`` cannot open it.
        ValueError: it has been in ``target`` before, or in too many queues, or it cannot be read.
    """
    found = record.open_record(queue, job.id, job.record, seal)
    body = found.body
    earlier = body.metadata.get(PREFIX + "path", "")
    path = [*(earlier.split(",") if earlier else ()), queue]
    if target in path or len(path) >= MOST_QUEUES:
        raise ValueError(f"it has failed in {', '.join(path)}, and stays there")
    failures = record.unpack_failures(job.errors)
    failure = failures[-1] if failures else Failure("", "")
    told = {
        "queue": queue,
        "job_id": job.id,
        "failed_ms": str(found.since_ms),
        "attempt": str(found.attempt),
        "kind": failure.kind,
        "message": failure.message[:MESSAGE_CHARACTERS],
        "fingerprint": failure.fingerprint,
        "path": ",".join(path),
    }
    cause = hashlib.sha256(f"{queue} {job.id} {found.since_ms}".encode())
    letter_id = "dl-" + base64.urlsafe_b64encode(cause.digest()[:15]).decode()
    options = JobOptions(
        priority=found.priority,
        attempts=body.attempts,
        backoff=body.backoff,
        timeout=body.timeout,
        group=found.group,
        keep_result=found.keep_result,
        metadata={**body.metadata, **{PREFIX + name: text for name, text in told.items()}},
        dedup=Dedup(letter_id, "throttle", KNOWN_SECONDS),
    )
    return Envelope(target, body.name, options, seal).job(letter_id, body.args)
