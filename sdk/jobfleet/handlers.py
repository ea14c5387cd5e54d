"""Which function runs which job, and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jobfleet.arguments import Arguments, Contract, ItemArguments
from jobfleet.dependencies import Need, needs_of
from jobfleet.errors import ConfigurationError, InvalidJob
from jobfleet.middleware import Chain
from jobfleet.options import JobOptions, check_job_name, check_queue_name
from jobfleet.policy import Policy, RetryIn, Rules

RunIn = Literal["loop", "thread", "process"]
MAX_BATCH_SIZE = 1000
MAX_BATCH_WAIT_SECONDS = 60.0
DEFAULT_BATCH_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How a worker treats the jobs of one handler.

    Attributes:
        run_in: ``loop`` (the default of an async function), ``thread`` (of any other), or ``process``: for work that
            keeps a processor busy or must be ended by force.
        on_error: what the job's own rules make of exceptions; see :mod:`jobfleet.policy`.
        retry_in: a backoff of one's own, for what no rule is for: seconds to the next attempt, from the number of
            failures so far and the last one's exception; it runs in the worker and must be quick. None, or None from
            it: the job's ``backoff``.
        batch: how many jobs one call takes at most; 0: the handler takes one.
        batch_wait: seconds that an incomplete batch waits for more.

    Raises:
        ConfigurationError: naming the field and what would be right.
    """

    run_in: RunIn | None = None
    on_error: Rules = field(default_factory=dict)
    retry_in: RetryIn | None = None
    batch: int = 0
    batch_wait: float = DEFAULT_BATCH_WAIT_SECONDS

    def __post_init__(self) -> None:
        if self.run_in not in (None, "loop", "thread", "process"):
            raise ConfigurationError(f"run_in: {self.run_in!r} is unknown; use 'loop', 'thread' or 'process'")
        if type(self.batch) is not int or not 0 <= self.batch <= MAX_BATCH_SIZE:
            raise ConfigurationError(f"batch: {self.batch!r} must be a whole number from 1 to {MAX_BATCH_SIZE}")
        wait = self.batch_wait
        if type(wait) not in (int, float) or not 0 <= wait <= MAX_BATCH_WAIT_SECONDS:
            raise ConfigurationError(
                f"batch_wait: {self.batch_wait!r} must be seconds from 0 to {MAX_BATCH_WAIT_SECONDS:.0f}"
            )
        if self.batch and self.run_in == "process":
            raise ConfigurationError("batch: a batch handler runs on the loop or in a thread, not in a process")
        self.policy()

    def policy(self) -> Policy:
        """What the handler makes of exceptions."""
        return Policy(rules=self.on_error, retry_in=self.retry_in)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A function under a name in a queue.

    Attributes:
        needs: the parameters that the worker injects.
        simple: an async function that runs on the loop with nothing injected: the short way through a worker.
        home: the package that it is from.
    """

    queue: str
    name: str
    function: Callable[..., Any]
    arguments: Contract
    options: JobOptions
    is_async: bool
    run_in: RunIn
    policy: Policy
    needs: Mapping[str, Need]
    batch: int
    batch_wait: float
    simple: bool
    home: str

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        queue: str,
        name: str | None,
        options: JobOptions,
        treatment: Treatment | None = None,
    ) -> Handler:
        """A handler for ``function``, called as the function is where no name is given.

        Raises:
            InvalidJob: the name of the queue or of the job is none.
            ConfigurationError: the function's parameters cannot be sent by name, or it cannot run as it is to be run.
        """
        treatment = treatment or Treatment()
        is_async = inspect.iscoroutinefunction(function)
        run_in = treatment.run_in or ("loop" if is_async else "thread")
        _check_place(function, run_in, is_async=is_async)
        needs = needs_of(function)
        return cls(
            queue=check_queue_name(queue),
            name=check_job_name(name or function.__name__),
            function=function,
            arguments=ItemArguments(function, needs) if treatment.batch else Arguments(function, needs),
            options=options,
            is_async=is_async,
            run_in=run_in,
            policy=treatment.policy(),
            needs=needs,
            batch=treatment.batch,
            batch_wait=treatment.batch_wait,
            simple=is_async and run_in == "loop" and not needs and not treatment.batch,
            home=function.__module__.partition(".")[0],
        )


def _check_place(function: Callable[..., Any], run_in: RunIn, *, is_async: bool) -> None:
    name = f"handler {function.__qualname__}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name} yields; a handler returns its result")
    if is_async and run_in == "thread":
        raise ConfigurationError(f"run_in: {name} is async and cannot run in a thread; use 'loop' or 'process'")
    if run_in == "process" and ("<" in function.__qualname__ or function.__module__ == "__main__"):
        raise ConfigurationError(
            f"run_in: {name} cannot run in a process: it must be defined at the top of a module that can be imported"
        )


class Registry:
    """The handlers of one fleet, by queue and name, and the middleware around them."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[str, str], Handler] = {}
        self.middleware = Chain()

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

    def require(self, queue: str, name: str) -> None:
        """See to it that there is a handler of that name in that queue.

        Raises:
            InvalidJob: there is none; the error has what comes near.
        """
        if (queue, name) in self._handlers:
            return
        field, said, known = "queue", queue, list(self.queues())
        if queue in known:
            field, said, known = "name", name, list(self.names(queue))
        import difflib  # noqa: PLC0415 - nobody else pays for it

        near = difflib.get_close_matches(str(said), known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known) or 'none'}"
        raise InvalidJob(field, f"{said!r} is not declared in this fleet, which is strict{meant}")

    def queues(self) -> tuple[str, ...]:
        """The queues that have handlers, sorted."""
        return tuple(sorted({queue for queue, _ in self._handlers}))

    def names(self, queue: str) -> Iterable[str]:
        """The names of a queue's handlers, sorted."""
        return sorted(name for q, name in self._handlers if q == queue)
