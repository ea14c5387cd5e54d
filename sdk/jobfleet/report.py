"""What an attempt tells: its progress and lines for its log, as bytes, and gathered until somebody takes them. Pure.

Lines are numbered from the attempt's first, so that they may be handed on twice and are kept once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from jobfleet import codec
from jobfleet.job import JobLog, LogLine

LOG_BYTES: Final = 65_536
"""What the log of a job may weigh, and likewise what is on its way there; when it is over, the older half goes."""

LOG_HEAD: Final = 11
"""Bytes before the lines, which ``note.lua`` keeps."""

MAX_PROGRESS_BYTES: Final = 16_384
MAX_LINE: Final = 2_000
NONE: Final = b"\xc0"


def pack_progress(value: Any) -> bytes:
    """The bytes of what a handler tells of its progress; never empty.

    Raises:
        TypeError: it has no form in MessagePack.
        ValueError: it is not finite, or too large.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"progress: {value} is no number from 0 to 100; give one, or data")
    try:
        packed = codec.pack_result(value) or NONE
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"progress: {error}") from error
    if len(packed) > MAX_PROGRESS_BYTES:
        raise ValueError(
            f"progress: this weighs {len(packed)} bytes, at most {MAX_PROGRESS_BYTES} are kept; tell a reference to it"
        )
    return packed


def log_lines(at_ms: int, attempt: int, text: str) -> list[bytes]:
    r"""A text as lines of a job's log, each with its time, its attempt and a line feed.

    >>> log_lines(1700000000000, 1, "first\nsecond")
    [b'1700000000000 1 first\n', b'1700000000000 1 second\n']
    """
    head = f"{at_ms} {attempt} "
    parts = text.splitlines() or [""]
    cut = (part if len(part) <= MAX_LINE else part[:MAX_LINE] + "…" for part in parts)
    return [f"{head}{part}\n".encode("utf-8", "backslashreplace") for part in cut]


def unpack_log(raw: bytes | None, start: int, limit: int) -> JobLog:
    """A page of a log as ``note.lua`` keeps it; a ``start`` below 0 counts from the end."""
    if not raw:
        return JobLog(0, (), 0)
    kept_from = int.from_bytes(raw[:4], "big")
    rows = raw[LOG_HEAD:].split(b"\n")[:-1]
    total = kept_from + len(rows)
    first = min(total, max(kept_from, start if start >= 0 else total + start))
    lines = []
    for row in rows[first - kept_from :][:limit]:
        at, attempt, text = row.decode("utf-8", "replace").split(" ", 2)
        lines.append(LogLine(int(at), int(attempt), text))
    return JobLog(first, tuple(lines), total)


class Told(NamedTuple):
    """What is handed on: packed progress or nothing; lines, each with its line feed; the first one's number."""

    progress: bytes
    lines: bytes
    first: int


class Report:
    r"""One attempt's report; whoever shares it between threads holds a lock.

    >>> report = Report("a", 1)
    >>> report.add(b"\x32", [b"one\n", b"two\n"])
    >>> told = report.told()
    >>> told.lines, told.first
    (b'one\ntwo\n', 0)
    >>> report.add(b"", [b"three\n"])
    >>> report.taken(told)
    >>> report.told(), report.empty
    (Told(progress=b'', lines=b'three\n', first=2), False)
    """

    __slots__ = ("_first", "_lines", "_progress", "_weight", "attempt", "closed", "id")

    def __init__(self, job_id: str, attempt: int) -> None:
        self.id, self.attempt = job_id, attempt
        self.closed = False
        self._progress = b""
        self._lines: deque[bytes] = deque()
        self._first = 0
        self._weight = 0

    def add(self, progress: bytes, lines: Iterable[bytes], first: int | None = None) -> None:
        """Take in progress, where it is not empty, and lines; ``first`` is their number where some may be missing."""
        if progress:
            self._progress = progress
        if first is not None and first > self._first + len(self._lines):
            self._lines.clear()  # what is kept has no gaps
            self._first, self._weight = first, 0
        for line in lines:
            self._lines.append(line)
            self._weight += len(line)
        if self._weight > LOG_BYTES:
            while self._weight > LOG_BYTES // 2:
                self._forget_line()

    def told(self) -> Told:
        """All that has not been taken."""
        return Told(self._progress, b"".join(self._lines), self._first)

    def taken(self, told: Told) -> None:
        """Forget what was handed on."""
        if self._progress is told.progress:
            self._progress = b""
        end = told.first + told.lines.count(b"\n")
        while self._lines and self._first < end:
            self._forget_line()

    @property
    def empty(self) -> bool:
        """Whether everything has been taken."""
        return not self._progress and not self._lines

    def close(self) -> None:
        """Nobody wants to know any more."""
        self.closed = True
        self._progress = b""
        self._lines.clear()

    def _forget_line(self) -> None:
        self._weight -= len(self._lines.popleft())
        self._first += 1
