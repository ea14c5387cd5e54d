"""kubectl on one cluster and in one namespace."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from photo_demo.errors import DemoError


@dataclass(frozen=True)
class Kubectl:
    """Calls the program `path` with its own kubeconfig; the user's current context is never touched."""

    path: Path
    kubeconfig: Path
    namespace: str
    user: str = ""
    """Whom to act as; the administrator of the kubeconfig by default."""

    def within(self, namespace: str) -> Kubectl:
        """The same cluster, another namespace."""
        return replace(self, namespace=namespace)

    def command(self, *words: str) -> list[str]:
        """The words of a call, for those who run it themselves."""
        place = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        return [str(self.path), *place, *([f"--as={self.user}"] if self.user else []), *words]

    def run(self, *words: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Return what the call prints; raises DemoError with what kubectl complained of."""
        try:
            done = subprocess.run(  # noqa: S603 - the words are ours
                self.command(*words), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`kubectl {' '.join(words)}` did not end within {seconds:.0f} s.") from error
        if done.returncode != 0:
            raise DemoError(f"`kubectl {' '.join(words)}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def json(self, *words: str) -> Any:
        """Return what the call prints as JSON."""
        return json.loads(self.run(*words, "--output=json"))

    def try_run(self, *words: str) -> str:
        """Return what the call prints, complaints included; never raises DemoError."""
        try:
            return self.run(*words)
        except DemoError as error:
            return f"{error}\n"


def last_json_line(log: str) -> dict[str, Any]:
    """Return the last line of a log as JSON; raises DemoError with the log's end when it is none.

    >>> last_json_line('hello\\n{"enqueued": 3}\\n')
    {'enqueued': 3}
    """
    lines: Sequence[str] = log.strip().splitlines() or [""]
    try:
        found = json.loads(lines[-1])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DemoError("The Pod's log does not end in a line of JSON; it ends in:\n" + "\n".join(lines[-20:]))
    return found
