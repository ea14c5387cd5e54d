"""A job with its log, as a text for a person and as JSON for a program; tables. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import msgspec

from jobfleet.job import Failure, JobLog, JobView
from jobfleet.plain import plain

MAX_VALUE = 2_000
"""Characters of an argument, a result or the like that a person is shown."""

_encoder = msgspec.json.Encoder(enc_hook=str)


def as_json(job: JobView, log: JobLog) -> str:
    """One line. Bytes are base64; times are Unix ms."""
    facts = {field.name: getattr(job, field.name) for field in fields(job)}
    return _encoder.encode(facts | {"ended_ms": job.ended_ms, "due_ms": job.due_ms, "log": log}).decode()


def as_text(job: JobView, log: JobLog) -> str:
    """Some lines, without a line feed at the end; nothing in them moves the cursor or changes colours."""
    rows = [(name, text) for name, text in _facts(job) if text]
    lines = [f"{name:<10}{text}" for name, text in rows]
    if job.history:
        lines += ["failures", *(f"  {_failure(failure)}" for failure in job.history)]
    if job.error and job.error.traceback:
        lines += ["traceback", *(f"  {plain(line)}" for line in job.error.traceback.splitlines())]
    if log.lines:
        lines.append(f"log       lines {log.first + 1} to {log.first + len(log.lines)} of {log.total}")
        lines += [f"  {_time(line.at_ms)}  attempt {line.attempt}  {plain(line.text)}" for line in log.lines]
    return "\n".join(lines)


def _facts(job: JobView) -> Iterator[tuple[str, str]]:
    yield "job", f"{plain(job.id)}, {plain(job.name)} in queue {job.queue}"
    yield "state", job.state.value + (f" on worker {plain(job.worker)}" if job.worker else "")
    yield "priority", f"{job.priority}" + (f", group {plain(job.group)}" if job.group else "")
    yield "enqueued", _time(job.enqueued_ms)
    yield "due", _time(job.due_ms)
    yield "started", _time(job.started_ms)
    yield "ended", _time(job.ended_ms)
    lost = f", {job.lost} lost with their workers" if job.lost else ""
    yield "attempts", f"{job.attempt} begun; {job.failures} of {job.attempts} failed{lost}"
    yield "metadata", _value(job.metadata) if job.metadata else ""
    yield "args", _value(job.args)
    yield "progress", "" if job.progress is None else _progress(job.progress)
    yield "result", f"(cannot be opened: {plain(job.unopened)})" if job.unopened else ""
    yield "result", "" if job.result is None else _value(job.result)


def _progress(value: Any) -> str:
    """What was told of the progress.

    >>> _progress(40), _progress({"done": 3, "of": 7})
    ('40 %', '{"done":3,"of":7}')
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g} %" if is_number else _value(value)


def _failure(failure: Failure) -> str:
    where = f"attempt {failure.attempt}" if failure.attempt else "no attempt"
    worker = f" on worker {plain(failure.worker)}" if failure.worker else ""
    kind = f"{plain(failure.kind)} ({'final' if failure.final else 'retryable'})"
    return f"{_time(failure.at_ms)}  {where}{worker}: {kind}: {plain(failure.message)}"


def _time(ms: int) -> str:
    """A time to the millisecond, in UTC.

    >>> _time(1_700_000_000_123), _time(0)
    ('2023-11-14T22:13:20.123Z', '')
    """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z" if ms else ""


def day(ms: int) -> str:
    """A time to the second, in UTC.

    >>> day(1_700_000_000_123)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their head, in columns as wide as they must be.

    >>> print(as_table([("WHO", "VERB"), ("ann@desk", "pause")]))
    WHO       VERB
    ann@desk  pause
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _value(value: Any) -> str:
    text = plain(_encoder.encode(value).decode())
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
