"""What the verbs of a queue are given, checked: each function returns it in the form that the scripts take."""

from __future__ import annotations

import math
import re

from jobfleet import checks
from jobfleet.errors import InvalidJob
from jobfleet.limits import Limits
from jobfleet.options import SURROGATE, check_group_name
from jobfleet.settings import MOST
from jobfleet.states import State

_EVENT_ID = re.compile(r"\$|[0-9]{1,20}(-[0-9]{1,20})?")


def spacing_us(per_second: float | None) -> int:
    """Microseconds from one job to the next.

    >>> spacing_us(None), spacing_us(10), spacing_us(5000)
    (0, 100000, 200)
    """
    if per_second is None:
        return 0
    most, remedy = 1_000_000, "1000000; give none to retry all at once"
    return round(1_000_000 / checks.number("per_second", per_second, 0.001, most, named=remedy))


def paused(return_running: bool) -> dict[str, int]:
    """The settings of a pause."""
    return {"paused": 1, "return_running": int(checks.truth("return_running", return_running))}


def state(said: State | str) -> State:
    """The state of that name.

    Raises:
        InvalidJob: there is none.
    """
    try:
        return State(said)
    except ValueError:
        raise InvalidJob("state", f"{said!r} is unknown; there are {', '.join(State)}") from None


def ended(said: State | str) -> State:
    """The state of that name, in which a job has ended. Errors as of :func:`state`, and where it has not."""
    known = state(said)
    if not known.terminal:
        raise InvalidJob("state", f"{known.value!r} cannot be cleaned; give completed, failed or cancelled")
    return known


def id_of(job_id: str) -> str:
    """The id of a job.

    Raises:
        InvalidJob: it is no text, or has surrogates.
    """
    if not _is_text(job_id):
        raise InvalidJob("job_id", f"{job_id!r:.80} must be the id of a job, as enqueue gave it")
    return job_id


def ids(job_ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of jobs, as they were given.

    Raises:
        InvalidJob: one is no text, or has surrogates.
    """
    for job_id in job_ids:
        if not _is_text(job_id):
            raise InvalidJob("job_ids", f"{job_id!r:.80} must be the id of a job; give several as retry(*ids)")
    return job_ids


def _is_text(job_id: object) -> bool:
    """Whether it can be asked for: what a shell passes on that is no UTF-8 has surrogates, and cannot be sent."""
    return isinstance(job_id, str) and not SURROGATE.search(job_id)


def age_ms(older_than: float) -> int:
    """An age in ms.

    Raises:
        InvalidJob: it is no number, or below 0.
    """
    return round(checks.number("older_than", older_than, 0, MOST, what="seconds") * 1000)


def count(name: str, said: int, least: int = 0) -> int:
    """How many there may be in an answer, by its field's name.

    Raises:
        InvalidJob: it is no whole number, or below ``least``.
    """
    return checks.whole(name, said, least, MOST)


def line(start: int) -> int:
    """The line from which a log is read; below 0 from its end.

    Raises:
        InvalidJob: it is no whole number.
    """
    return checks.whole("start", start, -MOST, MOST)


def timeout(seconds: float | None) -> float | None:
    """For how long somebody waits; None: for ever. Below 0 is 0: a deadline that has passed.

    >>> timeout(5), timeout(-0.2), timeout(math.inf), timeout(None)
    (5, 0, None, None)

    Raises:
        InvalidJob: it is no number.
    """
    if seconds is None or seconds == math.inf:
        return None
    return max(0, checks.number("timeout", seconds, -MOST, MOST, what="seconds"))


def limits(said: Limits) -> dict[str, int]:
    """The settings that are limits.

    Raises:
        InvalidJob: they are none.
    """
    if not isinstance(said, Limits):
        raise InvalidJob("limits", f"{said!r:.80} must be Limits, as Limits(max_active=10)")
    return said.settings()


def group(said: str) -> str:
    """A group's name; "": the queue itself.

    Raises:
        InvalidJob: no group may be called so.
    """
    if said != "":
        check_group_name(said)
    return said


def event(after: str) -> str:
    """The id of an event, or where to begin.

    Raises:
        InvalidJob: no event has such an id.
    """
    if not isinstance(after, str) or not _EVENT_ID.fullmatch(after):
        raise InvalidJob("after", f"{after!r:.80} must be the id of an event, or '$' (from now on) or '0' (all)")
    return after
