"""What a handler's own rules make of an exception, and when it is tried again: pure functions.

A rule maps a class of exceptions to a signal, in the words in which a handler speaks itself::

    @fleet.job(queue="mail", on_error={
        ConnectionError: Backoff(seconds=30),                       # try again, with another backoff
        KeyError: Unrecoverable,                                    # fail now
        Locked: Snooze(5),                                          # come back later, uncounted
        TooManyRequests: lambda error: RateLimited(error.seconds),  # as the error says
    }, retry_in=lambda failures, error: 10 * failures)              # what no rule is for: 10 s, 20 s, 30 s, ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobfleet.errors import (
    MAX_DELAY_SECONDS,
    ConfigurationError,
    HandlerSignal,
    RateLimited,
    RetryAfter,
    Snooze,
    is_delay,
)
from jobfleet.retry import Backoff

Decision = HandlerSignal | Backoff
Rule = Decision | Callable[[Any], Decision | None]
"""A signal; a backoff for the next attempt; or what gives one of these, or None, for an exception."""

Rules = Mapping[type[BaseException], Rule]


RetryIn = Callable[[int, Any], float | None]
"""A backoff of one's own: seconds to the next attempt, from the number of failures so far and the last one's exception;
None: as the job's own backoff says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one handler makes of exceptions.

    Raises:
        ConfigurationError: a key is no class of exceptions, a rule is none, or ``retry_in`` is no function.
    """

    rules: Rules = field(default_factory=dict)
    retry_in: RetryIn | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Mapping):
            raise ConfigurationError(f"on_error: {self.rules!r:.80} must be a mapping of exception classes to rules")
        for cls, rule in self.rules.items():
            if not (isinstance(cls, type) and issubclass(cls, BaseException)):
                raise ConfigurationError(f"on_error: {cls!r} must be a class of exceptions")
            if not (isinstance(rule, HandlerSignal | Backoff) or _makes_signals(rule)):
                raise ConfigurationError(f"on_error: the rule for {cls.__name__} is {rule!r}; {GIVE}")
        if self.retry_in is not None and not callable(self.retry_in):
            raise ConfigurationError(
                f"retry_in: {self.retry_in!r} must be a function that takes the number of failures and the exception "
                "and gives seconds; for fixed or doubling waits give backoff=Backoff(...)"
            )


PLAIN = Policy()

GIVE = (
    "give Unrecoverable, RetryAfter(s), Snooze(s), RateLimited(s), a Backoff(...), or a function that takes the "
    "exception and gives one of these"
)


def _makes_signals(rule: object) -> bool:
    """Whether it can be called with an exception: a function, or a class of signals that needs no seconds."""
    if isinstance(rule, type):
        return issubclass(rule, HandlerSignal) and rule.__init__ is not Snooze.__init__
    return callable(rule)


def _decision(rule: Rule, error: BaseException) -> Decision | None:
    """What a rule makes of an exception; a class of signals counts as one of them.

    Raises:
        ValueError: it gave something else than a decision or None.
    """
    if isinstance(rule, HandlerSignal | Backoff):
        return rule
    said: Any = rule(error)
    if isinstance(said, type) and _makes_signals(said):
        said = said(error)
    if said is None or isinstance(said, HandlerSignal | Backoff):
        return said
    raise ValueError(f"on_error: the rule for {type(error).__name__} gave {said!r:.80}; {GIVE}")


def _timed(decision: Decision) -> Decision:
    """The decision itself, if its time is one: a class of signals made by the user may have left it out."""
    if isinstance(decision, RetryAfter | Snooze | RateLimited):
        seconds: Any = getattr(decision, "seconds", None)
        if not is_delay(seconds):
            raise ValueError(
                f"{type(decision).__name__}: its seconds are {seconds!r}, not 0 to {MAX_DELAY_SECONDS} (ten years); "
                "a class of your own calls super().__init__(seconds)"
            )
    return decision


def decide(error: BaseException, policy: Policy, failures: int = 1) -> Decision | None:
    """What the rule for the most specific class of ``error`` says, else when ``retry_in`` wants it tried again.

    None: nothing, and the job's options hold.

    >>> from jobfleet.errors import Snooze, Unrecoverable
    >>> rules = {OSError: Backoff(seconds=9), ConnectionError: Snooze(5), LookupError: Unrecoverable}
    >>> policy = Policy(rules=rules)
    >>> decide(ConnectionResetError(), policy)
    Snooze('Snooze for 5 s')
    >>> decide(FileNotFoundError(), policy).seconds
    9
    >>> decide(KeyError("photo"), policy)
    Unrecoverable(KeyError('photo'))
    >>> decide(ValueError(), policy) is None
    True
    >>> decide(ValueError(), Policy(retry_in=lambda failures, error: 10 * failures), failures=3)
    RetryAfter('RetryAfter for 30 s')

    A signal that the handler raised itself is stronger than any rule:

    >>> decide(Snooze(1), Policy(rules={Exception: Unrecoverable}))
    Snooze('Snooze for 1 s')

    Raises:
        ValueError: a rule gave no decision, a signal has no time, or ``retry_in`` gave something else than seconds from
            0 to ten years.
    """
    if isinstance(error, HandlerSignal):
        return _timed(error)
    for cls in type(error).__mro__:
        rule = policy.rules.get(cls)
        if rule is not None:
            decision = _decision(rule, error)
            if decision is not None:
                return _timed(decision)
            break
    seconds = None if policy.retry_in is None else policy.retry_in(failures, error)
    if seconds is None:
        return None
    if not is_delay(seconds):
        raise ValueError(f"retry_in gave {seconds!r}; it must give seconds from 0 to {MAX_DELAY_SECONDS} (ten years)")
    return RetryAfter(seconds)
