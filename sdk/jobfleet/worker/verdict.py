"""The one place that decides what the end of an attempt means for its job. Pure."""

from __future__ import annotations

import traceback

from jobfleet import codec
from jobfleet.errors import InvalidJob, RateLimited, RetryAfter, Snooze, Unrecoverable
from jobfleet.job import Body, ClaimedJob, Failure
from jobfleet.policy import PLAIN, Policy, decide
from jobfleet.retry import Backoff, delay_ms
from jobfleet.scripts.processing import Outcome
from jobfleet.worker.fingerprint import fingerprint

MOST_RESULT_BYTES = 4 * 1024 * 1024
"""What a result may weigh: a larger one would hold up all others on their way, and may be more than Redis takes."""


class TimedOut(TimeoutError):
    """The attempt took longer than the job's timeout."""


def timed_out(body: Body | None, batch_seconds: float | None = None) -> TimedOut:
    """The error of an attempt that took longer than its job allows, or any of its batch: then after how long."""
    own = body.timeout if body else None
    if batch_seconds is None or batch_seconds == own:
        return TimedOut(f"the attempt took longer than its timeout of {own} s")
    return TimedOut(f"its batch took longer than the shortest timeout of the jobs in it, {batch_seconds} s")


class UnknownJob(Exception):
    """This worker has no handler of that name. The first time, that costs the job no attempt."""


class ProcessEnded(Exception):
    """The process of the attempt ended before the attempt did."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the process that ran this attempt ended by {how} before the handler did")
        self.kind = f"process ended by {how}"


class Decided(Exception):
    """An attempt in a process failed there, and the verdict was given there; middleware sees this error.

    Attributes:
        kind: the class of the handler's exception.
    """

    def __init__(self, outcome: Outcome, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.outcome = outcome
        self.kind = kind


UNKNOWN_WAIT_MS = 1_000
"""What a job of an unknown name waits, once: its handler may be about to be registered, or be in a newer worker."""

_READ_BACK = frozenset((bool, int, float, str, bytes))
"""What comes back from its bytes whatever its value. Of lists and mappings not all do: a mapping's keys may not."""

_KINDS = {TimedOut: "timeout", UnknownJob: "unknown job", InvalidJob: "bad arguments"}


def completed(job: ClaimedJob, result: object) -> Outcome:
    """The handler returned.

    A result that has no form in bytes, or none that can be read, fails the job: it would not fit the next time either.
    """
    if result is None:
        return Outcome(job.id, job.attempt, "complete")
    try:
        data = codec.pack_result(result)
        if type(result) not in _READ_BACK and len(data) <= MOST_RESULT_BYTES:
            codec.unpack_result(data)
    except BaseException as error:  # noqa: BLE001 - what a value says of itself may raise anything
        return _bad_result(
            job,
            f"the handler's result cannot be stored: {text_of(error)}; "
            "return text, numbers, booleans, bytes, dates, and lists and mappings of these with text for keys",
        )
    if len(data) > MOST_RESULT_BYTES:
        return _bad_result(
            job,
            f"the handler's result weighs {len(data)} bytes, at most {MOST_RESULT_BYTES} are kept; "
            "return a reference to the data instead of the data",
        )
    return Outcome(job.id, job.attempt, "complete", data)


def _bad_result(job: ClaimedJob, message: str) -> Outcome:
    kind = "bad result"
    failure = Failure(kind, message, "", job.attempt, fingerprint(kind, message), final=True)
    return Outcome(job.id, job.attempt, "fail", codec.pack_failure(failure), blameless=True)


def returned(job: ClaimedJob) -> Outcome:
    """The worker ends before the job did: it goes back to the head of its line, unfailed."""
    return Outcome(job.id, job.attempt, "return")


def cancelled(job: ClaimedJob) -> Outcome:
    """Somebody cancelled the job while it ran."""
    return Outcome(job.id, job.attempt, "cancel")


def failed(job: ClaimedJob, body: Body | None, error: BaseException, policy: Policy = PLAIN, home: str = "") -> Outcome:
    """The attempt ended with an exception: the job fails for good, or runs again after a while.

    ``body`` is None where it could not be read, and then nothing can help. ``policy`` is the handler's
    (``on_error``, ``retry_in``); ``home`` is the handler's package. The only exception of a group decides for it.
    """
    if isinstance(error, Decided):
        return error.outcome
    failures, cause = job.failures + 1, alone(error)
    try:
        decision = decide(cause, policy, failures)
    except BaseException as wrong:  # noqa: BLE001 - a rule is the user's function; its error joins the one it was asked about
        wrong.__context__ = error
        decision, error, cause = None, wrong, wrong
    if isinstance(decision, Snooze | RateLimited):
        wait = round(decision.seconds * 1000)
        return Outcome(job.id, job.attempt, "snooze" if isinstance(decision, Snooze) else "limit", b"", wait)
    if isinstance(cause, UnknownJob) and job.attempt == 1:
        return Outcome(job.id, job.attempt, "snooze", b"", UNKNOWN_WAIT_MS)
    final = body is None or isinstance(decision, Unrecoverable) or isinstance(cause, InvalidJob)
    data = codec.pack_failure(describe(job, error, home, final=final))
    blameless = final or isinstance(cause, UnknownJob)
    if final or body is None or failures >= body.attempts:
        return Outcome(job.id, job.attempt, "fail", data, blameless=blameless)
    if isinstance(decision, RetryAfter):
        wait = round(decision.seconds * 1000)
    else:
        wait = delay_ms(decision if isinstance(decision, Backoff) else body.backoff, failures)
    return Outcome(job.id, job.attempt, "retry", data, wait, blameless)


def describe(job: ClaimedJob, error: BaseException, home: str = "", *, final: bool = False) -> Failure:
    """An error as it is kept with the job."""
    cause = alone(error)
    kind, message = kind_of(cause), text_of(cause)
    trace = "" if type(cause) in _KINDS else _trace_of(error)
    mark = fingerprint(kind, message, cause.__traceback__, home)
    return Failure(kind, message, _sendable(trace), job.attempt, mark, final)


def alone(error: BaseException) -> BaseException:
    """The only exception of a group, as ``asyncio.TaskGroup`` raises for one task that failed; else the error itself.

    >>> alone(ExceptionGroup("unhandled errors in a TaskGroup", [RetryAfter(5)]))
    RetryAfter('RetryAfter for 5 s')
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def text_of(error: BaseException) -> str:
    r"""An exception's message, in characters that can be sent; also of one that cannot say what it means.

    >>> text_of(OSError("no file \udcff"))
    'no file ?'
    """
    try:
        return _sendable(str(error))
    except BaseException as wrong:  # noqa: BLE001 - its own __str__
        return f"(its text cannot be had: {type(wrong).__name__})"


def _trace_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException as wrong:  # noqa: BLE001 - it asks the exception: a SyntaxError of a parser's own may hold anything
        stack = "".join(traceback.format_tb(error.__traceback__))
        return f"{stack}(the rest cannot be had: {type(wrong).__name__})"


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def kind_of(error: BaseException) -> str:
    """What a failure is called: its class, or a word of our own."""
    if isinstance(error, ProcessEnded | Decided):
        return error.kind
    return _KINDS.get(type(error)) or type(error).__qualname__
