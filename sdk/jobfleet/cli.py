"""The command line: ``jobfleet worker``, ``status``, ``job``, ``audit``, ``close-circuit`` and ``mend``.

And ``explain``, which is the operator's, and is there where its packages are: this one knows nothing of Kubernetes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import importlib
import importlib.metadata
import json
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from jobfleet import __version__, portrait, reload
from jobfleet.environment import Environment, weighted
from jobfleet.errors import ConfigurationError, InvalidJob, JobfleetError, Unavailable
from jobfleet.fleet import Fleet
from jobfleet.log_format import install
from jobfleet.settings import MOST
from jobfleet.status import QueueStatus

EXIT_UNKNOWN, EXIT_USAGE, EXIT_UNAVAILABLE = 1, 2, 3
EXIT_UNREAD = 128 + signal.SIGPIPE
"""Whoever reads the output has seen enough, as ``head`` may; a shell tells it so of any program."""
FOREIGN = "jobfleet.commands"
"""Entry points of commands that others have: each takes the arguments after its name and returns the exit status."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command that ``arguments`` (or the process' own) name, and exit."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["explain"]:
        sys.exit(_foreign(*given))
    options = _parser().parse_args(given)
    try:
        code = options.run(options)
    except (ConfigurationError, InvalidJob) as error:
        print(f"jobfleet: {error}", file=sys.stderr)
        code = EXIT_USAGE
    except JobfleetError as error:
        print(f"jobfleet: {error}", file=sys.stderr)
        code = EXIT_UNAVAILABLE if isinstance(error, Unavailable) else 1
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed from the first is None
        with contextlib.suppress(OSError):
            stream.flush()
    if options.run is _worker:
        logging.shutdown()
        os._exit(code)  # a handler's thread that runs on must not hold the process up: its job is back in the queue
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jobfleet",
        description="Job queues as Kubernetes resources: run a worker, look at a queue, at a job, at who did what.",
        epilog="The environment gives defaults: JOBFLEET_REDIS_URL, JOBFLEET_REALM, JOBFLEET_QUEUES, "
        "JOBFLEET_CONCURRENCY, JOBFLEET_WORKER, JOBFLEET_POOL, JOBFLEET_DRAIN_SECONDS, JOBFLEET_HEALTH_PORT, "
        "JOBFLEET_KEYS, JOBFLEET_ACTOR.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"jobfleet {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # With abbreviations, what --reload runs again would not know "--rel" for what made it, and reload in turn.
    add_parser = partial(commands.add_parser, allow_abbrev=False)

    worker = add_parser(
        "worker",
        help="run a worker",
        description="Claim and run jobs until SIGTERM or Ctrl-C; then let running jobs end within the drain time and "
        "hand the rest back, unfailed. A second signal hands them back at once.",
    )
    worker.add_argument("target", metavar="MODULE:ATTRIBUTE", help="where the Fleet is, as in photos.jobs:fleet")
    worker.add_argument(
        "--queue",
        action="append",
        metavar="NAME[:WEIGHT]",
        help="serve this queue; may repeat; a weight is its part in the slots beside the others' [all declared, 1]",
    )
    worker.add_argument("--concurrency", type=int, metavar="N", help="jobs at a time [10]")
    worker.add_argument("--drain-seconds", type=float, metavar="S", help="time for running jobs at the end [30]")
    worker.add_argument("--max-jobs", type=int, metavar="N", help="end after so many jobs; 0: never [0]")
    worker.add_argument("--max-memory-mb", type=int, metavar="MB", help="end when larger than this; 0: never [0]")
    worker.add_argument("--reload", action="store_true", help="for development: start again when the code changes")
    worker.add_argument("--health-port", type=int, metavar="PORT", help="answer /livez and /readyz; 0: do not [0]")
    worker.add_argument("--log-format", choices=("text", "json"), default="text", help="how log lines look [text]")
    worker.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info", help="[info]")
    worker.set_defaults(run=_worker)

    status = add_parser("status", help="show how queues are", description="Show how queues are, a line each.")
    status.add_argument("queues", nargs="*", metavar="QUEUE", help="[those of JOBFLEET_QUEUES, or all of the realm]")
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    status.set_defaults(run=_status)

    job = add_parser(
        "job",
        help="show a job",
        description="Show a job: its state, times, attempts and failures, arguments, progress, result and log.",
    )
    job.add_argument("id", metavar="ID", help="what enqueue returned")
    job.add_argument("--queue", metavar="QUEUE", help="where it is [that of JOBFLEET_QUEUES, if it names one]")
    job.add_argument("--log", type=int, default=20, metavar="N", help="lines of its log, the newest; 0: none [20]")
    job.add_argument("--json", action="store_true", help="one JSON object")
    job.set_defaults(run=_job)

    audit = add_parser(
        "audit",
        help="show who did what to a queue",
        description="Show who paused, cancelled, retried, purged, scaled and the like, and why; the newest first.",
    )
    audit.add_argument("queue", metavar="QUEUE")
    audit.add_argument("--count", type=int, default=100, metavar="N", help="so many entries at most [100]")
    audit.add_argument("--json", action="store_true", help="one JSON object a line")
    audit.set_defaults(run=_audit)

    circuit = add_parser(
        "close-circuit",
        help="let a queue go on whose circuit is open",
        description="Close the circuit of a queue, or of one of its groups, without waiting for probes.",
    )
    circuit.add_argument("queue", metavar="QUEUE")
    circuit.add_argument("--group", default="", metavar="GROUP", help="whose circuit it is [the queue's]")
    circuit.set_defaults(run=_close_circuit)

    mend = add_parser(
        "mend",
        help="put jobs of a queue back that went astray",
        description="Find waiting jobs that stand in no line, and delayed, failed and cancelled ones that are not "
        "listed, and put them back. It may run while workers do.",
    )
    mend.add_argument("queue", metavar="QUEUE")
    mend.set_defaults(run=_mend)

    add_parser("explain", help="say why a WorkerPool has its size (where kubectl works)", add_help=False)
    return parser


def _foreign(name: str, *arguments: str) -> int:
    try:
        (point,) = importlib.metadata.entry_points(group=FOREIGN, name=name)
        command = point.load()
    except (ValueError, ImportError):
        told = f"{name} needs the operator's packages: pip install '.[operator]' in the source of jobfleet"
        print(f"jobfleet: {told}", file=sys.stderr)
        return EXIT_USAGE
    return int(command(list(arguments)))


def _load(target: str) -> Fleet:
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"{target!r} must be MODULE:ATTRIBUTE, as in photos.jobs:fleet")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{target!r}: module {error.name!r} is not found from {Path.cwd()} or in the installed packages"
        ) from error
    except AttributeError as error:
        raise ConfigurationError(f"{target!r}: {error}") from error
    if not isinstance(found, Fleet):
        raise ConfigurationError(f"{target!r} is a {type(found).__name__}, not a Fleet")
    return found


def _worker(options: argparse.Namespace) -> int:
    install(options.log_format, options.log_level)
    if options.reload:
        return _reloading(options.target)
    # Before a worker has started and after it has ended, there is nothing to hand back. From here on, because the first
    # process of a container does not get a signal that it handles nowhere: it would start, and be killed with its jobs.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    fleet = _load(options.target)
    changes = {
        "queues": weighted("--queue", options.queue) if options.queue else None,
        "concurrency": options.concurrency,
        "drain_seconds": options.drain_seconds,
        "max_jobs": options.max_jobs,
        "max_memory_mb": options.max_memory_mb,
        "health_port": options.health_port,
    }
    settings = dataclasses.replace(
        fleet.worker_settings(), **{name: value for name, value in changes.items() if value is not None}
    )

    async def serve() -> None:
        worker = fleet.worker(settings)
        gc.freeze()  # a full collection need not go through all that was imported, while jobs wait for it
        await worker.run(signals=True)

    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(serve())
    return 0


def _reloading(target: str) -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--reload"]
    sys.path.insert(0, str(Path.cwd()))
    places = reload.watched(target.partition(":")[0])
    return reload.serve([sys.executable, "-m", "jobfleet", *arguments], places)


def _fast_loop() -> type[asyncio.AbstractEventLoop] | None:
    """Uvloop's event loop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.Loop


def _status(options: argparse.Namespace) -> int:
    fleet = Fleet.from_env()
    names = options.queues or list(Environment.read().queues) or fleet.queues_sync()
    statuses = [fleet.status_sync(name) for name in names]
    fleet.close_sync()
    _show(*([json.dumps(dataclasses.asdict(status)) for status in statuses] if options.json else [_table(statuses)]))
    return 0


def _job(options: argparse.Namespace) -> int:
    fleet = Fleet.from_env()
    names = [options.queue] if options.queue else list(Environment.read().queues)
    if len(names) != 1:
        raise ConfigurationError(f"name the job's queue, as in 'jobfleet job {options.id} --queue photos'")
    if not 0 <= options.log <= MOST:
        raise ConfigurationError(f"--log: {options.log} must be 0 to {MOST} lines")
    queue = fleet.queue_sync(names[0])
    job = queue.job(options.id)
    log = queue.log(options.id, -options.log, options.log)
    fleet.close_sync()
    if job is None:
        print(f"jobfleet: queue {names[0]!r} has no job {options.id!r}, or no longer", file=sys.stderr)
        return EXIT_UNKNOWN
    _show(portrait.as_json(job, log) if options.json else portrait.as_text(job, log))
    return 0


def _audit(options: argparse.Namespace) -> int:
    if not 1 <= options.count <= MOST:
        raise ConfigurationError(f"--count: {options.count} must be 1 to {MOST} entries")
    fleet = Fleet.from_env()
    entries = fleet.queue_sync(options.queue).audit(options.count)
    fleet.close_sync()
    if options.json:
        _show(*[json.dumps(dataclasses.asdict(entry)) for entry in entries])
        return 0
    rows = [("TIME (UTC)", "WHO", "VERB", "COUNT", "WHAT", "WHY")]
    rows += [(portrait.day(e.at_ms), e.who, e.verb, str(e.count or ""), e.what, e.why) for e in entries]
    _show(portrait.as_table(rows))
    return 0


def _close_circuit(options: argparse.Namespace) -> int:
    fleet = Fleet.from_env()
    closed = fleet.queue_sync(options.queue).close_circuit(options.group)
    fleet.close_sync()
    _show("the circuit is closed" if closed else "the circuit was closed already")
    return 0


def _mend(options: argparse.Namespace) -> int:
    fleet = Fleet.from_env()
    mended = fleet.queue_sync(options.queue).mend()
    fleet.close_sync()
    _show(f"{mended} jobs put back" if mended else "no job has gone astray")
    return 0


def _show(*lines: str) -> None:
    """Print lines, to the last byte.

    Raises:
        JobfleetError: they cannot be written.
        SystemExit: nobody reads them any more.
    """
    if sys.stdout is None:
        raise JobfleetError("the output cannot be written: it is closed")
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again as it ends
        if isinstance(error, BrokenPipeError):
            sys.exit(EXIT_UNREAD)
        raise JobfleetError(f"the output cannot be written: {error.strerror}") from error


def _table(statuses: list[QueueStatus]) -> str:
    head = ("QUEUE", "WAITING", "ACTIVE", "DELAYED", "FAILED", "COMPLETED", "OLDEST", "WORKERS", "PROBLEMS")
    rows = [head]
    for s in statuses:
        busy = sum(1 for worker in s.workers if worker.busy)
        rows.append(
            (
                s.queue, str(s.waiting), str(s.active), str(s.delayed), str(s.failed), str(s.completed_total),
                f"{s.oldest_age:.0f}s", f"{busy}/{len(s.workers)} busy", "; ".join(s.problems()) or "none",
            )
        )  # fmt: skip
    return portrait.as_table(rows)
