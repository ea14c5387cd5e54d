"""Follow the Pods of a pool with `kubectl get --watch` in a thread of its own."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from typing import IO, Any, cast

from photo_demo.history import FleetHistory
from photo_demo.kubectl import Kubectl


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read what kubectl prints with `--output-watch-events --output=json`: one JSON object a line.

    >>> [event["type"] for event in events(['{"type": "ADDED"}', ""])]
    ['ADDED']
    """
    for line in lines:
        if line.strip():
            yield json.loads(line)


class PodWatch:
    """Use it as a context manager: inside, `history` is kept up to date; afterwards the kubectl is gone."""

    def __init__(self, kubectl: Kubectl, selector: str) -> None:
        self.history = FleetHistory()
        self._command = kubectl.command(
            "get", "pods", f"--selector={selector}", "--watch", "--output-watch-events", "--output=json"
        )

    def __enter__(self) -> PodWatch:
        self._process = subprocess.Popen(  # noqa: S603 - the words are ours
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._thread.join(timeout=5)
        self._process.wait(timeout=5)

    @property
    def alive(self) -> bool:
        """Whether kubectl still follows."""
        return self._process.poll() is None

    def _follow(self) -> None:
        with cast("IO[str]", self._process.stdout) as lines:
            for event in events(lines):
                self.history.observe(event, time.time_ns() // 1_000_000)
