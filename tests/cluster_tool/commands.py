"""Runs other programs; a failure becomes a sentence with the program's last words."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .errors import ClusterToolError

ADMIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/go/bin")
"""Where programs live that an ordinary PATH may not name."""

LAST_LINES = 20
"""How much of a failed program's output goes into the error."""

LONGEST_COMMAND = 100
"""How many characters of a failed command go into the error."""


def search_path() -> str:
    """PATH, and the folders of system programs behind it."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *ADMIN_FOLDERS])


def find(program: str) -> Path | None:
    """Where a program is, or None."""
    found = shutil.which(program, path=search_path())
    return Path(found) if found else None


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    seconds: float | None = None,
) -> str:
    """Runs a program to its end and returns its standard output.

    Raises:
        ClusterToolError: it cannot be started, ended with another status than 0, or ran out of `seconds`.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, "PATH": search_path(), **(environment or {})},
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise ClusterToolError(f"cannot run {words[0]}: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterToolError(f"`{_short(words)}` did not end within {seconds:.0f} s") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise ClusterToolError(f"`{_short(words)}` ended with status {done.returncode}:\n" + "\n".join(said))
    return done.stdout.decode(errors="replace")


def succeeds(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = 30.0,
) -> bool:
    """Whether a program can be run and ends with status 0 in time."""
    try:
        run(command, environment=environment, seconds=seconds)
    except ClusterToolError:
        return False
    return True


def _short(words: list[str]) -> str:
    line = " ".join([Path(words[0]).name, *words[1:]])
    return line if len(line) <= LONGEST_COMMAND else f"{line[:LONGEST_COMMAND]} …"
