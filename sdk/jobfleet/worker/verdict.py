"""The one place that decides what the end of an attempt means for its job. Pure."""

from __future__ import annotations

import traceback

from jobfleet import codec
from jobfleet.errors import InvalidJob, RetryAfter, Unrecoverable
from jobfleet.job import Body, ClaimedJob, Failure
from jobfleet.retry import delay_ms
from jobfleet.scripts.processing import Outcome


class TimedOut(Exception):
    """The attempt took longer than the job's timeout."""


class UnknownJob(Exception):
    """This worker has no handler of that name."""


def completed(job: ClaimedJob, result: object) -> Outcome:
    """The handler returned. A result that has no form in bytes fails the job: it would not fit the next time either."""
    try:
        data = codec.pack_result(result)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        failure = Failure("bad result", f"the handler's result cannot be stored: {error}", attempt=job.attempt)
        return Outcome(job.id, job.attempt, "fail", codec.pack_failure(failure))
    return Outcome(job.id, job.attempt, "complete", data)


def returned(job: ClaimedJob) -> Outcome:
    """The worker ends before the job did: it goes back to the head of its line, unfailed."""
    return Outcome(job.id, job.attempt, "return")


def failed(job: ClaimedJob, body: Body | None, error: BaseException) -> Outcome:
    """The attempt failed: for good, or to be tried again after a while.

    ``body`` is None where it could not be read, and then nothing can help.
    """
    data = codec.pack_failure(describe(job, error))
    failures = job.failures + 1
    final = body is None or isinstance(error, Unrecoverable | InvalidJob) or failures >= body.attempts
    if final or body is None:
        return Outcome(job.id, job.attempt, "fail", data)
    wait = round(error.seconds * 1000) if isinstance(error, RetryAfter) else delay_ms(body.backoff, failures)
    return Outcome(job.id, job.attempt, "retry", data, wait)


def describe(job: ClaimedJob, error: BaseException) -> Failure:
    """An error as it is kept with the job."""
    words = {TimedOut: "timeout", UnknownJob: "unknown job", InvalidJob: "bad arguments"}
    kind = words.get(type(error), type(error).__qualname__)
    trace = "" if type(error) in words else "".join(traceback.format_exception(error))
    return Failure(kind, str(error), trace, job.attempt)
