"""Which function runs which job."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jobfleet.arguments import Arguments
from jobfleet.errors import ConfigurationError
from jobfleet.options import JobOptions, check_job_name, check_queue_name


@dataclass(frozen=True, slots=True)
class Handler:
    """A function under a name in a queue. An async function runs on the event loop, any other in a thread."""

    queue: str
    name: str
    function: Callable[..., Any]
    arguments: Arguments
    options: JobOptions
    is_async: bool

    @classmethod
    def of(cls, function: Callable[..., Any], queue: str, name: str | None, options: JobOptions) -> Handler:
        """A handler for ``function``, called as the function is where no name is given.

        Raises:
            InvalidJob: the name of the queue or of the job is none.
            ConfigurationError: the function's parameters cannot be sent by name.
        """
        return cls(
            queue=check_queue_name(queue),
            name=check_job_name(name or function.__name__),
            function=function,
            arguments=Arguments(function),
            options=options,
            is_async=inspect.iscoroutinefunction(function),
        )


class Registry:
    """The handlers of one fleet, by queue and name."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], Handler] = {}

    def add(self, handler: Handler) -> None:
        """Take in a handler.

        Raises:
            ConfigurationError: another one has that name in that queue.
        """
        key = (handler.queue, handler.name)
        if key in self._handlers:
            raise ConfigurationError(
                f"queue {handler.queue!r} has a handler named {handler.name!r} already; give one of them name=..."
            )
        self._handlers[key] = handler

    def find(self, queue: str, name: str) -> Handler | None:
        """The handler of that name in that queue."""
        return self._handlers.get((queue, name))

    def queues(self) -> tuple[str, ...]:
        """The queues that have handlers, sorted."""
        return tuple(sorted({queue for queue, _ in self._handlers}))

    def names(self, queue: str) -> Iterable[str]:
        """The names of a queue's handlers, sorted."""
        return sorted(name for q, name in self._handlers if q == queue)
