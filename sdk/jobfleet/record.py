"""What the scripts keep of a job, read: for onlookers, and for whoever makes another job of it.

The header of a record belongs to the scripts (``scripts/lua/_header.lua``); here it is only read.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from jobfleet import codec
from jobfleet.errors import JobFailed
from jobfleet.job import Body, Failure, JobView
from jobfleet.seal import PLAIN, Seal, SealError
from jobfleet.states import FROM_BYTE, State

HEADER_BYTES: Final = 25
_NO_EXTENSION = codec.Extension()
_CLOSED = (SealError, ValueError, RecursionError)


class OpenRecord(msgspec.Struct, frozen=True):
    """A record of Redis with its body opened, for whoever makes another job of it."""

    body: Body
    priority: int
    attempt: int
    since_ms: int
    group: str | None
    keep_result: float | None


def open_record(queue: str, job_id: str, record: bytes, seal: Seal) -> OpenRecord:
    """A record with its body.

    Raises:
        SealError: ``seal`` cannot open it.
        ValueError: these bytes are no job's.
    """
    extension, packed = _split(record)
    body = codec.unpack_body(seal.open(packed, codec.bound_to(queue, job_id)))
    keep = None if extension.r is None else extension.r / 1000
    attempt = int.from_bytes(record[2:5], "big")
    return OpenRecord(body, record[1] % codec.EXTENDED, attempt, since_of(record), extension.g, keep)


def since_of(record: bytes) -> int:
    """When a job came into its state, Unix ms."""
    return int.from_bytes(record[13:19], "big")


def view(
    queue: str,
    job_id: str,
    record: bytes,
    result: bytes | None,
    errors: bytes | None,
    progress: bytes | None,
    *,
    seal: Seal = PLAIN,
) -> JobView:
    """A record of Redis as a :class:`JobView`; one that cannot be opened is ``(sealed)``, without arguments.

    One whose bytes are no job's, or too deeply nested to be read here, is ``(unreadable)``: a list shows the others.
    """
    extension, packed = _split(record)
    place = codec.bound_to(queue, job_id)
    told = returned = None
    unopened = ""
    try:
        body = codec.unpack_body(seal.open(packed, place))
    except _CLOSED as error:
        name = "(sealed)" if isinstance(error, SealError) else "(unreadable)"
        body = Body(name, {}, 0, codec.DEFAULT_BACKOFF, None, {})
    with suppress(*_CLOSED):  # a worker may seal with a newer key than the producer
        told = codec.unpack_result(seal.open(progress, place)) if progress else None
    try:
        returned = codec.unpack_result(seal.open(result, place)) if result else None
    except _CLOSED as error:
        unopened = str(error)
    enqueued, since, started = (int.from_bytes(record[i : i + 6], "big") for i in (7, 13, 19))
    failures = unpack_failures(errors)
    return JobView(
        queue=queue,
        id=job_id,
        state=FROM_BYTE[record[0]],
        name=body.name,
        args=body.args,
        priority=record[1] % codec.EXTENDED,
        attempt=int.from_bytes(record[2:5], "big"),
        attempts=body.attempts,
        failures=record[5],
        lost=record[6],
        enqueued_ms=enqueued,
        since_ms=since,
        started_ms=started,
        result=returned,
        error=failures[-1] if failures else None,
        history=failures,
        progress=told,
        group=extension.g,
        metadata=body.metadata,
        unopened=unopened,
    )


def result_of(job_id: str, job: JobView | None) -> Any:
    """What the handler of an ended job returned.

    Raises:
        JobFailed: it failed or was cancelled.
        SealError: it completed, and what it returned cannot be opened here.
        LookupError: there is no such job.
    """
    if job is None:
        raise LookupError(f"there is no job {job_id}, or no longer")
    if job.state is not State.COMPLETED:
        why = f": {job.error.kind}: {job.error.message}" if job.error and job.state is State.FAILED else ""
        raise JobFailed(f"job {job_id} {job.state.value}{why}")
    if job.unopened:
        raise SealError(f"job {job_id} completed, but its result cannot be opened here: {job.unopened}")
    return job.result


def _split(record: bytes) -> tuple[codec.Extension, bytes]:
    """What stands behind the header: extension and body."""
    if record[1] < codec.EXTENDED:
        return _NO_EXTENSION, record[HEADER_BYTES:]
    end = HEADER_BYTES + 2 + int.from_bytes(record[HEADER_BYTES : HEADER_BYTES + 2], "big")
    return codec.unpack_extension(record[HEADER_BYTES + 2 : end]), record[end:]


def unpack_failures(raw: bytes | None) -> tuple[Failure, ...]:
    """What :func:`jobfleet.codec.pack_failure` packed and the scripts keep (``_shelf.lua``), the oldest first."""
    failures = []
    at = 0
    while raw and at < len(raw):
        at_ms, place = int.from_bytes(raw[at : at + 6], "big"), at + 7 + raw[at + 6]
        worker = raw[at + 7 : place].decode("utf-8", "replace")
        at = place + 4 + int.from_bytes(raw[place : place + 4], "big")
        found = codec.unpack_failure(raw[place + 4 : at])
        failures.append(
            Failure(
                found.kind, found.message, found.traceback, found.attempt, found.fingerprint, found.final, at_ms, worker
            )
        )
    return tuple(failures)
