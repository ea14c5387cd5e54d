"""Which errors of Redis pass, and how long to wait between tries: decisions that both clients share."""

from __future__ import annotations

import time
from dataclasses import dataclass

import redis.exceptions as redis_errors

from jobfleet.clients.address import public_url
from jobfleet.errors import JobfleetError, Unavailable

CONNECT_SECONDS = 3.0
"""Bound on opening a connection."""

ANSWER_SECONDS = 5.0
"""Bound on the answer to one call; a call that takes longer is given up and its connection replaced."""

FRESH_SECONDS = 1.0
"""A connection that was used so short a time ago is used again without a look whether it still stands."""

SCAN_PAGE = 1_000
"""Keys that Redis looks at in one go where all are gone through: a fraction of a millisecond."""

BLOCK_SECONDS = 10.0
"""Bound on one blocking wait; an idle worker looks round by itself that often."""

_PASSING = ("LOADING", "READONLY", "BUSY ", "MISCONF", "NOREPLICAS", "UNBLOCKED", "FAILOVER")
"""Words that begin a message, or stand in that of a script. redis-py takes some others away, and has classes."""
_PASSING_TYPES = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.BusyLoadingError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
    redis_errors.OutOfMemoryError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is tried again: waits double from ``first`` to ``longest`` seconds until ``total`` have gone."""

    total: float = 10.0
    first: float = 0.02
    longest: float = 1.0

    def wait(self, tries: int, elapsed: float) -> float | None:
        """Seconds to wait after the ``tries``-th failed try; None: give up.

        >>> patience = Patience(total=1.0)
        >>> [patience.wait(n, 0.0) for n in (1, 2, 3)]
        [0.02, 0.04, 0.08]
        >>> patience.wait(9, elapsed=1.5) is None
        True
        """
        if elapsed >= self.total:
            return None
        return min(self.longest, self.first * 2.0 ** (tries - 1), self.total - elapsed + 0.001)


def passes(error: BaseException) -> bool:
    """Whether the same call may succeed in a moment: a broken connection, or Redis starting, failing over or full."""
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.AuthorizationError):
        return False
    if isinstance(error, _PASSING_TYPES):
        return True
    return isinstance(error, redis_errors.ResponseError) and any(mark in str(error)[:160] for mark in _PASSING)


class Failures:
    """Failed tries of what may wait for long: patience begins with the first of them, and anew after a success."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._tries, self._since = patience, 0, 0.0

    def wait(self, error: BaseException) -> float | None:
        """Seconds to wait after this one; None: give up."""
        if not self._tries:
            self._since = time.monotonic()
        self._tries += 1
        return self._patience.wait(self._tries, time.monotonic() - self._since) if passes(error) else None

    def over(self) -> None:
        """Redis answered."""
        self._tries = 0


def lacks_memory(error: JobfleetError) -> bool:
    """Whether Redis said that it has no memory left for what was asked."""
    return isinstance(error.__cause__, redis_errors.OutOfMemoryError)


def translated(error: BaseException, url: str) -> JobfleetError:
    """The error of jobfleet that says what redis-py said, without a password."""
    where = public_url(url)
    if passes(error):
        return Unavailable(f"Redis at {where} gave no usable answer: {error}")
    if "unauthenticated" in str(error):  # how a long call is refused before Redis has looked for a password
        return JobfleetError(
            f"Redis at {where} asks for a password: put it into the URL, as in redis://:password@redis:6379/0"
        )
    return JobfleetError(f"Redis at {where} refused the call: {error}")
