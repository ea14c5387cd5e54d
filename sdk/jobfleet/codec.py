"""Bytes and back: what travels with a job, results, failures, what a worker says of itself. MessagePack, no pickle."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final, Literal

import msgspec

from jobfleet.errors import InvalidJob
from jobfleet.job import Body, Failure
from jobfleet.options import JobOptions
from jobfleet.retry import Backoff
from jobfleet.seal import MARK, SealError

EXTENDED: Final = 128
"""Added to the priority of a job that has an extension."""

MARK_BYTE: Final = bytes((MARK,))
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


class Extension(msgspec.Struct, omit_defaults=True, frozen=True):
    """What the scripts read of a job, as told in ``_header.lua``."""

    g: str | None = None
    k: str | None = None
    m: str | None = None
    t: int | None = None
    x: int | None = None
    r: int | None = None


class PackedFailure(msgspec.Struct, array_like=True, frozen=True):
    """A failure as a worker packs it; when and where it happened, the scripts add."""

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


_NO_TEXT = ("get_secret_value", "__iter__")
"""What types of pydantic's have whose text is something else: secrets, and iterators over arguments."""


def _foreign(value: Any) -> Any:
    """Types that MessagePack lacks and that have one plain text form, which pydantic reads back."""
    kind = type(value)
    if isinstance(value, PurePath | IPv4Address | IPv6Address):
        return str(value)
    if kind.__module__.startswith("pydantic") and not any(hasattr(kind, name) for name in _NO_TEXT):
        return str(value)
    raise TypeError(f"values of type {kind.__name__} cannot be sent")


_encoder = msgspec.msgpack.Encoder(enc_hook=_foreign)
_body = msgspec.msgpack.Decoder(_Body)
unpack_extension = msgspec.msgpack.Decoder(Extension).decode
unpack_failure = msgspec.msgpack.Decoder(PackedFailure).decode
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


def travelled(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments as they arrive at the worker: those of types that MessagePack lacks in another form.

    Raises:
        InvalidJob: they cannot be sent, or not be read once they are; the field is named if it can be.
    """
    try:
        arrived: dict[str, Any] = msgspec.msgpack.decode(_encoder.encode(args))
    except (TypeError, OverflowError, ValueError, RecursionError) as error:
        raise _culprit(args, error) from error
    return arrived


def _culprit(args: dict[str, Any], error: Exception) -> InvalidJob:
    for key, value in args.items():
        try:
            msgspec.msgpack.decode(_encoder.encode(value))
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


def bound_to(queue: str, job_id: str) -> str:
    """What sealed bytes of a job belong to: no realm, so that a queue may be moved."""
    return f"{queue}/{job_id}"


def pack_extension(options: JobOptions) -> bytes:
    """What stands between header and body of a job that has it, its length first."""
    dedup = options.dedup
    packed = _encoder.encode(
        Extension(
            g=options.group,
            k=dedup.key if dedup else None,
            m=dedup.mode if dedup else None,
            t=round(dedup.seconds * 1000) if dedup and dedup.seconds is not None else None,
            x=round(options.expires_in * 1000) if options.expires_in is not None else None,
            r=math.ceil(options.keep_result * 1000) if options.keep_result is not None else None,
        )
    )
    return len(packed).to_bytes(2, "big") + packed


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
        PackedFailure(
            failure.kind,
            failure.message[:MAX_MESSAGE],
            failure.traceback[-MAX_TRACEBACK:],
            failure.attempt,
            failure.fingerprint,
            failure.final,
        )
    )
    return len(packed).to_bytes(4, "big") + packed


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
