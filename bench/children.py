"""Processes that the benchmark starts, looks at, and ends again: exactly those, by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 8.0
"""How long a process may take to end after SIGTERM, before SIGKILL."""
POLL_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Broken(Exception):
    """A step of a round did not do what it should; the message says which and shows the end of its log."""


class Child:
    """A process with all that it starts, in a session of its own; both outputs go to a log file."""

    def __init__(self, command: Sequence[str], log: Path, variables: Mapping[str, str], where: Path | None = None):
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **variables},
                cwd=where,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process that was started still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def family(self) -> list[int]:
        """The pids of this process and of all that it started (where /proc says so; else its own)."""
        found = [pid for pid in _pids() if len(fields := _stat(pid)) > 3 and int(fields[3]) == self.pid]
        return found or [self.pid]

    def cpu_seconds(self) -> float:
        """CPU time that the family has used so far; 0 where /proc is missing. Resolution 10 ms."""
        fields = [_stat(pid) for pid in self.family()]
        return sum(int(one[11]) + int(one[12]) for one in fields if one) / TICKS

    def rss_bytes(self) -> int:
        """Resident memory of the family; 0 where /proc is missing."""
        return sum(int(one[21]) * PAGE for one in (_stat(pid) for pid in self.family()) if one)

    def kill(self) -> None:
        """SIGKILL for the whole family, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """SIGTERM, and SIGKILL for what is left after the grace. May be called twice."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_SECONDS)
        self.kill()

    def tail(self, lines: int = 8) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def until(condition: Callable[[], bool], seconds: float, what: str, child: Child | None = None) -> None:
    """Look until the condition holds.

    Raises:
        Broken: it did not hold in time, or the child that should bring it about has ended.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if child is not None and not child.alive:
            raise Broken(f"{what}: the process ended\n{child.tail()}")
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {seconds:.0f} s" + (f"\n{child.tail()}" if child else ""))
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def running(child: Child) -> Iterator[Child]:
    """The child for a while; it is ended whatever happens."""
    try:
        yield child
    finally:
        child.end()


def _pids() -> list[int]:
    try:
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return []


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name; [] when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []
