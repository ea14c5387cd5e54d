"""What both doors to a queue share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobfleet.audit import Author
from jobfleet.errors import JobfleetError
from jobfleet.flows import FailureFilter

if TYPE_CHECKING:
    from jobfleet.connections import Connections

ANY = FailureFilter()
RESUMED = {"paused": 0, "return_running": 0}
CIRCUIT_VERBS = ("open", "half-open", "close")


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to some jobs of a queue. ``id`` orders events, and is where to resume.

    ``verb`` is one of enqueue, claim, complete, retry, fail, cancel, promote, reclaim; or open, half-open, close: these
    are about no jobs but about the circuit of ``group``, or of the queue, where that is None.
    """

    id: str
    verb: str
    job_ids: tuple[str, ...]
    group: str | None = None

    @classmethod
    def read(cls, event_id: str, fields: Mapping[str, str]) -> Event:
        """An entry of the stream."""
        verb, ids = fields["verb"], fields["ids"]
        if verb in CIRCUIT_VERBS:
            return cls(event_id, verb, (), ids or None)
        return cls(event_id, verb, tuple(ids.split()))


class Verbs:
    """The verbs of a queue as Commands and flows; the doors below run them."""

    def __init__(self, connections: Connections, name: str, by: Author) -> None:
        self._connections, self._by = connections, by
        self.name = name

    @property
    def _at(self) -> tuple[str, str]:
        return self._connections.realm, self.name

    def _guard(self, name: str) -> None:
        if name != self.name:
            raise JobfleetError(
                f"obliterate({name!r}) was called on queue {self.name!r}: repeat its name, to be sure that it is meant"
            )
