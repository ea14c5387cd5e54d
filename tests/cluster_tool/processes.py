"""Starts processes that outlive the tool, and ends exactly those again, by pid.

A pid file holds the pid and the moment at which the process started, so that a pid that the system has
given to another process since is never signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterToolError

POLL_SECONDS = 0.05
"""How often a state that no event announces is looked at."""

GRACE_SECONDS = 10.0
"""How long a process may take to end after SIGTERM, before SIGKILL."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, for as long as it lives: a pid alone would be given out again."""

    pid: int
    started: str
    """The system's own word for the start time; comparable with itself only."""

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return start_time(self.pid) == self.started

    def write(self, path: Path) -> None:
        """Keeps the identity in a pid file."""
        path.write_text(f"{self.pid} {self.started}\n")

    @classmethod
    def read(cls, path: Path) -> ProcessId | None:
        """The identity in a pid file, or None when there is no file or no sense in it."""
        try:
            pid, started = path.read_text().strip().split(" ", 1)
            return cls(int(pid), started)
        except (OSError, ValueError):
            return None

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The identity of a running process, or None when no such process runs."""
        started = start_time(pid)
        return None if started is None else cls(pid, started)


def start_time(pid: int) -> str | None:
    """When the process started, in the system's own words, or None when it does not run (or is a zombie)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    pid_file: Path | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> ProcessId:
    """Starts a process in a session of its own; both its outputs go to `log`.

    Raises:
        ClusterToolError: the program cannot be started, or ended at once.
    """
    with log.open("ab") as out:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise ClusterToolError(f"cannot start {command[0]}: {error}") from error
    identity = ProcessId.of(child.pid)
    if identity is None:
        child.wait()
        raise ClusterToolError(f"{command[0]} ended as soon as it was started; {log} says:\n{tail(log)}")
    child.returncode = 0  # the process may outlive this object, which would warn about that
    if pid_file is not None:
        identity.write(pid_file)
    return identity


def end(*identities: ProcessId | None, grace: float = GRACE_SECONDS) -> None:
    """Ends processes side by side: SIGTERM, and SIGKILL after `grace` seconds. Ending twice is fine."""
    living = [one for one in identities if one is not None and one.alive]
    _signal(living, signal.SIGTERM)
    if not wait_until(lambda: not _alive(living), grace):
        _signal(_alive(living), signal.SIGKILL)
        wait_until(lambda: not _alive(living), grace)


def end_by_file(*pid_files: Path, grace: float = GRACE_SECONDS) -> None:
    """Ends the processes of pid files and removes the files."""
    end(*(ProcessId.read(path) for path in pid_files), grace=grace)
    for path in pid_files:
        path.unlink(missing_ok=True)


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Looks until `done()` holds, or for `seconds`; the answer is whether it held."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _alive(identities: Iterable[ProcessId]) -> list[ProcessId]:
    for one in identities:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(one.pid, os.WNOHANG)  # a child of ours that has ended would stay as a zombie
    return [one for one in identities if one.alive]


def _signal(identities: Iterable[ProcessId], number: signal.Signals) -> None:
    for one in identities:
        if one.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, number)
