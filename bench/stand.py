"""The stand on which a round takes place: one Redis, the programs of the peers, and a folder for tallies and logs."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import environments
from bench.children import Broken, Child, running, until
from bench.options import Options
from bench.peer import Peer
from bench.peers.tally import Tally
from bench.redis_server import RedisServer

READY_SECONDS = 30.0
"""How long a worker may take from its start to its first job."""


@dataclass(frozen=True, slots=True)
class Produced:
    """What a producer says: seconds for ``timed`` jobs; in the shape `paced` also each job's seconds to its handler."""

    seconds: float
    timed: int
    took: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.timed / self.seconds


class Stand:
    """Runs the verbs of peers' programs; raises `Broken` where one does not do what it should."""

    def __init__(self, server: RedisServer, folder: Path, options: Options) -> None:
        self.server = server
        self.options = options
        self._folder = folder
        self._number = itertools.count()

    @contextlib.contextmanager
    def run_of(self, jobs: int) -> Iterator[Tally]:
        """An empty Redis and the tally of a run of so many jobs, numbered from 0."""
        self.server.empty()
        path = self._folder / f"tally-{next(self._number)}"
        try:
            with Tally.create(path, jobs) as tally:
                yield tally
        finally:
            path.unlink()

    def produce(
        self, peer: Peer, shape: str, first: int, count: int, *, tally: Tally | None = None, keep: int = 0
    ) -> Produced:
        """Let the peer enqueue jobs; see `peers/agent.py` for the shapes."""
        said = json.loads(self._ask(peer, ["produce", shape, str(first), str(count)], tally, keep))
        return Produced(said["seconds"], said["timed"], tuple(said["took"]))

    def preload(self, peer: Peer, tally: Tally, keep: int = 0) -> None:
        """Enqueue every job of the tally and make sure that they wait."""
        self.produce(peer, "bulk", 0, tally.jobs, keep=keep)
        self.expect_waiting(peer, tally.jobs)

    def expect_waiting(self, peer: Peer, jobs: int) -> None:
        """Make sure that so many jobs wait, by the peer's own count."""
        if (waiting := int(self._ask(peer, ["count"], None, 0))) != jobs:
            raise Broken(f"{jobs} jobs were enqueued and {waiting} wait")

    def worker(
        self, peer: Peer, handler: str, tally: Tally, *, slots: int = 0, sleep: float = 0, keep: int = 0
    ) -> contextlib.AbstractContextManager[Child]:
        """A worker of the peer, to be ended at the end of the ``with``."""
        return running(self.start_worker(peer, handler, tally, slots=slots, sleep=sleep, keep=keep))

    def start_worker(
        self, peer: Peer, handler: str, tally: Tally, *, slots: int = 0, sleep: float = 0, keep: int = 0
    ) -> Child:
        """As `worker`; the caller ends it."""
        variables = self._variables(peer, tally, keep) | {
            "BENCH_HANDLER": handler,
            "BENCH_CONCURRENCY": str(slots or peer.widths(handler)[0]),
            "BENCH_SLEEP": str(sleep),
        }
        return Child(
            [*environments.command(peer), "work"], self._folder / f"{peer.key}-{next(self._number)}.log", variables
        )

    def make_ready(self, peer: Peer, worker: Child, tally: Tally) -> None:
        """Wait until the worker has run job 0, which is enqueued for that."""
        self.produce(peer, "bulk", 0, 1)
        until(lambda: tally.ended[0] > 0, READY_SECONDS, "the worker runs its first job", worker)

    def _variables(self, peer: Peer, tally: Tally | None, keep: int) -> dict[str, str]:
        said = {
            "BENCH_REDIS": self.server.url,
            "BENCH_KEEP": str(keep),
            "BENCH_HANDLER": natural_handler(peer),
            **environments.variables(peer),
        }
        if tally is not None:
            said |= {"BENCH_TALLY": str(tally.path), "BENCH_JOBS": str(tally.jobs)}
        return said

    def _ask(self, peer: Peer, words: list[str], tally: Tally | None, keep: int) -> str:
        log = self._folder / f"{peer.key}-{next(self._number)}.log"
        out = Child([*environments.command(peer), *words], log, self._variables(peer, tally, keep))
        with running(out):
            until(lambda: not out.alive, self.options.patience, " ".join(words), None)
            if out.exit_code:
                raise Broken(f"{' '.join(words)} failed\n{out.tail()}")
        return log.read_text().strip().splitlines()[-1]


def natural_handler(peer: Peer) -> str:
    """The kind of handler that the peer is made for: async where it has it."""
    return peer.handlers[0]


def run_program(command: list[str], variables: dict[str, str], seconds: float) -> str:
    """The standard output of a short program."""
    try:
        done = subprocess.run(
            command,
            env=variables,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Broken(f"{command[0]}: {error}") from error
    return done.stdout
