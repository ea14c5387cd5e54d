"""What a job's own rules make of an exception: a pure function.

A rule maps a class of exceptions to a signal, in the words in which a handler speaks itself::

    @fleet.job(queue="mail", on_error={
        ConnectionError: Backoff(seconds=30),                       # try again, with another backoff
        KeyError: Unrecoverable,                                    # fail now
        Locked: Snooze(5),                                          # come back later, uncounted
        TooManyRequests: lambda error: RateLimited(error.seconds),  # as the error says
    })
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobfleet.errors import ConfigurationError, HandlerSignal
from jobfleet.retry import Backoff

Decision = HandlerSignal | Backoff
Rule = Decision | Callable[[Any], Decision | None]
"""A signal; a backoff for the next attempt; or what gives one of these, or None, for an exception."""

Rules = Mapping[type[BaseException], Rule]


def decide(error: BaseException, rules: Rules) -> Decision | None:
    """What the rule for the most specific class of ``error`` says; None: nothing, and the job's options hold.

    >>> from jobfleet.errors import Snooze, Unrecoverable
    >>> rules = {OSError: Backoff(seconds=9), ConnectionError: Snooze(5), LookupError: Unrecoverable}
    >>> decide(ConnectionResetError(), rules)
    Snooze('Snooze for 5 s')
    >>> decide(FileNotFoundError(), rules).seconds
    9
    >>> decide(KeyError("photo"), rules)
    Unrecoverable(KeyError('photo'))
    >>> decide(ValueError(), rules) is None
    True

    A signal that the handler raised itself is stronger than any rule:

    >>> decide(Snooze(1), {Exception: Unrecoverable})
    Snooze('Snooze for 1 s')
    """
    if isinstance(error, HandlerSignal):
        return error
    for cls in type(error).__mro__:
        rule = rules.get(cls)
        if rule is not None:
            return rule if isinstance(rule, HandlerSignal | Backoff) else rule(error)
    return None


def check(rules: Rules) -> Rules:
    """The rules themselves.

    Raises:
        ConfigurationError: a key is no class of exceptions, or a rule is none.
    """
    for cls, rule in rules.items():
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            raise ConfigurationError(f"on_error: {cls!r} must be a class of exceptions")
        if not isinstance(rule, HandlerSignal | Backoff) and not callable(rule):
            raise ConfigurationError(
                f"on_error: the rule for {cls.__name__} is {rule!r}; give Unrecoverable, RetryAfter(s), Snooze(s), "
                "RateLimited(s), a Backoff, or a function that takes the exception and gives one of these"
            )
    return rules
