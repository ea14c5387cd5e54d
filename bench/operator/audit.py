"""What the operator asked of the API server, by the server's own audit log: no clock and no counter of the operator's.

The log is read as it grows. Reading lines is pure but for the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

OPERATOR = "jobfleet-operator"
"""The user as whom the operator comes."""

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {
            "level": "Request",
            "users": [OPERATOR],
            "verbs": ["patch"],
            "resources": [{"group": "apps", "resources": ["deployments"]}],
        },
        {"level": "Metadata", "users": [OPERATOR]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the operator's. Times are Unix seconds by the API server's clock, which is this machine's."""

    verb: str
    resource: str
    namespace: str
    name: str
    received: float
    done: float
    status: int
    replicas: int | None
    """What a patch of a Deployment asks for."""

    @property
    def what(self) -> str:
        """The kind of call, as the table names it."""
        return f"{self.verb} {self.resource}"

    @property
    def write(self) -> bool:
        """Whether it changes something."""
        return self.verb not in {"get", "list", "watch"}


def read(line: str) -> Call:
    """A line of the log.

    >>> read('{"verb":"get","objectRef":{"resource":"pods","name":"a"},"requestReceivedTimestamp":'
    ...      '"2026-01-01T00:00:00.5Z","stageTimestamp":"2026-01-01T00:00:01Z","responseStatus":{"code":200}}').what
    'get pods'
    """
    said = json.loads(line)
    about: dict[str, Any] = said.get("objectRef") or {}
    resource = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
    return Call(
        verb=said["verb"],
        resource=resource,
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        received=_seconds(said["requestReceivedTimestamp"]),
        done=_seconds(said["stageTimestamp"]),
        status=int((said.get("responseStatus") or {}).get("code") or 0),
        replicas=_replicas(said.get("requestObject") or {}),
    )


def _replicas(patch: dict[str, Any] | list[dict[str, Any]]) -> int | None:
    """What a merge patch, an applied manifest or a JSON patch makes of the replicas; None: it leaves them.

    >>> _replicas({"spec": {"replicas": 2}}), _replicas({"metadata": {}})
    (2, None)
    >>> up = {"op": "replace", "path": "/spec/replicas", "value": 1}
    >>> _replicas([up | {"op": "test", "value": 0}, up])
    1
    """
    if isinstance(patch, dict):
        return (patch.get("spec") or {}).get("replicas")
    set_to = [step["value"] for step in patch if step["op"] != "test" and step["path"] == "/spec/replicas"]
    return set_to[-1] if set_to else None


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


class Log:
    """The audit log, followed from where it was read last."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, ""

    def news(self) -> Iterator[Call]:
        """The calls since the last time."""
        if not self._path.exists():
            return
        with self._path.open() as file:
            file.seek(self._at)
            text = self._rest + file.read()
            self._at = file.tell()
        *lines, self._rest = text.split("\n")
        yield from map(read, lines)


def counts(calls: Sequence[Call]) -> list[tuple[str, int]]:
    """How many calls there were of each kind, the most first; the holding of the Lease is left out."""
    return Counter(call.what for call in calls if not call.resource.startswith("leases")).most_common()


def status_writes(calls: Sequence[Call]) -> int:
    """Calls that write a status."""
    return sum(call.resource.endswith("/status") for call in calls)
