"""What both coordinators share: where the queues are, which there are, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

from jobfleet.coordinator.crew import Crew
from jobfleet.environment import DEFAULT_REALM
from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.fleet import Fleet
from jobfleet.handlers import Handler, Treatment
from jobfleet.options import JobOptions, Options, check_queue_name
from jobfleet.status import QueueStatus

AS_IT_IS = Treatment()


@dataclass(frozen=True, slots=True)
class SimpleConfig:
    """Where the queues are, and which.

    Raises:
        ConfigurationError: no queue may be called as one of ``queues`` is.
    """

    redis_url: str
    realm: str = DEFAULT_REALM
    queues: tuple[str, ...] = ()
    actor: str = ""
    """Who acts, as of :class:`jobfleet.Fleet`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "queues", _names(self.queues))


def create_simple_config(host: str = "localhost", port: int = 6379, *, queues: Iterable[str] = ()) -> SimpleConfig:
    """The configuration for a Redis without a password at ``host``:``port``. Errors as of :class:`SimpleConfig`."""
    return SimpleConfig(f"redis://{host}:{port}/0", queues=_names(queues))


def _names(queues: Iterable[str]) -> tuple[str, ...]:
    if isinstance(queues, str):
        raise ConfigurationError(f"queues: {queues!r} must be a sequence of names, as in ({queues!r},)")
    try:
        return tuple(check_queue_name(queue) for queue in queues)
    except InvalidJob as error:
        raise ConfigurationError(f"queues: {error}") from error


@dataclass(frozen=True, slots=True)
class Health:
    """Whether Redis answers and what is wrong, a sentence each; healthy where nothing is.

    Attributes:
        queues: those that were looked at: all that the realm has in Redis, and those of the coordinator's configuration
            and handlers that have had no job yet.
    """

    redis: bool
    problems: tuple[str, ...]
    queues: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to tell."""
        return self.redis and not self.problems


class Facade:
    """A fleet, the workers of this process, and the names of the queues that it was told of.

    Raises:
        ConfigurationError: the URL is none of Redis, or the realm is none.
    """

    def __init__(self, config: SimpleConfig) -> None:
        self.fleet = Fleet(config.redis_url, realm=config.realm, actor=config.actor)
        self._crew = Crew(self.fleet)
        self._configured = config.queues

    def register_handler(
        self,
        queue: str,
        name: str,
        function: Callable[..., Any],
        *,
        treatment: Treatment = AS_IT_IS,
        **options: Unpack[Options],
    ) -> None:
        """Have jobs of that name run by the workers that are registered here for their queue; it starts none.

        Where a queue has jobs of several names, give all of them a handler before its first worker is registered: that
        claims whatever waits. A job whose name it does not know comes back after a second; from then on, each try is a
        failed attempt.

        Raises:
            InvalidJob: no queue or job may be called so, or an option is wrong.
            ConfigurationError: as of :meth:`jobfleet.Fleet.job`.
        """
        self.fleet.registry.add(Handler.of(function, queue, name, JobOptions(**options), treatment))

    def _all(self, found: Iterable[str]) -> list[str]:
        return sorted({*found, *self._configured, *self.fleet.registry.queues()})

    def _health(self, statuses: Mapping[str, QueueStatus]) -> Health:
        of_queues = [f"{queue}: {problem}" for queue, status in statuses.items() for problem in status.problems()]
        return Health(True, (*self._crew.problems(), *of_queues), tuple(statuses))


def job_named_like(queue: str) -> str:
    """What ``enqueue_job`` calls a job of that queue.

    >>> job_named_like("photo-prints")
    'photo_prints'

    Raises:
        InvalidJob: no queue, or no job, may be called so.
    """
    if check_queue_name(queue)[0].isdigit():
        raise InvalidJob(
            "queue",
            f"no job can be named like {queue!r}: begin with a letter, or use enqueue_named_job(queue, name, data)",
        )
    return queue.replace("-", "_")
