"""What a worker and the processes of its handlers say to each other: MessagePack behind four bytes of length."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from jobfleet.job import ClaimedJob
from jobfleet.scripts.processing import Outcome

PREFIX_BYTES: Final = 4


class Start(msgspec.Struct, array_like=True, frozen=True):
    """The worker's first word: where the handlers are, and how log lines look (empty: as Python has it)."""

    module: str
    log_format: str
    log_level: str


class Ready(msgspec.Struct, array_like=True, frozen=True):
    """The process' first word: it can take jobs."""

    pid: int


class Request(msgspec.Struct, array_like=True, frozen=True):
    """One attempt. ``name`` is that of the function in its module."""

    module: str
    name: str
    job: ClaimedJob


class Word(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """What the handler tells meanwhile; see :class:`jobfleet.report.Told`."""

    progress: bytes
    lines: bytes
    first: int


class Answer(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """What became of it. ``kind`` and ``message`` are the exception's, empty where there was none."""

    outcome: Outcome
    kind: str
    message: str
    memory_mb: int


M = TypeVar("M", Start, Ready, Request)
_encoder = msgspec.msgpack.Encoder()
_heard = msgspec.msgpack.Decoder(Word | Answer)


def pack(message: Start | Ready | Request | Word | Answer) -> bytes:
    """A message as it is sent."""
    data = _encoder.encode(message)
    return len(data).to_bytes(PREFIX_BYTES, "big") + data


def unpack(kind: type[M], data: bytes) -> M:
    """A message without its length.

    Raises:
        ValueError: it is of another kind.
    """
    return msgspec.msgpack.decode(data, type=kind)


def heard(data: bytes) -> Word | Answer:
    """A message of a process that runs an attempt, without its length.

    Raises:
        ValueError: it is of another kind.
    """
    message: Word | Answer = _heard.decode(data)
    return message
