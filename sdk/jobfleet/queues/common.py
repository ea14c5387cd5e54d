"""What both doors to a queue share: what they were given, and how it is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobfleet.audit import Author
from jobfleet.errors import InvalidJob, JobfleetError
from jobfleet.flows import FailureFilter
from jobfleet.states import State

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


def spacing_us(per_second: float | None) -> int:
    """Microseconds from one job to the next.

    >>> spacing_us(None), spacing_us(10), spacing_us(5000)
    (0, 100000, 200)
    """
    if per_second is None:
        return 0
    if isinstance(per_second, bool) or not isinstance(per_second, int | float) or not 0.001 <= per_second < math.inf:
        raise InvalidJob("per_second", f"{per_second!r} must be a number from 0.001; give none to retry all at once")
    return round(1_000_000 / per_second)


def paused(return_running: bool) -> dict[str, int]:
    """The settings of a pause."""
    return {"paused": 1, "return_running": int(return_running)}


def known_state(state: State | str) -> State:
    """The state of that name.

    Raises:
        InvalidJob: there is none.
    """
    try:
        return State(state)
    except ValueError:
        raise InvalidJob("state", f"{state!r} is unknown; there are {', '.join(State)}") from None


def ended_state(said: State | str) -> State:
    """The state of that name, in which a job has ended. Errors as of :func:`known_state`, and where it has not."""
    state = known_state(said)
    if not state.terminal:
        raise InvalidJob("state", f"{state.value!r} cannot be cleaned; give completed, failed or cancelled")
    return state


def ids_of(job_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of jobs, as they were given.

    Raises:
        InvalidJob: one is no text.
    """
    for job_id in job_ids:
        if not isinstance(job_id, str):
            raise InvalidJob("job_ids", f"{job_id!r:.80} must be the id of a job; give several as retry(*ids)")
    return job_ids


def age_ms(older_than: float) -> int:
    """An age in ms.

    Raises:
        InvalidJob: it is no number, or below 0.
    """
    if isinstance(older_than, bool) or not isinstance(older_than, int | float) or not 0 <= older_than < math.inf:
        raise InvalidJob("older_than", f"{older_than!r:.80} must be 0 or more seconds")
    return round(older_than * 1000)


def some(newest: int) -> int:
    """A number of entries.

    Raises:
        InvalidJob: it is below 1.
    """
    if newest < 1:
        raise InvalidJob("newest", f"{newest!r} must be at least 1 entry")
    return newest


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
