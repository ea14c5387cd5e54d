"""What the handlers did, in a file that the worker's processes and the measurer share.

For each job of a run 8 bytes in the machine's order: when its handler ran (nanoseconds of the machine's monotonic
clock, 0: never); then for each a byte that counts how often it was begun, and for each one how often it was ended.
`bullmq_peer.js` spells the same layout.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path
from types import TracebackType
from typing import Self

BYTES_A_JOB = 10
FULL = 255
"""Where the counts of a job stop counting."""


class Tally:
    """The tally of one run, open in one process. Threads may share it: only its handler writes a job's cells."""

    def __init__(self, path: Path, jobs: int) -> None:
        self.path, self.jobs = path, jobs
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), jobs * BYTES_A_JOB)
        self._whole = memoryview(self._map)
        self.times = self._whole[: 8 * jobs].cast("Q")
        self.begun = self._whole[8 * jobs : 9 * jobs]
        self.ended = self._whole[9 * jobs :]

    @classmethod
    def create(cls, path: Path, jobs: int) -> Self:
        """A new tally of a run in which no job ran yet."""
        with path.open("wb") as file:
            file.truncate(jobs * BYTES_A_JOB)
        return cls(path, jobs)

    def begin(self, n: int) -> None:
        """Job n's handler starts."""
        self.begun[n] = min(self.begun[n] + 1, FULL)

    def mark(self, n: int) -> None:
        """Job n's handler ends."""
        self.times[n] = time.monotonic_ns()
        self.ended[n] = min(self.ended[n] + 1, FULL)

    def missing(self) -> int:
        """How many jobs have not ended."""
        return bytes(self.ended).count(0)

    def repeated(self) -> int:
        """How many times a job was begun or ended once more."""
        return sum(max(pair) - 1 for pair in zip(self.begun, self.ended, strict=True) if max(pair) > 1)

    def running(self) -> int:
        """How many times jobs were begun and not ended: now, or for good where a worker died."""
        return sum(self.begun) - sum(self.ended)

    def done(self) -> int:
        """How many jobs have ended at least once."""
        return self.jobs - self.missing()

    def seconds(self) -> float:
        """From the first handler's time to the last one's, of the jobs that ran."""
        ran = [time_ns for time_ns in self.times if time_ns]
        return (max(ran) - min(ran)) / 1e9 if ran else 0.0

    def close(self) -> None:
        """Give the file back. May be called twice."""
        for view in (self.times, self.begun, self.ended, self._whole):
            view.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
