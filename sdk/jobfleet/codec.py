"""Bytes and back: the record of a job, results, failures, what a worker says of itself. MessagePack, never pickle.

The header of a record belongs to the scripts (``scripts/lua/_record.lua``); here it is only read.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final, Literal

import msgspec

from jobfleet.errors import InvalidJob
from jobfleet.job import Body, Failure, JobView
from jobfleet.options import JobOptions
from jobfleet.retry import Backoff
from jobfleet.seal import MARK, PLAIN, Seal, SealError
from jobfleet.states import FROM_BYTE

HEADER_BYTES: Final = 25
MAX_MESSAGE, MAX_TRACEBACK = 2_000, 8_000
DEFAULT_BACKOFF: Final = Backoff()


class _Backoff(msgspec.Struct, array_like=True, frozen=True):
    kind: Literal["exponential", "fixed"]
    seconds: float
    cap_seconds: float
    jitter: float


class _Body(msgspec.Struct, omit_defaults=True, frozen=True):
    """Short names: they are stored with every job."""

    n: str
    a: dict[str, Any] = {}
    t: int = 3
    b: _Backoff | None = None
    s: float | None = None
    m: dict[str, str] = {}


class _Extension(msgspec.Struct, omit_defaults=True, frozen=True):
    """What the scripts read of a job, as told in ``_record.lua``."""

    g: str | None = None
    k: str | None = None
    m: str | None = None
    t: int | None = None
    x: int | None = None
    r: int | None = None


class _Failure(msgspec.Struct, array_like=True, frozen=True):
    kind: str
    message: str
    traceback: str = ""
    attempt: int = 0
    fingerprint: str = ""
    final: bool = False


class WorkerInfo(msgspec.Struct, array_like=True, frozen=True):
    """What a worker says of itself with every heartbeat."""

    name: str
    pool: str
    slots: int
    started_ms: int = 0


def _foreign(value: Any) -> Any:
    """Types that MessagePack lacks and that have one plain text form, which pydantic reads back."""
    if isinstance(value, PurePath | IPv4Address | IPv6Address) or type(value).__module__.startswith("pydantic"):
        return str(value)
    raise TypeError(f"values of type {type(value).__name__} cannot be sent")


_encoder = msgspec.msgpack.Encoder(enc_hook=_foreign)
_body = msgspec.msgpack.Decoder(_Body)
_extension = msgspec.msgpack.Decoder(_Extension)
_failure = msgspec.msgpack.Decoder(_Failure)
_info = msgspec.msgpack.Decoder(WorkerInfo)


def pack_shell(name: str, options: JobOptions) -> bytes:
    """The body of a job without its arguments, which :func:`pack_body` adds."""
    backoff = options.backoff
    packed = (
        None
        if backoff == DEFAULT_BACKOFF
        else _Backoff(backoff.kind, backoff.seconds, backoff.cap_seconds, backoff.jitter)
    )
    return _encoder.encode(_Body(name, {}, options.attempts, packed, options.timeout, dict(options.metadata)))


_ONE_MORE = bytes(range(1, 256)) + b"\0"
"""The first byte of a small map becomes that of a map with one field more."""
_ARGS_FIELD = _encoder.encode("a")


def pack_body(shell: bytes, args: dict[str, Any]) -> bytes:
    """The bytes that travel with a job: ``shell`` with arguments put in.

    Raises:
        InvalidJob: an argument is of a type that MessagePack does not carry; the field is named.
    """
    if not args:
        return shell
    for key in args:
        if not isinstance(key, str):
            raise InvalidJob("args", f"the name {key!r} of an argument must be a string")
    try:
        return b"%b%b%b%b" % (shell[:1].translate(_ONE_MORE), shell[1:], _ARGS_FIELD, _encoder.encode(args))
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise _culprit(args, error) from error


def _culprit(args: dict[str, Any], error: Exception) -> InvalidJob:
    for key, value in args.items():
        try:
            _encoder.encode(value)
        except (TypeError, OverflowError, ValueError, RecursionError) as inner:
            return InvalidJob(
                f"args.{key}",
                f"{inner}; give text, numbers, booleans, bytes, dates, lists and mappings of these",
            )
    return InvalidJob("args", str(error))


def unpack_body(raw: bytes) -> Body:
    """What :func:`pack_body` packed.

    Raises:
        ValueError: these bytes are no job's.
    """
    if raw[:1] == MARK_BYTE:
        raise SealError("the job is sealed, and this fleet cannot open it: give it the key that the producer has")
    body = _body.decode(raw)
    backoff = (
        DEFAULT_BACKOFF if body.b is None else Backoff(body.b.kind, body.b.seconds, body.b.cap_seconds, body.b.jitter)
    )
    return Body(body.n, body.a, body.t, backoff, body.s, body.m)


EXTENDED: Final = 128
"""Added to the priority of a job that has an extension."""


MARK_BYTE: Final = bytes((MARK,))


def bound_to(queue: str, job_id: str) -> str:
    """What sealed bytes of a job belong to: no realm, so that a queue may be moved."""
    return f"{queue}/{job_id}"


def pack_extension(options: JobOptions) -> bytes:
    """What stands between header and body of a job that has it, its length first."""
    dedup = options.dedup
    packed = _encoder.encode(
        _Extension(
            g=options.group,
            k=dedup.key if dedup else None,
            m=dedup.mode if dedup else None,
            t=round(dedup.seconds * 1000) if dedup and dedup.seconds is not None else None,
            x=round(options.expires_in * 1000) if options.expires_in is not None else None,
            r=math.ceil(options.keep_result * 1000) if options.keep_result is not None else None,
        )
    )
    return len(packed).to_bytes(2, "big") + packed


def _split(record: bytes) -> tuple[_Extension, bytes]:
    if record[1] < EXTENDED:
        return _NO_EXTENSION, record[HEADER_BYTES:]
    end = HEADER_BYTES + 2 + int.from_bytes(record[HEADER_BYTES : HEADER_BYTES + 2], "big")
    return _extension.decode(record[HEADER_BYTES + 2 : end]), record[end:]


_NO_EXTENSION = _Extension()


def pack_result(value: Any) -> bytes:
    """The bytes of a handler's result; empty for None.

    Raises:
        TypeError: the result has no form in MessagePack.
    """
    return b"" if value is None else _encoder.encode(value)


def unpack_result(raw: bytes | None) -> Any:
    """What :func:`pack_result` packed."""
    return msgspec.msgpack.decode(raw) if raw else None


def pack_failure(failure: Failure) -> bytes:
    """The bytes of a failure, its texts cut to their limits; its length first: they are kept in a row."""
    packed = _encoder.encode(
        _Failure(
            failure.kind,
            failure.message[:MAX_MESSAGE],
            failure.traceback[-MAX_TRACEBACK:],
            failure.attempt,
            failure.fingerprint,
            failure.final,
        )
    )
    return len(packed).to_bytes(4, "big") + packed


def unpack_failures(raw: bytes | None) -> tuple[Failure, ...]:
    """What :func:`pack_failure` packed and the scripts keep (``_shelf.lua``), the oldest first."""
    failures = []
    at = 0
    while raw and at < len(raw):
        at_ms, place = int.from_bytes(raw[at : at + 6], "big"), at + 7 + raw[at + 6]
        worker = raw[at + 7 : place].decode("utf-8", "replace")
        at = place + 4 + int.from_bytes(raw[place : place + 4], "big")
        found = _failure.decode(raw[place + 4 : at])
        failures.append(
            Failure(
                found.kind, found.message, found.traceback, found.attempt, found.fingerprint, found.final, at_ms, worker
            )
        )
    return tuple(failures)


def pack_group(weight: float, max_active: int, rate: int, rate_ms: int) -> bytes:
    """A group's own weight and limits, as told in ``_queue.lua``; 0: as all others."""
    values = {"w": weight, "c": max_active, "r": rate, "m": rate_ms}
    return _encoder.encode({name: value for name, value in values.items() if value})


def pack_info(name: str, pool: str, slots: int, started_ms: int = 0) -> bytes:
    """What a worker says of itself; ``started_ms``: when its process started, by its own clock, Unix ms."""
    return _encoder.encode(WorkerInfo(name, pool, slots, started_ms))


def unpack_info(raw: bytes) -> WorkerInfo:
    """What :func:`pack_info` packed; a worker that has not said anything yet is nameless, with no slots."""
    return _info.decode(raw) if raw else WorkerInfo("", "", 0)


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
    body = unpack_body(seal.open(packed, bound_to(queue, job_id)))
    keep = None if extension.r is None else extension.r / 1000
    attempt = int.from_bytes(record[2:5], "big")
    return OpenRecord(body, record[1] % EXTENDED, attempt, since_of(record), extension.g, keep)


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
    """A record of Redis as a :class:`JobView`; one that cannot be opened is ``(sealed)``, without arguments."""
    extension, packed = _split(record)
    place = bound_to(queue, job_id)
    try:
        body = unpack_body(seal.open(packed, place))
        result = seal.open(result, place) if result else result
        progress = seal.open(progress, place) if progress else progress
    except SealError:
        body, result, progress = Body("(sealed)", {}, 0, DEFAULT_BACKOFF, None, {}), None, None
    enqueued, since, started = (int.from_bytes(record[i : i + 6], "big") for i in (7, 13, 19))
    failures = unpack_failures(errors)
    return JobView(
        queue=queue,
        id=job_id,
        state=FROM_BYTE[record[0]],
        name=body.name,
        args=body.args,
        priority=record[1] % EXTENDED,
        attempt=int.from_bytes(record[2:5], "big"),
        attempts=body.attempts,
        failures=record[5],
        lost=record[6],
        enqueued_ms=enqueued,
        since_ms=since,
        started_ms=started,
        result=unpack_result(result),
        error=failures[-1] if failures else None,
        history=failures,
        progress=unpack_result(progress),
        group=extension.g,
        metadata=body.metadata,
    )


_ALPHABET: Final = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


class _Ids:
    """New job ids: 47 bits of time in ms, 32 random bits of this process, a counter of 24; 18 characters, by time."""

    def __init__(self) -> None:
        self.reseed()

    def reseed(self) -> None:
        """Draw this process' random part; a forked child must not share its parent's."""
        self._process = int.from_bytes(os.urandom(4), "big")
        self._counter = itertools.count(int.from_bytes(os.urandom(3), "big"))  # next() is atomic: threads share it
        self._latest = (-1, "")

    def new(self) -> str:
        """An id that no other call, thread, process or machine gives."""
        ms = time.time_ns() // 1_000_000
        latest, head = self._latest
        if ms != latest:
            head = self._head(ms)
            self._latest = (ms, head)
        tail = (self._process & 3) << 28 | (next(self._counter) & 0xFFFFFF) << 4
        return head + _PAIRS[tail >> 18] + _PAIRS[tail >> 6 & 4095] + _ALPHABET[tail & 63]

    def _head(self, ms: int) -> str:
        """The first 13 characters: time and all but two bits of the process; never "-" first, as options have it."""
        number = 1 << 77 | (ms & 0x7FFFFFFFFFFF) << 30 | self._process >> 2
        return "".join(_ALPHABET[number >> shift & 63] for shift in range(72, -1, -6))


_ids = _Ids()
new_job_id = _ids.new
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.reseed)
