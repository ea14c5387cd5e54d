"""For development: runs a command, and again whenever a Python file of the watched package changes."""

from __future__ import annotations

import importlib.util
import logging
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger("jobfleet.reload")

LOOK_SECONDS = 0.5
"""How often the files are looked at."""

END_SECONDS = 10.0
"""How long the command may take to end before it is killed."""


def watched(module: str) -> list[Path]:
    """The folder of the module's package, with all below it; of a module without a package, the file itself.

    The module is found, not imported; where it cannot be found, nothing is watched.
    """
    spec = importlib.util.find_spec(module.partition(".")[0])
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin else []


def stamps(places: Sequence[Path]) -> dict[Path, int]:
    """Each Python file in ``places`` with the time of its last change."""
    files = (file for place in places for file in (place.rglob("*.py") if place.is_dir() else (place,)))
    found = {}
    for file in files:
        try:
            found[file] = file.stat().st_mtime_ns
        except FileNotFoundError:
            continue  # it went between the two looks
    return found


def serve(command: Sequence[str], places: Sequence[Path]) -> int:
    """Run ``command`` until SIGTERM or SIGINT; returns its exit code. One that failed waits for a change."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    while True:
        before = stamps(places)
        process = subprocess.Popen(command)  # noqa: S603 - this very program
        while not told.wait(LOOK_SECONDS) and stamps(places) == before:
            if process.poll() == 0:
                return 0
        code = _end(process)
        if told.is_set():
            return code
        log.info("files changed, the worker starts again")


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
